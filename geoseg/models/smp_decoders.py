"""The decoders of segmentation-models-pytorch as systems of their own: ``smp.unet``, ``smp.fpn`` and so on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.models.context.base import Outputs
from geoseg.models.dilated import run_by_phases
from geoseg.models.encoder import check_name
from geoseg.models.hub import hub_argument, unreachable
from geoseg.models.layers import at_least_float32
from geoseg.models.weights import first_line, load_weights

if TYPE_CHECKING:
    from geoseg.models.spec import ModelSpec

PEERS: dict[str, type[nn.Module]] = {
    f"smp.{name}": model for name, model in smp.MODEL_ARCHITECTURES_MAPPING.items()
}
"""smp's models by their system's name, as smp itself registers them."""
_POSITIONS = {"smp.pan": 8, "smp.dpt": 2}
"""Image sizes are multiples of so many positions of the deepest map (else 1): PAN halves it three times, DPT once."""


class PeerHead(nn.Module):
    """An smp decoder with its segmentation head, the latter in float32 also under autocast.

    smp's segmentation heads upsample with ``align_corners=True``. That is left as it is: the peer is smp's own.
    """

    def __init__(self, decoder: nn.Module, classify: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.classify = classify

    def forward(self, features: Sequence[Any]) -> Outputs:
        """Logits ``(N, classes, H, W)`` of all maps that smp's encoder gives; there are no auxiliary logits."""
        # The encoders of DPT give a pair (maps, prefix tokens), all others a list of maps.
        decoded: Tensor = (
            self.decoder(*features) if isinstance(features, tuple) else self.decoder(features)
        )
        with torch.autocast(decoded.device.type, enabled=False):
            return Outputs(self.classify(at_least_float32(decoded)), {})


def check_options(system: str, options: Mapping[str, Any]) -> None:
    """Refuse options that smp's model does not have.

    Raises:
        ModelError: with those that it has.
    """
    known = [name for name in _arguments(system) if name.startswith(("decoder_", "psp_"))]
    for name in options:
        if name not in known:
            raise ModelError(f"{system} has no option {name!r}; it has {', '.join(known)}")


def build_peer(
    spec: ModelSpec, encoder: str, weights: str | None
) -> tuple[nn.Module, PeerHead, int, int]:
    """The encoder of smp's model, its decoder with head, its output stride, and what image sizes are multiples of.

    Raises:
        ModelError: the decoder does not take this encoder, output stride or options, or the weights do not fit.
    """
    check_name(encoder)
    arguments = {**spec.options, "encoder_weights": hub_argument(encoder, weights)}
    if spec.output_stride is not None and "encoder_output_stride" in _arguments(spec.system):
        arguments["encoder_output_stride"] = spec.output_stride
    if spec.system == "smp.dpt":
        arguments["dynamic_img_size"] = (
            True  # else a vision transformer takes images of one size only
        )
    try:
        model: Any = PEERS[spec.system](
            encoder_name=encoder, in_channels=spec.in_channels, classes=spec.classes, **arguments
        )
    except OSError as error:
        raise unreachable(encoder, error) from error
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{spec.system} cannot be had with encoder {encoder} ({first_line(error)}); "
            "choose another encoder or output stride"
        ) from error
    stride = int(model.encoder.output_stride)
    if spec.output_stride not in (None, stride):
        raise ModelError(
            f"{spec.system} runs at output stride {stride}, not {spec.output_stride}; leave output_stride out"
        )
    load_weights(model.encoder, weights)
    run_by_phases(model.encoder)
    head = PeerHead(model.decoder, model.segmentation_head)
    return model.encoder, head, stride, stride * _POSITIONS.get(spec.system, 1)


def _arguments(system: str) -> tuple[str, ...]:
    """The names of the arguments of smp's model."""
    return tuple(inspect.signature(PEERS[system].__init__).parameters)
