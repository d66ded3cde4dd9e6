"""The decoders of segmentation-models-pytorch as systems: ``smp.unet``, ``smp.fpn`` and so on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason, shown
from geoseg.models.context.base import MAX_SIZE, Outputs
from geoseg.models.dilated import replace_dilated_convolutions
from geoseg.models.encoder import check_name
from geoseg.models.layers import at_least_float32
from geoseg.models.plain import size_arguments
from geoseg.models.weights import download_error, load_weights, pretrained_argument

_MODELS: dict[str, type[nn.Module]] = {
    f"smp.{name}": model for name, model in smp.MODEL_ARCHITECTURES_MAPPING.items()
}
"""smp's models by the name of their system, as smp itself registers them."""
_HALVINGS = {"smp.pan": 3, "smp.dpt": 1}
"""How often a decoder halves the encoder's deepest map, whose size must allow it."""


class SmpHead(nn.Module):
    """An smp decoder with its segmentation head, the latter in float32 also under autocast.

    smp's segmentation heads upsample with ``align_corners=True``. That is left as it is: the system
    is smp's own.
    """

    def __init__(self, decoder: nn.Module, classify: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder
        self.classify = classify

    def forward(self, features: Sequence[Any]) -> Outputs:
        """Logits ``(N, classes, H, W)`` from all maps of smp's encoder, and no auxiliary logits."""
        # The encoders of DPT give a pair (maps, prefix tokens), all others a list of maps.
        arguments = features if isinstance(features, tuple) else (features,)
        decoded: Tensor = self.decoder(*arguments)
        with torch.autocast(decoded.device.type, enabled=False):
            return Outputs(self.classify(at_least_float32(decoded)), {})


def check_options(system: str, options: Mapping[str, Any]) -> None:
    """Refuse options that smp's model does not have.

    Raises:
        ModelError: it lacks an option, or a width is absurd; the message says what there is.
    """
    known = [name for name in _argument_names(system) if name.startswith(("decoder_", "psp_"))]
    for name, value in options.items():
        if name not in known:
            raise ModelError(f"{system} has no option {shown(name)}; it has {', '.join(known)}")
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(number, int) and number > MAX_SIZE for number in numbers):
            raise ModelError(f"{system}: option {name}={shown(value)}: widths go up to {MAX_SIZE}")


def build_smp_model(
    system: str,
    encoder: str,
    *,
    in_channels: int,
    classes: int,
    output_stride: int | None,
    weights: str | None,
    options: Mapping[str, Any],
) -> tuple[nn.Module, SmpHead, int, int]:
    """The encoder of smp's model, its decoder with head, its stride and its multiple.

    The stride is that of the deepest map in pixels; image sizes must be multiples of the multiple.

    Raises:
        ModelError: the decoder does not take this encoder, output stride or options, or the weights
            do not fit.
    """
    check_name(encoder)
    arguments = {
        **options,
        **size_arguments(encoder),
        "encoder_weights": pretrained_argument(encoder, weights),
    }
    if output_stride is not None and "encoder_output_stride" in _argument_names(system):
        arguments["encoder_output_stride"] = output_stride
    if system == "smp.dpt":  # else a vision transformer takes images of one size only
        arguments["dynamic_img_size"] = True
    try:
        model: Any = _MODELS[system](
            encoder_name=encoder, in_channels=in_channels, classes=classes, **arguments
        )
    except OSError as error:
        raise download_error(encoder, error) from error
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{system} does not take encoder {encoder} ({one_line_reason(error)}); "
            "choose another encoder or output stride"
        ) from error
    stride = int(model.encoder.output_stride)
    if output_stride not in (None, stride):
        raise ModelError(
            f"{system} runs at output stride {stride}, not {output_stride}; leave output_stride out"
        )
    load_weights(model.encoder, weights)
    replace_dilated_convolutions(model.encoder)
    multiple = stride * 2 ** _HALVINGS.get(system, 0)
    return model.encoder, SmpHead(model.decoder, model.segmentation_head), stride, multiple


def _argument_names(system: str) -> tuple[str, ...]:
    return tuple(inspect.signature(_MODELS[system].__init__).parameters)
