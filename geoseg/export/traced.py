"""A network traced for any batch and size: standardised image in, probabilities out."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from geoseg.errors import ModelError, one_line_reason
from geoseg.models import Segmenter
from geoseg.models.external import External
from geoseg.models.layers import pool_pyramid
from geoseg.models.same_padding import constant_same_padding
from geoseg.models.stored_tensors import Network

INPUT, OUTPUT = "image", "probabilities"
MOST_PIXELS = 2**16
"""The longest side of an image; also the largest batch."""
_LEAST_SIDES = ((5, 64), (7, 96))
"""Of the image that is traced: in multiples of the network's, and in pixels."""
_OF_ONE_SIZE = "RotaryEmbeddingDinoV3"
"""timm's positions of DINOv3, whose graph holds those of one size of images."""
_REFUSED = {
    "ranet": "the regions of RANet depend on the image, which no graph of fixed steps can follow; "
    "export another system (hcnet, ocrnet, apcnet, isnet), or use RANet in geoseg",
}


class Probabilities(nn.Module):
    """A network and its softmax."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Probabilities of the classes.

        Args:
            image: ``(N, bands, H, W)`` float32, standardised: ``(values - mean) / std``.

        Returns:
            ``(N, classes, H, W)`` float32, summing to 1 over classes.
        """
        return torch.softmax(self.net(image), dim=1)


def refuse_unexportable(net: Network) -> Segmenter:
    """The network itself, if an export can hold it.

    Raises:
        ModelError: it is one; the message says what to do.
    """
    if net.spec.system in _REFUSED:
        raise ModelError(f"{net.spec.system} cannot be exported: {_REFUSED[net.spec.system]}")
    if isinstance(net, External):
        raise ModelError("the network is another program's; give its own file to others")
    if net.spec.encoder is not None:
        from geoseg.models.plain import attends_in_windows

        if attends_in_windows(
            net.spec.encoder
        ):  # tracing them for all sizes does not end in minutes
            raise ModelError(
                f"encoder {net.spec.encoder} cannot be exported: its windows depend on the image's "
                "size; train with another encoder, such as tu-convnext_tiny, or use it in geoseg"
            )
    if any(type(module).__name__ == _OF_ONE_SIZE for module in net.modules()):
        raise ModelError(
            f"encoder {net.spec.encoder} cannot be exported: its graph holds the positions of one "
            "size of images; train with another encoder, such as tu-vit_small_patch14_dinov2, or "
            "use it in geoseg"
        )
    return net


class _Pooled(nn.Module):
    """`nn.AdaptiveAvgPool2d` to ``size x size``, for maps of any size."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, size, size)`` means of a map ``(N, C, h, w)``."""
        means = pool_pyramid(x, (self.size,)).to(x.dtype)
        return means.view(*x.shape[:2], self.size, self.size)


def _for_any_size(net: Segmenter) -> Segmenter:
    """A copy for images that need no padding, whose pools give graphs for all sizes of them."""
    copied = copy.deepcopy(net)
    copied.multiple = 1
    for module in list(copied.modules()):
        for name, child in module.named_children():
            size = getattr(child, "output_size", None)
            size = size[0] if isinstance(size, tuple) and len(set(size)) == 1 else size
            if type(child) is nn.AdaptiveAvgPool2d and isinstance(size, int) and size > 1:
                setattr(module, name, _Pooled(size))
    return copied


def trace(net: Network) -> ExportedProgram:
    """The network as one graph for any batch and for sides that are multiples of `net.multiple`.

    Raises:
        ModelError: the network cannot be traced.
    """
    net = refuse_unexportable(net)
    probabilities = Probabilities(_for_any_size(net)).eval()
    step = net.multiple
    rows, columns = (Dim(name, min=1, max=MOST_PIXELS // step) for name in ("rows", "columns"))
    # Sides of 1 position would be taken for constants. Of odd multiples none is divided more often
    # than all are, so that what torch sees of them holds for all (`constant_same_padding`).
    height, width = (step * (max(least, pixels // step) | 1) for least, pixels in _LEAST_SIDES)
    example = torch.zeros(2, net.spec.in_channels, height, width)
    shapes = {INPUT: {0: Dim("batch", min=1, max=MOST_PIXELS), 2: step * rows, 3: step * columns}}
    try:
        with warnings.catch_warnings(action="ignore"), constant_same_padding(step):
            return export(probabilities, (example,), dynamic_shapes=shapes)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{net.spec.system} on {net.spec.encoder} cannot be traced "
            f"({one_line_reason(error)}); export a model with another encoder, such as resnet50"
        ) from error
