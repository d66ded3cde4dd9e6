"""The card: everything that prediction must know about a model and must not guess."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from geoseg.classes import ClassScheme, check_name
from geoseg.errors import ModelError
from geoseg.models.spec import ModelSpec
from geoseg.value_ranges import Range, is_per_band, per_band
from geoseg.yaml_files import first_error

FORMAT = 1
"""Version of the card's JSON. Raised when an older geoseg could not read a card, or would misread
it."""
_DEEPEST = 32
"""Mappings and lists inside one another that a card may hold."""
_Number = Annotated[float, Field(strict=True)]
_Pair = tuple[_Number, _Number]
_Ranges = Annotated[
    Annotated[_Pair, Tag("one")] | Annotated[tuple[_Pair, ...], Tag("each")],
    Discriminator(lambda given: "each" if is_per_band(given) else "one"),
]
_Pixels = Annotated[int, Field(strict=True, le=1_000_000)]


class Card(BaseModel):
    """What a model takes, what it gives, and where it comes from.

    Raises:
        ModelError: a value has another type or range, or does not fit the others.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    spec: ModelSpec
    """The network."""
    classes: ClassScheme
    """Names and colours of the classes."""
    bands: tuple[str, ...]
    """Names of the bands it takes, in order."""
    value_range: _Ranges
    """The values from black to white of the rasters it was trained on, such as (0, 255); a pair for
    each band where they differ."""
    mean: tuple[_Number, ...]
    """Mean of each band, in units of the value range."""
    std: tuple[Annotated[float, Field(gt=0, strict=True)], ...]
    """Standard deviation of each band, in units of the value range."""
    window: _Pixels = 512
    """Side in pixels of the windows that the network is run on."""
    overlap: _Pixels = 128
    """Pixels that neighbouring windows share."""
    ground_sampling: Annotated[float, Field(gt=0, strict=True)] | None = None
    """Metres on the ground a pixel; None where it is not known."""
    training: dict[str, Any] = Field(default_factory=dict)
    """How the weights came about: data, steps, seed, metrics. Values that JSON can hold."""
    license: str | None = None
    """Under which terms the weights may be used."""

    if not TYPE_CHECKING:  # type checkers know the arguments from the fields

        def __init__(self, **facts: Any) -> None:
            try:
                super().__init__(**facts)
            except ValidationError as error:
                raise ModelError(first_error(error, facts, Card)) from None

    @field_validator("bands")
    @classmethod
    def _check_names(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        for name in bands:
            check_name(name, "band")
        return bands

    @model_validator(mode="after")
    def _check_that_facts_fit(self) -> Card:
        if len(self.classes) != self.spec.classes:
            raise ModelError(
                f"{len(self.classes)} classes are named, the network has {self.spec.classes}"
            )
        for name in ("bands", "mean", "std"):
            count = len(getattr(self, name))
            if count != self.spec.in_channels:
                raise ModelError(
                    f"{name} has {count} entries, the network takes {self.spec.in_channels} bands"
                )
        if len(set(self.bands)) != len(self.bands):
            raise ModelError(f"bands {', '.join(self.bands)}: names must differ")
        try:
            ranges = self.ranges
        except ValueError as error:
            raise ModelError(f"value_range: {error}; give one, or one for each band") from None
        if any(low >= high for low, high in ranges):
            raise ModelError(f"value_range {self.value_range}: give low and high, such as (0, 255)")
        if not 0 <= self.overlap < self.window:
            raise ModelError(
                f"window {self.window} and overlap {self.overlap}: "
                "overlap goes from 0 to window - 1"
            )
        return self

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The value range of each band."""
        return per_band(self.value_range, len(self.bands))

    def to_json(self) -> str:
        """The card as JSON, version first.

        Raises:
            ModelError: `training` holds what JSON cannot.
        """
        try:
            return json.dumps({"format": FORMAT, **self.model_dump()}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"training holds what JSON cannot ({error}); give plain numbers, texts and lists"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Card:
        """The card of a JSON text.

        Raises:
            ModelError: not a card, a missing key, a wrong value, or a card of a newer geoseg.
        """
        try:
            document = json.loads(text)
            json.dumps(document, ensure_ascii=False).encode()  # \ud800 is JSON, but no text
            version = document.pop("format")
            is_card = type(version) is int and version > 0 and not _is_deeper(document, _DEEPEST)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(
                "its card is not a geoseg card; train or save the model again"
            ) from error
        if not is_card:
            raise ModelError("its card is not a geoseg card; train or save the model again")
        _name_resizing(document)
        if version > FORMAT:
            raise ModelError(
                f"its card has format {version}, this geoseg reads up to {FORMAT}; upgrade geoseg"
            )
        try:
            # Keys that a later geoseg added without raising the format are left out.
            return cls(**{name: document[name] for name in cls.model_fields})
        except KeyError as error:
            raise ModelError(
                f"its card has no {error.args[0]!r}; train or save the model again"
            ) from error
        except ModelError as error:
            raise ModelError(
                f"its card is inconsistent ({error}); upgrade geoseg, or save the model again"
            ) from error


def _name_resizing(document: dict[str, Any]) -> None:
    """Say how maps are resized where a card does not: it was written before there was a choice.

    A preset may mean another one today.
    """
    match document:
        case {"spec": {"preset": "released", "options": dict() as options}} if options:
            options.setdefault("resizing", "own")


def _is_deeper(node: Any, levels: int) -> bool:
    """Whether mappings and lists lie inside one another at more than so many levels."""
    if not isinstance(node, dict | list):
        return False
    inner = node.values() if isinstance(node, dict) else node
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)
