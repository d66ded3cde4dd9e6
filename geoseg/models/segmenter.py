"""Networks: an encoder, a head, and logits at the image's own size."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason
from geoseg.lazy import uncollected
from geoseg.models.context import HEADS, Outputs
from geoseg.models.context.base import Maps
from geoseg.models.layers import at_least_float32, resize
from geoseg.models.spec import SMP_SYSTEMS, ModelSpec, make_spec


class Segmenter(nn.Module):
    """A network for images of any size.

    In eval mode it gives logits. In training mode it gives `Outputs`: logits at the image's size,
    and auxiliary logits at feature size, or at the image's size where it had to be padded.
    """

    spec: ModelSpec
    head: Any
    """A `ContextHead`, or a decoder that is called like one."""
    stride: int
    """The output stride: pixels from one position of the encoder's deepest map to the next."""
    multiple: int
    """Heights and widths are padded to multiples of this."""
    pitch: int
    """Pixels from one position to the next in the maps that `encode` gives."""
    corners: bool
    """Whether logits are resized so that the outer positions stay the outer ones. Maps of such a
    network depend on the size of the image, and none can be cut from those of a larger one."""

    def __init__(
        self,
        spec: ModelSpec,
        encoder: nn.Module | None,
        head: nn.Module,
        stride: int,
        multiple: int,
        pitch: int = 1,
        *,
        corners: bool = False,
    ) -> None:
        super().__init__()
        self.corners = corners
        self.spec = replace(spec, output_stride=stride)
        self.encoder = encoder
        self.head = head
        self.stride, self.multiple, self.pitch = stride, multiple, pitch

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Class logits of each pixel.

        Args:
            x: ``(N, in_channels, H, W)`` normalised image, H and W from 1 on. A size that is not a
                multiple of `multiple` is padded by repeating the last row and column, and cropped
                again: so features keep their place on the ground.

        Returns:
            ``(N, classes, H, W)`` float32 (float64 where the weights are). In eval mode on a CPU,
            an image's logits are bitwise the same in any batch.

        Raises:
            ModelError: the image has another number of bands.
        """
        if x.shape[1] != self.spec.in_channels:
            raise ModelError(
                f"the image has {x.shape[1]} bands, the network takes {self.spec.in_channels}"
            )
        if self.training:
            return self._outputs(x)
        if x.device.type == "cpu" and not torch.compiler.is_exporting() and len(x) > 1:
            # CPU kernels may sum in another order in another batch. On a CPU, running the images
            # of a batch one after another costs no time.
            return torch.cat([self._outputs(image).logits for image in torch.split(x, 1)])
        return self._outputs(x).logits

    def encoder_parameters(self) -> list[nn.Parameter]:
        """The encoder's, without those of a neck: it is trained as the head is."""
        named = [] if self.encoder is None else self.encoder.named_parameters()
        return [parameter for name, parameter in named if not name.startswith("neck.")]

    def encode(self, x: Tensor) -> Maps:
        """What `decode` needs of an image: the maps of the `local` part of a context head.

        Args:
            x: ``(1, in_channels, H, W)`` normalised image, padded as in `forward`.

        Returns:
            Maps ``(1, C, h, w)``, `pitch` pixels from one position to the next.
        """
        padded = self._padded(x)
        features = [padded] if self.encoder is None else self.encoder(padded)
        maps: Maps = self.head.local(features)
        return maps

    def decode(self, maps: Maps) -> Tensor:
        """Class logits of windows, as `forward` gives them, from what `encode` gives.

        Args:
            maps: ``(N, C, h, w)`` windows cut from maps of a larger image, or all of them. Some may
                be taken out.

        Returns:
            ``(N, classes, pitch·h, pitch·w)`` float32 (float64 where the weights are).
        """
        count, _, height, width = next(iter(maps.values())).shape
        if count > 1 and next(iter(maps.values())).device.type == "cpu":  # as in `forward`
            windows = [
                {name: x[place : place + 1] for name, x in maps.items()} for place in range(count)
            ]
            return torch.cat([self.decode(window) for window in windows])
        logits = at_least_float32(self.head.context(maps).logits)
        return resize(logits, (height * self.pitch, width * self.pitch))

    def _padded(self, x: Tensor) -> Tensor:
        """The image with its last row and column repeated up to multiples of `multiple`."""
        if self.multiple == 1:
            return x
        down, right = (-side % self.multiple for side in x.shape[2:])
        return F.pad(x, (0, right, 0, down), mode="replicate")

    def _outputs(self, x: Tensor) -> Outputs:
        (height, width), x = x.shape[2:], self._padded(x)
        logits, aux = self.head([x] if self.encoder is None else self.encoder(x))
        size = x.shape[2:]
        if self.training and size != (height, width):
            # Logits of a padded image cover more than its labels. At its size they can be cropped.
            aux = {
                name: resize(each, size, corners=self.corners)[:, :, :height, :width]
                for name, each in aux.items()
            }
        logits = resize(at_least_float32(logits), size, corners=self.corners)
        return Outputs(logits[:, :, :height, :width], aux)


def create_model(
    system: str,
    *,
    encoder: str | None = None,
    classes: int,
    in_channels: int = 3,
    output_stride: int | None = None,
    encoder_weights: str | None = None,
    preset: str = "geoseg",
    **system_options: Any,
) -> Segmenter:
    """A network, in training mode, with a randomly initialised head.

    Args:
        system: one of `systems()`.
        encoder: smp's name, or timm's after ``tu-``; left out, ``resnet50`` (none where the system
            takes none).
        classes: number of classes, 1..254.
        in_channels: bands of the image.
        output_stride: 8, 16 or 32 (7 or 14 with patches of 14). Left out, 8 where the encoder can
            be dilated, else its own, and for ``smp.*`` smp's. A finer one than the encoder has is
            that of a feature pyramid over its maps.
        encoder_weights: None (random), ``imagenet`` (downloaded), a safetensors or torch file, or
            ``package:NAME``; ``positions:FILE`` for a torch file of other names in the same order.
        preset: a reading of the paper: ``geoseg``, and ``paper`` or ``released`` where the system
            has them.
        system_options: the system's own options.

    Raises:
        ModelError: a name, a number, an option or the weights do not fit; the message says what
            would.
    """
    spec = make_spec(
        system,
        encoder=encoder,
        classes=classes,
        in_channels=in_channels,
        output_stride=output_stride,
        preset=preset,
        **system_options,
    )
    net = build_segmenter(spec, encoder_weights)
    _check_forward(net)
    return net


def build_segmenter(spec: ModelSpec, encoder_weights: str | None = None) -> Segmenter:
    """The network of a spec.

    Raises:
        ModelError: the encoder does not run as the spec has it, or the weights do not fit.
    """
    spec.check_choices()
    if spec.encoder is None:
        head = HEADS[spec.system]((spec.in_channels,), spec.classes, spec.preset)
        return Segmenter(spec, None, head, stride=1, multiple=1)
    # Where encoders are built, and only there, smp and timm are imported, which takes seconds.
    if spec.system in SMP_SYSTEMS:
        with uncollected():
            from geoseg.models.smp_decoders import build_smp_model
        smp_model = build_smp_model(
            spec.system,
            spec.encoder,
            in_channels=spec.in_channels,
            classes=spec.classes,
            output_stride=spec.output_stride,
            weights=encoder_weights,
            options=spec.options,
        )
        return Segmenter(spec, *smp_model)
    with uncollected():
        from geoseg.models.encoder import build_encoder
    head_class = HEADS[spec.system]
    options = head_class.choose_options(spec.preset, spec.options)
    encoder = build_encoder(
        spec.encoder,
        in_channels=spec.in_channels,
        output_stride=spec.output_stride,
        weights=encoder_weights,
        stages=head_class.stages,
        resizing=options.resizing,
    )
    head = head_class(encoder.channels, spec.classes, spec.preset, **spec.options)
    complete = replace(spec, options=asdict(head.options))
    sizes = (encoder.stride, encoder.multiple, encoder.pitch)
    return Segmenter(complete, encoder, head, *sizes, corners=options.corners)


def _check_forward(net: Segmenter) -> None:
    """Run a small image: only then do some encoders refuse its size, some decoders the encoder."""
    net.eval()
    try:
        with torch.no_grad():
            net(torch.zeros(1, net.spec.in_channels, 64, 96))
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{net.spec.system} does not run with encoder {net.spec.encoder} "
            f"({one_line_reason(error)}); choose another encoder, such as resnet50"
        ) from error
    net.train()
