"""The names and colours of the classes in a class raster."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree as ET

from rasterio.enums import ColorInterp

from geoseg.classes import MAX_CLASSES, ClassScheme, Color, default_colors
from geoseg.errors import SourceError
from geoseg.raster.gdal import open_dataset

_MARKS = ("<Description>class</Description>", "<CategoryNames>")
"""Of the band of a class raster of geoseg's, as GDAL writes it down."""
CLASSES_TAG = "GEOSEG_CLASSES"
"""The metadata item with the class names, a JSON list: it remains if the ``.aux.xml`` gets lost."""


def read_class_names(path: Path) -> tuple[str, ...] | None:
    """The class names in a class raster that geoseg has written; None in any other raster.

    Raises:
        SourceError: not a raster that can be read, or its class names are damaged.
    """
    with open_dataset(path) as file:
        names = file.tags().get(CLASSES_TAG)
    if names is None:
        return None
    try:
        listed = json.loads(names)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise SourceError(
            f"{path}: its class names are damaged ({CLASSES_TAG} is no JSON list of texts); "
            "copy or make it again"
        )
    return tuple(listed)


def every_class(path: Path) -> ClassScheme:
    """A different name and a colour for each of the class ids 0..253 of any raster.

    geoseg's own names, or GDAL's category names; ``class N`` where there is none, and a number
    after a name that has occurred before. Colours are those of the palette, where there is one.

    Raises:
        SourceError: the raster or its ``.aux.xml`` cannot be read.
    """
    own = read_class_names(path)
    known = tuple(_category_names(path)) if own is None else own
    return _scheme_of(known, _palette(path) or default_colors(MAX_CLASSES))


@lru_cache(maxsize=64)  # thousands of rasters of one kind take 50 kB each otherwise
def _scheme_of(known: tuple[str, ...], colors: tuple[Color, ...]) -> ClassScheme:
    names: list[str] = []
    for class_id in range(MAX_CLASSES):
        name = known[class_id].strip() if class_id < len(known) else ""
        is_new = name and name not in names
        names.append(name if is_new else f"{name or 'class'} {class_id}")
    return ClassScheme.from_names(names, colors)


def _palette(path: Path) -> tuple[Color, ...]:
    with open_dataset(path) as file:
        if file.colorinterp[0] != ColorInterp.palette:
            return ()
        colors = file.colormap(1)
    return tuple(colors.get(class_id, (0, 0, 0))[:3] for class_id in range(MAX_CLASSES))


def _category_names(path: Path) -> list[str]:
    """The names that GDAL keeps beside a raster, or in a VRT."""
    described = path if path.suffix.lower() == ".vrt" else path.with_name(f"{path.name}.aux.xml")
    if not described.is_file():
        return []
    # It has been opened before, which refuses what is malformed, too large or too deep.
    found = ET.parse(described).find(".//CategoryNames")  # noqa: S314
    return [] if found is None else [entry.text or "" for entry in found]


def describes_classes(path: Path) -> bool:
    """Whether a file is the ``.aux.xml`` of a class raster of geoseg's, with whatever viewers add.

    Without the raster nothing in it is of use to anybody.
    """
    if not path.name.endswith(".aux.xml"):
        return False
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.startswith("<PAMDataset") and all(mark in text for mark in _MARKS)
