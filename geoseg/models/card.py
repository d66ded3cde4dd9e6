"""The card: everything that prediction must know about a model and must not guess."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError, ModelError
from geoseg.models.spec import ModelSpec

FORMAT = 1
"""Version of the card's JSON. Raised when an older geoseg could not read a card, or would misread it."""


@dataclass(frozen=True)
class Card:
    """What a model takes, what it gives, and where it comes from."""

    spec: ModelSpec
    """The network."""
    classes: ClassScheme
    """Names and colours of what it tells apart."""
    bands: tuple[str, ...]
    """Names of the bands it takes, in order."""
    value_range: tuple[float, float]
    """The values from black to white of the rasters it was trained on, such as (0, 255)."""
    mean: tuple[float, ...]
    """Mean of each band, in units of the value range."""
    std: tuple[float, ...]
    """Standard deviation of each band, in units of the value range."""
    window: int = 512
    """Pixels a side of the windows that the network is run on."""
    overlap: int = 128
    """Pixels that neighbouring windows share."""
    ground_sampling: float | None = None
    """Metres on the ground a pixel; None where it is not known."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """How the weights came about: data, steps, seed, figures. Values that JSON can hold."""
    license: str | None = None
    """Under which terms the weights may be used."""

    def __post_init__(self) -> None:
        if len(self.classes) != self.spec.classes:
            raise ModelError(
                f"{len(self.classes)} classes are named, the network tells {self.spec.classes} apart"
            )
        for name in ("bands", "mean", "std"):
            count = len(getattr(self, name))
            if count != self.spec.in_channels:
                raise ModelError(
                    f"{name} has {count} entries, the network takes {self.spec.in_channels} bands"
                )
        if len(set(self.bands)) != len(self.bands):
            raise ModelError(f"bands {', '.join(self.bands)}: names must differ")
        if (
            len(self.value_range) != 2
            or not _finite(self.value_range)
            or self.value_range[0] >= self.value_range[1]
        ):
            raise ModelError(
                f"value_range {self.value_range} is not two numbers, low then high, such as (0, 255)"
            )
        if not _finite(self.mean) or not _finite(self.std) or min(self.std) <= 0:
            raise ModelError(f"mean {self.mean} and std {self.std} must be finite, and std above 0")
        if self.window < 1 or not 0 <= self.overlap < self.window:
            raise ModelError(
                f"window {self.window} and overlap {self.overlap}: overlap goes from 0 to window - 1"
            )
        if self.ground_sampling is not None and not 0 < self.ground_sampling < math.inf:
            raise ModelError(f"ground_sampling {self.ground_sampling} is not a length in metres")

    def to_json(self) -> str:
        """The card as JSON, version first.

        Raises:
            ModelError: `training` holds what JSON cannot.
        """
        try:
            return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"training holds what JSON cannot ({error}); give plain numbers, texts and lists"
            ) from error

    @classmethod
    def from_json(cls, text: str) -> Card:
        """The card of a JSON text.

        Raises:
            ModelError: it is no card, lacks something, says what cannot be, or is from a newer geoseg.
        """
        try:
            document = json.loads(text)
            version = int(document.pop("format"))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError("its card is no geoseg card; train or save the model again") from error
        if version > FORMAT:
            raise ModelError(
                f"its card has format {version}, this geoseg reads up to {FORMAT}; upgrade geoseg"
            )
        try:
            return cls(
                spec=ModelSpec(**document["spec"]),
                classes=_scheme(document["classes"]),
                bands=tuple(str(name) for name in document["bands"]),
                value_range=_numbers(document["value_range"]),  # type: ignore[arg-type]
                mean=_numbers(document["mean"]),
                std=_numbers(document["std"]),
                window=int(document["window"]),
                overlap=int(document["overlap"]),
                ground_sampling=document["ground_sampling"],
                training=dict(document["training"]),
                license=document["license"],
            )
        except KeyError as error:
            raise ModelError(
                f"its card has no {error.args[0]!r}; train or save the model again"
            ) from error
        except (ConfigError, TypeError, ValueError) as error:
            raise ModelError(
                f"its card cannot be right ({error}); upgrade geoseg, or save the model again"
            ) from error


def _scheme(document: Mapping[str, Any]) -> ClassScheme:
    return ClassScheme(
        names=tuple(document["names"]),
        colors=tuple((int(r), int(g), int(b)) for r, g, b in document["colors"]),
        values=tuple(tuple(values) for values in document["values"]),
        ignore=tuple(document["ignore"]),
    )


def _numbers(values: list[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _finite(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in values)
