"""Encoders of segmentation-models-pytorch and timm, giving maps of one size, shallow to deep."""

from __future__ import annotations

import difflib

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError, one_line_reason, shown
from geoseg.models.context.base import Resizing
from geoseg.models.dilated import replace_dilated_convolutions
from geoseg.models.layers import resize
from geoseg.models.weights import download_error, load_weights, pretrained_argument

OWN_STRIDE = 32
"""Pixels from one position to the next in the deepest map of an encoder that is not dilated."""

_STAGE_3_STRIDE = 16
"""The same of the map before it."""


class Encoder(nn.Module):
    """The deepest `stages` maps of an encoder.

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

    corners: bool = False
    """Whether maps are resized so that their outer positions stay the outer ones."""

    def __init__(
        self, model: nn.Module, channels: tuple[int, ...], stride: int, multiple: int
    ) -> None:
        super().__init__()
        self.model = model
        self.channels, self.stride, self.multiple = channels, stride, multiple
        self.pitch = min(stride, _STAGE_3_STRIDE) if len(channels) == 2 else stride

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps ``(N, channels[i], h, w)`` of an image ``(N, bands, H, W)``."""
        # Encoders that start at stride 4 give an empty map for stride 2.
        maps = [features for features in self.model(x) if features.shape[1]][-len(self.channels) :]
        return _resized(maps, corners=self.corners)


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
        output_stride: 8, 16 or 32; None is 8 where the encoder can be dilated, else its own.
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
    is_hrnet = name.startswith("tu-hrnet_w")
    encoder = _build_hrnet(*arguments) if is_hrnet else _build_pyramid(*arguments)
    _set_resizing(encoder, resizing)
    load_weights(encoder, weights)
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


class NotDilatableError(ModelError):
    """An encoder whose stride cannot be changed was asked for another one."""


def _build_pyramid(
    name: str,
    in_channels: int,
    output_stride: int | None,
    pretrained: str | bool | None,
    stages: int,
) -> Encoder:
    if output_stride is None:
        try:
            return _build_pyramid(name, in_channels, 8, pretrained, stages)
        except NotDilatableError:
            return _build_pyramid(name, in_channels, OWN_STRIDE, pretrained, stages)
    try:
        model = smp.encoders.get_encoder(
            name, in_channels=in_channels, weights=pretrained, output_stride=output_stride
        )
    except OSError as error:
        raise download_error(name, error) from error
    except (AssertionError, TypeError, ValueError) as error:
        if output_stride != OWN_STRIDE:
            raise NotDilatableError(
                f"encoder {name} does not run at output stride {output_stride}; leave it out or "
                f"give {OWN_STRIDE} (its own), or choose an encoder that can be dilated, such as "
                "resnet50 or tu-tf_efficientnet_lite0"
            ) from error
        raise ModelError(
            f"encoder {name} gives no pyramid of maps ({one_line_reason(error)}); "
            "choose another, such as resnet50"
        ) from error
    replace_dilated_convolutions(model)
    channels = [count for count in model.out_channels if count]
    # The attention of mix transformers looks at patches of 32 pixels, dilated or not.
    multiple = OWN_STRIDE if name.startswith("mit_") else output_stride
    return Encoder(model, tuple(channels[-stages:]), output_stride, multiple)


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
