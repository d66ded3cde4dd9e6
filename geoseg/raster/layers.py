"""What the pixels of each kind of output raster mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from geoseg.classes import NODATA, UNCERTAIN, ClassScheme, Color
from geoseg.raster.class_names import CLASSES_TAG
from geoseg.raster.overviews import Halve, halve_by_mean, halve_by_mode

_SCALE = 1 / 255
Meaning = tuple[str, Color, int]
"""Name, colour and opacity (0..255) of a value."""
_CODES: Mapping[int, Meaning] = {
    UNCERTAIN: ("uncertain", (128, 128, 128), 255),
    NODATA: ("no data", (0, 0, 0), 0),
}
_ERROR_CODES: Mapping[int, Meaning] = {
    UNCERTAIN: ("right", (255, 255, 255), 90),  # a veil over imagery
    NODATA: ("not scored", (0, 0, 0), 0),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """A uint8 raster, georeferencing aside."""

    bands: Sequence[str]
    """Their names."""
    halve: Halve
    """What makes an overview of the level below."""
    nodata: int | None = None
    """None: a mask says what is valid."""
    classes: ClassScheme | None = None
    """Palette and names of a class raster."""
    scale: float | None = None
    """What a stored value is multiplied by."""
    codes: Mapping[int, Meaning] = field(default_factory=lambda: _CODES)
    """Of a class raster, what 254 and 255 mean."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def meanings(self) -> dict[int, Meaning]:
        """Of each value of a class raster: the classes, then the codes; else none."""
        if self.classes is None:
            return {}
        named = zip(self.classes.names, self.classes.colors, strict=True)
        return {value: (*each, 255) for value, each in enumerate(named)} | dict(self.codes)


def class_layer(classes: ClassScheme) -> Layer:
    """Classes 0..n-1, 254 uncertain, 255 nodata; palette and class names; overviews by mode."""
    return Layer(["class"], halve_by_mode, NODATA, classes, tags=_names(classes))


def error_layer(kinds: ClassScheme) -> Layer:
    """Kinds of errors 0..n-1, 254 right, 255 not scored; else as `class_layer`."""
    return replace(class_layer(kinds), bands=["error"], codes=_ERROR_CODES)


def confidence_layer() -> Layer:
    """round(255 p), scale 1/255, 0 nodata; overviews by mean."""
    return Layer(["confidence"], halve_by_mean, 0, scale=_SCALE)


def probability_layer(classes: ClassScheme) -> Layer:
    """A band a class, round(255 p), scale 1/255, with an internal mask; overviews by mean."""
    return Layer(classes.names, halve_by_mean, scale=_SCALE, tags=_names(classes))


def _names(classes: ClassScheme) -> dict[str, str]:
    return {CLASSES_TAG: json.dumps(classes.names)}
