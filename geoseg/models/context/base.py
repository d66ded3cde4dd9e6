"""The one interface of all context heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Literal, NamedTuple, get_args, get_origin, get_type_hints

from torch import Tensor, nn

from geoseg.errors import ModelError


class Outputs(NamedTuple):
    """What a head, and a network in training mode, gives back."""

    logits: Tensor
    """``(N, classes, H, W)`` main logits."""
    aux: dict[str, Tensor]
    """Auxiliary logits by name, ``(N, classes, h, w)`` at feature size (losses upsample them)."""


@dataclass(frozen=True)
class Switches:
    """The options of one system: a frozen dataclass whose values are checked against their annotations at birth.

    ``Literal[...]`` takes one of its names, ``bool`` a truth value, ``int`` a number from 1 on (a width or a
    count), ``tuple[int, ...]`` one or more such numbers, ``float`` a number from 0 on.
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, hint = getattr(self, field.name), hints[field.name]
            fits, needed = _fits(value, hint)
            if not fits:
                raise ModelError(f"option {field.name}={value!r}: give {needed}")


def _fits(value: object, hint: Any) -> tuple[bool, str]:
    """Whether a switch's value keeps to its annotation, and what would."""
    if get_origin(hint) is Literal:
        return value in get_args(hint), " or ".join(repr(name) for name in get_args(hint))
    if get_origin(hint) is tuple:
        counts = (
            isinstance(value, tuple)
            and len(value) > 0
            and all(_fits(item, int)[0] for item in value)
        )
        return counts, "one or more whole numbers from 1 on"
    if hint is bool:
        return isinstance(value, bool), "true or false"
    if hint is int:
        return isinstance(value, int) and not isinstance(
            value, bool
        ) and value >= 1, "a whole number from 1 on"
    return isinstance(value, (int, float)) and not isinstance(
        value, bool
    ) and value >= 0, "a number from 0 on"


class ContextHead(nn.Module, ABC):
    """Encoder features in, logits at feature size out.

    A head is an interface's leaf: heads share code by calling `geoseg.models.layers`, never by inheriting
    from one another. Constructors take ``in_channels`` (channels of the features that the head uses, shallow
    to deep), ``classes``, ``preset`` and then the system's own switches as keywords.
    """

    name: ClassVar[str]
    """The name in `geoseg.systems()`."""
    paper: ClassVar[str]
    """Title, year and link of the paper."""
    stages: ClassVar[int] = 1
    """How many of the encoder's deepest features the head uses (0: it takes the image itself)."""
    presets: ClassVar[Mapping[str, Any]]
    """The `Switches` of each preset that the system has; ``geoseg`` always stands first."""
    aux_weights: ClassVar[Mapping[str, float]] = {}
    """The paper's loss weight of each auxiliary output, beside 1 for the main one. Switches may leave outputs out."""

    switches: Any
    """The `Switches` that this head was built with."""

    @classmethod
    def choose(cls, preset: str, given: Mapping[str, Any]) -> Any:
        """The preset's switches with the `given` ones put in their place.

        Raises:
            ModelError: the system has no such preset or switch, or a value does not fit it.
        """
        if preset not in cls.presets:
            raise ModelError(
                f"{cls.name} has no preset {preset!r}; it has {', '.join(cls.presets)}"
            )
        switches = cls.presets[preset]
        known = [field.name for field in fields(switches)]
        for name in given:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise ModelError(f"{cls.name} has no option {name!r}; {has}")
        try:
            return replace(switches, **given)
        except ModelError as error:
            raise ModelError(f"{cls.name}: {error}") from error

    @abstractmethod
    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **given: Any
    ) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits from the encoder's features.

        Args:
            features: `stages` maps ``(N, in_channels[i], h, w)`` of one size, shallow to deep.

        Returns:
            Logits and auxiliary logits at feature size. Auxiliary logits that the main path does not need
            are computed in training mode only.
        """
