"""Encoders of segmentation-models-pytorch and timm, giving maps of one size, shallow to deep."""

from __future__ import annotations

import difflib
from typing import Any

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason, shown
from geoseg.models.context.base import Resizing
from geoseg.models.dilated import replace_dilated_convolutions
from geoseg.models.layers import resize
from geoseg.models.neck import Neck
from geoseg.models.plain import PlainTransformer, is_plain, size_arguments
from geoseg.models.weights import download_error, load_weights, pretrained_argument

OWN_STRIDE = 32
"""Pixels from one position to the next in the deepest map of an encoder that is not dilated."""

_STAGE_3_STRIDE = 16
"""The same of the map before it."""

_DILATED_STRIDE = 8
"""The same in an encoder that is dilated, unless it is told otherwise."""

_PYRAMID_STRIDES = (8, 16, OWN_STRIDE)
"""Of encoders with maps of several strides, dilated or by a neck."""


class Encoder(nn.Module):
    """The deepest `stages` maps of an encoder, or what a neck makes of its maps.

    Where their strides differ (in an encoder that is not dilated), the deeper ones are resized
    bilinearly to the shallowest, which so loses no detail.
    """

    channels: tuple[int, ...]
    """Channels of each map, shallow to deep."""
    stride: int
    """Pixels from one position to the next in the deepest map, before it is resized."""
    pitch: int
    """Pixels from one position to the next in the maps that are given."""
    multiple: int
    """Image heights and widths must be multiples of this."""
    neck: Neck | None
    """It is no part of what is pretrained."""

    corners: bool = False
    """Whether maps are resized so that their outer positions stay the outer ones."""

    def __init__(
        self,
        model: nn.Module,
        channels: tuple[int, ...],
        stride: int,
        multiple: int,
        neck: Neck | None = None,
    ) -> None:
        super().__init__()
        self.model, self.neck = model, neck
        self.channels = channels if neck is None else neck.channels
        self.stride, self.multiple = stride, multiple
        deeper = len(self.channels) == 2 and stride == OWN_STRIDE
        self.pitch = _STAGE_3_STRIDE if deeper else stride
        self._maps = len(channels)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps ``(N, channels[i], h, w)`` of an image ``(N, bands, H, W)``."""
        maps = _deepest_maps(self.model, x, self._maps)
        if self.neck is None:
            return _resized(maps, corners=self.corners)
        size = (x.shape[2] // self.stride, x.shape[3] // self.stride)
        joined: list[Tensor] = self.neck(maps, size)
        return joined


class HRNetEncoder(nn.Module):
    """HRNet's four branches at strides 4 to 32, resized to stride 4 and concatenated.

    All stages get this one map.
    """

    corners: bool = False
    """Whether they are resized so that their outer positions stay the outer ones."""

    def __init__(self, model: nn.Module, branches: list[int], stages: int) -> None:
        super().__init__()
        self.model = model
        self.channels = (sum(branches),) * stages
        self.stride = self.pitch = 4
        self.multiple = OWN_STRIDE  # the branches are added to each other at exact ratios

    def forward(self, x: Tensor) -> list[Tensor]:
        """The same map ``(N, channels[0], H/4, W/4)`` for each stage."""
        return [torch.cat(_resized(self.model(x), corners=self.corners), 1)] * len(self.channels)


def _deepest_maps(model: Any, x: Tensor, count: int) -> list[Tensor]:
    """The deepest maps of an encoder; of a ResNet, the others are given up on the way.

    They are a third of what a forward holds: 200 MB of a cell of 1,152 pixels.
    """
    from segmentation_models_pytorch.encoders.resnet import ResNetEncoder

    if not isinstance(model, ResNetEncoder) or count > 4:
        # Encoders that start at stride 4 give an empty map for stride 2.
        return [features for features in model(x) if features.shape[1]][-count:]
    x = model.maxpool(model.relu(model.bn1(model.conv1(x))))
    maps: list[Tensor] = []
    for layer in (model.layer1, model.layer2, model.layer3, model.layer4):
        x = layer(x)
        maps = [*maps, x][-count:]
    return maps


def _resized(maps: list[Tensor], *, corners: bool) -> list[Tensor]:
    """All maps at the size of the first."""
    size = maps[0].shape[2:]
    return [resize(x, size, corners=corners) for x in maps]


def build_encoder(
    name: str,
    *,
    in_channels: int = 3,
    output_stride: int | None = None,
    weights: str | None = None,
    stages: int = 1,
    resizing: Resizing = "own",
) -> Encoder | HRNetEncoder:
    """An encoder by smp's name (``resnet50``, ``tu-tf_efficientnet_lite0``).

    Args:
        name: of smp's encoders, or ``tu-`` and the name of timm's; ``tu-hrnet_w*`` gives its
            branches.
        in_channels: bands of the image.
        output_stride: 8, 16 or 32 (7 or 14 with patches of 14); None is 8 where the encoder can be
            dilated, else its own. A finer stride than an encoder has without dilation is that of a
            `Neck` over its maps.
        weights: None (random), ``imagenet`` (downloaded), a file, ``positions:FILE`` or
            ``package:NAME``.
        stages: how many of the deepest maps to give.
        resizing: see `HeadOptions`.

    Raises:
        ModelError: there is no such encoder, it does not run at that stride, or the weights do not
            fit.
    """
    check_name(name)
    arguments = (name, in_channels, output_stride, pretrained_argument(name, weights), stages)
    if name.startswith("tu-hrnet_w"):
        encoder: Encoder | HRNetEncoder = _build_hrnet(*arguments)
    elif is_plain(name):
        encoder = _build_plain(*arguments)
    else:
        encoder = _build_pyramid(*arguments)
    _set_resizing(encoder, resizing)
    load_weights(encoder.model, weights)
    return encoder


def _set_resizing(encoder: Encoder | HRNetEncoder, resizing: Resizing) -> None:
    """Have maps brought to other sizes as another library does; see `HeadOptions`."""
    if resizing == "own":
        return
    encoder.corners = resizing != "bilinear"
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Upsample):  # HRNet's
            module.mode, module.align_corners = "bilinear", encoder.corners
        elif resizing == "openseg" and name.endswith("maxpool"):  # ResNet's
            module.ceil_mode = True


def check_name(name: str) -> None:
    """Refuse a name that is neither smp's nor timm's.

    Raises:
        ModelError: there is no such encoder; the message has the nearest names.
    """
    known = [*smp.encoders.encoders, *(f"tu-{model}" for model in timm.list_models())]
    if name in known or (name.startswith("tu-") and timm.is_model(name[3:])):
        return
    near = difflib.get_close_matches(name, known, n=3) or ["resnet50", "tu-tf_efficientnet_lite0"]
    raise ModelError(
        f"there is no encoder {shown(name)}; try {', '.join(near)} (timm's are tu-NAME)"
    )


def _build_pyramid(
    name: str,
    in_channels: int,
    output_stride: int | None,
    pretrained: str | bool | None,
    stages: int,
) -> Encoder:
    stride = output_stride or _DILATED_STRIDE
    if stride not in _PYRAMID_STRIDES:
        raise ModelError(
            f"encoder {name} does not run at output stride {stride}; leave it out or give 8, 16 "
            "or 32"
        )
    model = _dilated(name, in_channels, stride, pretrained)
    if model is not None:
        # The attention of mix transformers looks at patches of 32 pixels, dilated or not.
        multiple = OWN_STRIDE if name.startswith("mit_") else stride
        return Encoder(model, _deepest(model, stages), stride, multiple)
    model = _dilated(name, in_channels, OWN_STRIDE, pretrained)
    if output_stride is None:
        return Encoder(model, _deepest(model, stages), OWN_STRIDE, OWN_STRIDE)
    finer = (OWN_STRIDE // output_stride).bit_length()  # the maps from that stride on
    channels = _deepest(model, max(finer, stages))
    return Encoder(model, channels, output_stride, OWN_STRIDE, Neck(channels, stages))


def _deepest(model: Any, maps: int) -> tuple[int, ...]:
    """Channels of the deepest maps of smp's encoder, shallow to deep."""
    return tuple([count for count in model.out_channels if count][-maps:])


def _dilated(name: str, in_channels: int, output_stride: int, pretrained: str | bool | None) -> Any:
    """The encoder of smp at this stride; None if it cannot be dilated to it."""
    try:
        model = smp.encoders.get_encoder(
            name,
            in_channels=in_channels,
            weights=pretrained,
            output_stride=output_stride,
            **size_arguments(name),
        )
    except OSError as error:
        raise download_error(name, error) from error
    except (AssertionError, TypeError, ValueError) as error:
        if output_stride != OWN_STRIDE:
            return None
        raise ModelError(
            f"encoder {name} gives no pyramid of maps ({one_line_reason(error)}); "
            "choose another, such as resnet50"
        ) from error
    replace_dilated_convolutions(model)
    return model


def _build_plain(
    name: str,
    in_channels: int,
    output_stride: int | None,
    pretrained: str | bool | None,
    stages: int,
) -> Encoder:
    try:
        model = PlainTransformer(name, in_channels, bool(pretrained), stages)
    except OSError as error:
        raise download_error(name, error) from error
    channels = (model.channels,) * stages
    if output_stride in (None, model.patch):
        return Encoder(model, channels, model.patch, model.patch)
    strides = [model.patch // part for part in (1, 2, 4) if model.patch % part == 0]
    if output_stride not in strides:
        raise ModelError(
            f"encoder {name} has patches of {model.patch} pixels and does not run at output stride "
            f"{output_stride}; leave it out or give {' or '.join(map(str, strides))}"
        )
    return Encoder(model, channels, output_stride, model.patch, Neck(channels, stages))


def _build_hrnet(
    name: str,
    in_channels: int,
    output_stride: int | None,
    pretrained: str | bool | None,
    stages: int,
) -> HRNetEncoder:
    if output_stride not in (None, 4):
        raise ModelError(
            f"encoder {name} runs at stride 4, not {output_stride}; leave output_stride out"
        )
    try:
        # An empty feature_location asks for the branches, not for the classifier's wider maps.
        model = timm.create_model(
            name[3:],
            features_only=True,
            feature_location="",
            out_indices=(1, 2, 3, 4),
            in_chans=in_channels,
            pretrained=bool(pretrained),
        )
    except OSError as error:
        raise download_error(name, error) from error
    return HRNetEncoder(model, model.feature_info.channels(), stages)
