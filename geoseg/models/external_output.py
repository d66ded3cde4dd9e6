"""What a foreign network gives: the tensor of it that is meant, and whether that is a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from geoseg.errors import ModelError
from geoseg.models.external_card import OUTPUTS

_KNOWN_KEYS = ("out", "logits", "probabilities", "masks")
"""Of networks that give a mapping or an object: torchvision's, transformers'."""
_COARSEST = 64
"""Pixels of an image's side, at most, that one position of a map stands for."""


def main_tensor(given: Any) -> Tensor:
    """The main output of a network.

    Raises:
        ModelError: there is none.
    """
    if isinstance(given, Tensor):
        return given
    for key in _KNOWN_KEYS:
        found = given.get(key) if isinstance(given, Mapping) else getattr(given, key, None)
        if isinstance(found, Tensor):
            return found
    if isinstance(given, tuple | list) and given and isinstance(given[0], Tensor):
        return given[0]
    names = f" of {', '.join(map(str, given))}" if isinstance(given, Mapping) and given else ""
    raise ModelError(
        f"the network gives {type(given).__name__}{names}; wrap a module that gives one tensor, "
        f"(N, classes, H, W), or has it as {' or '.join(_KNOWN_KEYS[:2])}"
    )


def shape_advice(shape: Sequence[int], channels: int) -> str:
    """What to do with a network whose output has this shape, instead of ``(1, channels, H, W)``."""
    if len(shape) == 4 and shape[3] == channels:
        return (
            "its classes come last: let it give x.permute(0, 3, 1, 2) of them, in a module around "
            "it (tf2onnx: --outputs-as-nchw)"
        )
    ids = "; class ids are output: labels" if tuple(shape[1:2]) == (1,) else ""
    return f"give the right classes or output ({', '.join(OUTPUTS)}){ids}"


def refuse_no_map(logits: Tensor, height: int, width: int) -> None:
    """Refuse what would be spread wrongly over an image of this size.

    That is one position for a large image, which are classes of the image as a whole, or a map
    without the image's edges, as convolutions without padding make it.

    Raises:
        ModelError: it is one of them.
    """
    rows, cols = logits.shape[2:]
    if rows * cols == 1 and min(height, width) > _COARSEST:
        raise ModelError(
            f"the network gives one position, {tuple(logits.shape)}, for an image of {height} x "
            f"{width}: no map of classes; export the output that is one as the first"
        )
    if not (_spans(rows, height) and _spans(cols, width)):
        raise ModelError(
            f"the network gives a map of {rows} x {cols} for an image of {height} x {width}: "
            "without its edges, or not a whole number of pixels a position, so classes would be "
            "displaced; let it give a map of the whole image (pad what convolutions cut off, or "
            "resize it)"
        )


def _spans(positions: int, side: int) -> bool:
    """Whether a map's side is an image's at a whole pitch, give or take one position."""
    more, fewer = max(positions, side), min(positions, side)
    pitch = round(more / fewer) if fewer else 0
    return abs(more - pitch * fewer) <= pitch
