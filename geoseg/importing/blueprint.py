"""What a file's tensors say of the network that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from geoseg.errors import ModelError
from geoseg.importing.rules import Rule


@dataclass(frozen=True)
class Blueprint:
    """A network as far as its tensors tell, and the name table of what is not in its encoder."""

    system: str
    """One of `geoseg.systems()`."""
    classifier: str
    """The name in the file of the last convolution's weights ``(classes, C, k, k)``."""
    rules: tuple[Rule, ...]
    """Of all but the encoder."""
    encoder_source: str
    """What stands before the encoder's names in the file; empty: nothing, and no rule fits them."""
    preset: str = "geoseg"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the system."""
    encoder: str | None = None
    """Where the file names it."""
    output_stride: int | None = None
    """Likewise."""
    strided: bool = True
    """Whether the encoder's stride has to be stated."""
    basic_blocks: bool = True
    """Whether ResNets of basic blocks are dilated where it comes from as they are in timm."""
    refusal: str | None = None
    """Why geoseg does not build it; its encoder can be taken nevertheless."""


def width_of(tensors: Mapping[str, Tensor], name: str, axis: int = 0) -> int:
    """Channels that a convolution gives (axis 0) or takes (axis 1).

    Raises:
        ModelError: there is no such convolution.
    """
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != 4:
        raise ModelError(
            f"the file has no convolution {name!r}, which its other tensors ask for; it is cut "
            "short, or another network's"
        )
    return int(tensor.shape[axis])
