"""Messages list the first of many names: a class raster may have 254 classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geoseg.classes import ClassScheme
from geoseg.config import Comparison
from geoseg.datasets.polygon_labels import _only_class
from geoseg.datasets.statistics import absent_class_warnings
from geoseg.datasets.training_tiles import Bands, choose_value_range, refuse_other_bands
from geoseg.errors import GeosegError
from geoseg.metrics.protocol import PROTOCOLS
from geoseg.models.external_card import _class_names
from geoseg.raster.bands import FileBand, names_of
from geoseg.raster.compatibility import check_bands
from geoseg.vector.cleaning import Cleaning

NAMES = [f"class {number}" for number in range(254)]
SCHEME = ClassScheme.from_names(NAMES)


def image(names: list[str]) -> Any:
    bands = [FileBand(name, "undefined") for name in names]
    numbers = tuple(range(1, len(names) + 1))
    return SimpleNamespace(
        path="a.tif", file_bands=bands, bands=numbers, bands_chosen=False, files=()
    )


MESSAGES: dict[str, Callable[[], Any]] = {
    "cleaning": lambda: Cleaning.from_options(min_area="5px", keep="x").refuse_unknown(NAMES),
    "protocol": lambda: PROTOCOLS["cityscapes"].check(NAMES),
    "polygons": lambda: _only_class(SCHEME),
    "absent": lambda: absent_class_warnings(SimpleNamespace(class_pixels=[0] * 254), NAMES),  # type: ignore[arg-type]
    "value range": lambda: choose_value_range({"x": (0, 1)}, [], NAMES),
    "missing band": lambda: Bands((300,), ("x",)).refuse_missing(image(NAMES)),
    "other bands": lambda: refuse_other_bands(image(NAMES), image(NAMES[::-1])),
    "band names": lambda: names_of(image(NAMES).file_bands),
    "a model's bands": lambda: check_bands(image(["red"]), NAMES),
    "numbered": lambda: _class_names(Path("a"), {"names": {f"c{name}": name for name in NAMES}}),
    "variants": lambda: Comparison(variants={n: {} for n in NAMES}, steps=1, baseline="x"),
}


@pytest.mark.parametrize("what", MESSAGES)
def test_of_many_names_a_message_lists_the_first(what: str) -> None:
    try:
        message = str(MESSAGES[what]())
    except (GeosegError, ValueError) as error:
        message = str(error)
    assert " and 234 more" in message
    assert len(message) < 800
