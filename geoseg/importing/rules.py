"""Name tables: where a file's tensors go in a network, and what is made of them on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

TRAINING_ONLY = "it serves training only"


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a name table.

    Names are whole, or the beginnings of names up to a dot; of several rules that fit a name, the
    longest holds. An empty one fits all names.
    """

    source: str
    """The name in the file."""
    target: str | None
    """The name in the network; None: the tensors are left out."""
    change: Callable[[Tensor], Tensor] | None = None
    """What is made of their values."""
    note: str = ""
    """What that is, or why they are left out."""
    bias_into: str | None = None
    """The batch normalisation that takes up a convolution's bias, where the network's convolution
    has none: as the bias would be subtracted with the mean again, the mean is less by it."""

    def fits(self, name: str) -> bool:
        """Whether it is about a tensor of this name."""
        return not self.source or name == self.source or name.startswith(f"{self.source}.")

    def place(self, name: str) -> str | None:
        """The name in the network of a tensor that the rule fits; None: it is left out."""
        if self.target is None:
            return None
        rest = name[len(self.source) :].lstrip(".")
        return ".".join(part for part in (self.target, rest) if part)


def conv_bn(
    source: str,
    target: str,
    names: tuple[str, str] = ("conv", "bn"),
    change: Callable[[Tensor], Tensor] | None = None,
    note: str = "",
) -> Iterator[Rule]:
    """The rules of a convolution with its batch normalisation, a `conv_bn_relu` in the network.

    Args:
        source: the name in the file of what holds both; empty where that is the file itself.
        target: the name of the `conv_bn_relu`.
        names: of the two in the file.
        change: what is made of the convolution's weights.
        note: what that is.
    """
    conv, norm = (f"{source}.{name}".lstrip(".") for name in names)
    if change is not None:
        yield Rule(f"{conv}.weight", f"{target}.0.weight", change, note)
    yield Rule(conv, f"{target}.0", bias_into=f"{target}.1")
    yield Rule(norm, f"{target}.1")


def numbered(source: str, target: str, first: int = 0) -> Iterable[Rule]:
    """`conv_bn` of modules in a sequence: the convolution has number `first`, its norm the next."""
    return conv_bn(source, target, (str(first), str(first + 1)))


def left_out(note: str, *sources: str) -> list[Rule]:
    """The rules of tensors that the network has no use for."""
    return [Rule(source, None, note=note) for source in sources]


def first_last(source: str, target: str, names: tuple[str, str], channels: int) -> Iterator[Rule]:
    """`conv_bn` of concatenated maps, the first of which goes last in the network.

    Args:
        source: see `conv_bn`.
        target: likewise.
        names: likewise.
        channels: of the map that is the first in the file.
    """

    def roll(weight: Tensor) -> Tensor:
        return torch.cat([weight[:, channels:], weight[:, :channels]], 1)

    return conv_bn(source, target, names, roll, "input channels in the network's order")


def as_vector(scalar: Tensor) -> Tensor:
    """A number without an axis as a tensor of one."""
    return scalar.reshape(1)
