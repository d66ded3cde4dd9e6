"""What the pixels of each kind of output raster mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geoseg.classes import NODATA, ClassScheme
from geoseg.raster.class_names import CLASSES_TAG
from geoseg.raster.overviews import Halve, halve_by_mean, halve_by_mode

_SCALE = 1 / 255


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
    tags: Mapping[str, str] = field(default_factory=dict)


def class_layer(classes: ClassScheme) -> Layer:
    """Classes 0..n-1, 254 uncertain, 255 nodata; palette and class names; overviews by mode."""
    return Layer(["class"], halve_by_mode, NODATA, classes, tags=_names(classes))


def confidence_layer() -> Layer:
    """round(255 p), scale 1/255, 0 nodata; overviews by mean."""
    return Layer(["confidence"], halve_by_mean, 0, scale=_SCALE)


def probability_layer(classes: ClassScheme) -> Layer:
    """A band a class, round(255 p), scale 1/255, with an internal mask; overviews by mean."""
    return Layer(classes.names, halve_by_mean, scale=_SCALE, tags=_names(classes))


def _names(classes: ClassScheme) -> dict[str, str]:
    return {CLASSES_TAG: json.dumps(classes.names)}
