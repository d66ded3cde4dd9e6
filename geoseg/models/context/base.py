"""The one interface of all context heads, and how their options are checked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geoseg.errors import ModelError, shown

MAX_SIZE = 65_536
"""The largest width. Without a bound, a typing error would ask for terabytes."""
Size = Annotated[int, Field(gt=0, le=MAX_SIZE)]
"""A width or a number of things."""
DropoutShare = Annotated[float, Field(ge=0, lt=1)]
"""Share of the features that is dropped in training."""
Resizing = Literal["own", "bilinear", "corners", "openseg"]
"""How a network brings maps to another size; see `HeadOptions`."""


Maps = dict[str, Tensor]
"""What a head's `local` part gives its `context` part: maps ``(N, C, h, w)`` of one size, by name.
"""


class Outputs(NamedTuple):
    """What a head, and a network in training mode, returns."""

    logits: Tensor
    """``(N, classes, H, W)`` main logits."""
    aux: dict[str, Tensor]
    """Auxiliary logits by name, ``(N, classes, h, w)`` at feature size (losses upsample them)."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
class NoOptions:
    """Of a system that has none; base of all others, frozen pydantic dataclasses.

    Strict: 2.0 is not a width, 1 not a truth value and a list not a tuple (`ModelSpec` makes tuples
    of the lists of a YAML file).
    """


@dataclass(frozen=True)
class HeadOptions(NoOptions):
    """Base of the options of each system with an encoder."""

    resizing: Resizing = "own"
    """How maps are brought to another size, for networks that were trained elsewhere. ``own``:
    bilinear, positions being the centres of squares, and inside an encoder as its library does it.
    ``bilinear``: inside HRNet too, which takes the nearest position in timm (mmsegmentation).
    ``corners``: likewise, but the outer positions stay the outer ones, ``align_corners`` (HRNet's
    code). ``openseg``: likewise, and ResNet's pooling keeps the last row and column, ``ceil_mode``.
    """

    @property
    def corners(self) -> bool:
        """Whether the outer positions of a map stay the outer ones, ``align_corners``."""
        return self.resizing in ("corners", "openseg")


@dataclass(frozen=True)
class WidthOptions(HeadOptions):
    """The one width of a comparison scheme."""

    channels: Size = 512
    """Width of the features that the scheme works on, and of those that are classified."""


@dataclass(frozen=True)
class AttentionWidthOptions(WidthOptions):
    """The two widths of a comparison scheme that attends."""

    key_channels: Size = 256
    """Width of queries, keys and values."""


class ContextHead(nn.Module, ABC):
    """Encoder features in, logits at feature size out.

    A head is two parts. What `local` makes of a position depends on the positions within `radius`
    of it alone; `context` takes the maps of one image, or of one window cut from the maps of a
    larger one, and brings its positions together. So each pixel of a raster can be encoded once,
    however many windows see it.

    Heads share code by calling `geoseg.models.layers`, never by inheriting from one another.
    Constructors take ``in_channels`` (channels of the features that the head uses, shallow to
    deep), ``classes``, ``preset``, and then the system's own options as keywords.
    """

    name: ClassVar[str]
    """The name in `geoseg.systems()`."""
    paper: ClassVar[str]
    """Title, year and link of the paper."""
    radius: int
    """Positions on each side that decide what `local` gives at a position, at most."""
    contextual: ClassVar[bool] = True
    """Whether `context` brings positions together; if not, the head is local throughout."""
    stages: ClassVar[int] = 1
    """How many of the encoder's deepest features the head uses (0: it takes the image itself)."""
    presets: ClassVar[Mapping[str, NoOptions]]
    """The options of each preset that the system has; ``geoseg`` always comes first."""
    aux_weights: ClassVar[Mapping[str, float]] = {}
    """The paper's loss weight of each auxiliary output, next to 1 for the main one. An output is
    left out where an option of its name is False."""

    options: Any
    """Those that this head was built with, of `presets`' type."""

    @property
    def own_aux_weights(self) -> dict[str, float]:
        """`aux_weights` of the outputs that this head gives in training mode."""
        return {
            name: weight
            for name, weight in self.aux_weights.items()
            if getattr(self.options, name, True)
        }

    @classmethod
    def choose_options(cls, preset: str, given: Mapping[str, Any]) -> Any:
        """The options of a preset, those that are `given` replaced.

        Raises:
            ModelError: the system has no such preset or option, or a value does not fit it.
        """
        if preset not in cls.presets:
            raise ModelError(
                f"{cls.name} has no preset {shown(preset)}; it has {', '.join(cls.presets)}"
            )
        options = cls.presets[preset]
        try:
            return replace(options, **given)
        except ValidationError as error:
            raise ModelError(f"{cls.name}{_reason(error, options)}") from error

    @abstractmethod
    def __init__(
        self, in_channels: Sequence[int], classes: int, preset: str = "geoseg", **options: Any
    ) -> None:
        super().__init__()
        self.options = self.choose_options(preset, options)

    @abstractmethod
    def local(self, features: Sequence[Tensor]) -> Maps:
        """The maps that `context` needs, from the encoder's features as `forward` takes them.

        In training mode also those that auxiliary logits alone need.
        """

    @abstractmethod
    def context(self, maps: Maps) -> Outputs:
        """Logits and auxiliary logits of the maps of one image or window, or of a batch of them.

        Maps are taken out of `maps` where that lets go of their memory.
        """

    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits from the encoder's features.

        Args:
            features: `stages` maps ``(N, in_channels[i], h, w)`` of one size, shallow to deep.

        Returns:
            Logits and auxiliary logits at feature size. Auxiliary logits that the main path does
            not need are computed in training mode only.
        """
        return self.context(self.local(features))


def _reason(error: ValidationError, options: Any) -> str:
    """The first thing that is wrong with a system's options, to be read after the system's name."""
    first = error.errors()[0]
    if first["type"] == "unexpected_keyword_argument":
        known = ", ".join(field.name for field in fields(options))
        return f" has no option {shown(first['loc'][0])}; it has {known or 'none'}"
    if first["type"] == "value_error":  # raised by the options' own checks
        return f": {first['ctx']['error']}"
    name, *places = first["loc"]
    where = "".join(f"[{place}]" for place in places)
    return f": option {name}{where}={shown(first['input'])}: {first['msg'].replace('Input', 'it')}"
