"""Class schemes: names and colours of classes, and the values that label rasters have for them."""

from __future__ import annotations

import colorsys
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ConfigError, shown

NODATA = 255
"""Class id of pixels without valid input; also the ignore index of labels. Never a class."""
UNCERTAIN = 254
"""Class id of pixels below ``--min-confidence``. Never a class."""
MAX_CLASSES = 254
_RANGE = re.compile(r"(\d+)-(\d+)")
_RANGE_END = 65535
"""Largest value of a range, whose values are all listed; labels of 16 bits hold no more."""

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ClassScheme:
    """Names and colours of the classes 0..n-1, and how label rasters write them."""

    names: tuple[str, ...]
    """One name per class; the position is the class id in every raster that geoseg writes."""
    colors: tuple[Color, ...]
    """One RGB triple per class, 0..255."""
    values: tuple[tuple[int, ...], ...]
    """The values in label rasters that mean each class (usually one: its id)."""
    ignore: tuple[int, ...] = (NODATA,)
    """Values in label rasters that mean "no label"; there may be none."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_CLASSES:
            raise ConfigError(
                f"{len(self.names)} classes given; "
                f"a class raster holds 1 to {MAX_CLASSES} (254 and 255 are codes)"
            )
        if len(self.colors) != len(self.names) or len(self.values) != len(self.names):
            raise ConfigError(
                f"{len(self.names)} class names, {len(self.colors)} colours, "
                f"{len(self.values)} values; give one of each for every class"
            )
        if len(set(self.names)) != len(self.names):
            repeated = min(name for name in self.names if self.names.count(name) > 1)
            raise ConfigError(f"class name {shown(repeated)} is given twice; names must differ")
        for name in self.names:
            check_name(name, "class name")
        for color in self.colors:
            if len(color) != 3 or not all(0 <= part <= 255 for part in color):
                raise ConfigError(f"colour {color} is not three numbers in 0..255")
        self._check_that_values_differ()

    def _check_that_values_differ(self) -> None:
        names: dict[int, str] = {}
        for name, values in zip(self.names, self.values, strict=True):
            for value in values:
                if value in self.ignore:
                    raise ConfigError(
                        f"label value {value} means class {name!r} and is ignored; give it one "
                        f"meaning (without ignore, {NODATA} is ignored: give another value, or [])"
                    )
                if value in names:
                    raise ConfigError(
                        f"label value {value} means both {names[value]!r} and {name!r}; "
                        "give it one class"
                    )
                names[value] = name

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_names(
        cls, names: Sequence[str], colors: Sequence[Sequence[int]] | None = None
    ) -> ClassScheme:
        """The scheme whose label values are the ids; without `colors`, `default_colors`."""
        if colors is None:
            colors = default_colors(len(names))
        if not isinstance(colors, Sequence | np.ndarray):
            raise ConfigError(f"colors {shown(colors)}: give three whole numbers of each class")
        values = tuple((index,) for index in range(len(names)))
        return cls(tuple(names), tuple(_color(color) for color in colors), values)

    @classmethod
    def parse(cls, document: object) -> ClassScheme:
        """The scheme of a parsed classes file.

        Args:
            document: ``{classes: [name | {id, name, color}, ...], ignore: 255}``, or the list
                alone. ``id`` is the value in label rasters, or a list of values and ranges
                (``128-255``), which all become this class. The position in the list, 0..n-1, is the
                class id in rasters that geoseg writes.

        Raises:
            ConfigError: the document has another form, or gives a value two meanings.
        """
        if isinstance(document, list):
            document = {"classes": document}
        if not isinstance(document, Mapping) or not isinstance(document.get("classes"), list):
            raise ConfigError(
                "a classes file needs a list under 'classes', of names or of {id, name, color}"
            )
        unknown = set(document) - {"classes", "ignore"}
        if unknown:
            raise ConfigError(
                f"classes file: unknown key {shown(min(unknown, key=str))}; "
                "known are 'classes' and 'ignore'"
            )
        defaults = default_colors(len(document["classes"]))
        entries = [
            _entry(position, entry, default)
            for position, (entry, default) in enumerate(
                zip(document["classes"], defaults, strict=True)
            )
        ]
        return cls(
            names=tuple(name for name, _, _ in entries),
            colors=tuple(color for _, color, _ in entries),
            values=tuple(values for _, _, values in entries),
            ignore=_ignored(document.get("ignore", NODATA)),
        )

    def ids_from_values(self, labels: NDArray[Any]) -> tuple[NDArray[np.uint8], dict[int, int]]:
        """Class ids of a label raster, and how many pixels have each value that is not known.

        Args:
            labels: any shape, integers as the label raster holds them.

        Returns:
            ``(ids, unknown)``: uint8 of the same shape, 255 where ignored or unknown; counts by
            unknown value.
        """
        found, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
        ids = {value: index for index, values in enumerate(self.values) for value in values}
        known = ids.keys() | set(self.ignore)
        table = np.array([ids.get(value, NODATA) for value in found.tolist()], np.uint8)
        unknown = {
            value: count
            for value, count in zip(found.tolist(), counts.tolist(), strict=True)
            if value not in known
        }
        return table[inverse].reshape(labels.shape), unknown

    def colors_from_ids(self, ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``(3, height, width)`` uint8 RGB of ``(height, width)`` class ids; codes are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = self.colors
        return np.moveaxis(table[ids], -1, 0)


def default_colors(count: int) -> tuple[Color, ...]:
    """`count` distinct colours: hues a golden angle apart, alternating in brightness."""
    colors = [
        colorsys.hsv_to_rgb(index * 0.381966 % 1.0, 0.65, 0.95 - 0.3 * (index % 2))
        for index in range(count)
    ]
    return tuple(_color([round(255 * part) for part in rgb]) for rgb in colors)


def _color(parts: object, where: str = "colour") -> Color:
    if isinstance(parts, Sequence | np.ndarray):
        numbers = [int(part) for part in parts if isinstance(part, Integral)]
        if len(numbers) == len(parts) == 3:
            return numbers[0], numbers[1], numbers[2]
    raise ConfigError(f"{where}: {shown(parts)} is not three whole numbers in 0..255")


def _values(given: object, where: str) -> tuple[int, ...]:
    """The values of a whole number, of a range, or of a list of them."""
    values: list[int] = []
    for part in given if isinstance(given, list) else [given]:
        ends = _RANGE.fullmatch(part) if isinstance(part, str) else None
        if ends and int(ends[1]) <= int(ends[2]) <= _RANGE_END:
            values += range(int(ends[1]), int(ends[2]) + 1)
        elif isinstance(part, int) and not isinstance(part, bool):
            values.append(part)
        else:
            raise ConfigError(
                f"{where}: {shown(given)} is not a whole number, a range such as 128-255, "
                "or a list of them"
            )
    if not values:
        raise ConfigError(
            f"{where}: {shown(given)} names no value; "
            "give a whole number, a range such as 128-255, or a list"
        )
    return tuple(values)


def _ignored(given: object) -> tuple[int, ...]:
    """The ignored values; an empty list says that every value must be of a class."""
    return () if given == [] else _values(given, "ignore")


def _entry(
    position: int, entry: object, default_color: Color
) -> tuple[str, Color, tuple[int, ...]]:
    """Name, colour and label values of one class of a classes file."""
    if isinstance(entry, str):
        return entry, default_color, (position,)
    if not isinstance(entry, Mapping) or "name" not in entry:
        raise ConfigError(
            f"class {position}: {shown(entry)} is neither a name nor {{id, name, color}}"
        )
    unknown = set(entry) - {"id", "name", "color"}
    if unknown:
        raise ConfigError(
            f"class {position}: unknown key {shown(min(unknown, key=str))}; "
            "known are id, name and color"
        )
    given = entry.get("color")
    color = default_color if given is None else _color(given, f"class {position}: color")
    return str(entry["name"]), color, _values(entry.get("id", position), f"class {position}: id")


def check_name(name: str, what: str) -> None:
    """Refuse a name that files and tables cannot hold.

    Args:
        name: of a class or of a band.
        what: it is, for the message.

    Raises:
        ConfigError: it is blank, has control characters (a line break) or broken ones (surrogates).
    """
    if not name.strip():
        raise ConfigError(f"{what} {name!r} is empty; give it a name")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise ConfigError(
            f"{what} {shown(name)} has control characters or broken ones; give it plain text"
        )


ISPRS = ClassScheme(
    names=("impervious surfaces", "building", "low vegetation", "tree", "car", "clutter"),
    colors=((255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)),
    values=((0,), (1,), (2,), (3,), (4,), (5,)),
)
"""The ISPRS 2D benchmark's classes and colours (Vaihingen, Potsdam), contest order."""

_CITYSCAPES = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
CITYSCAPES = ClassScheme(
    names=tuple(name for _, name, _ in _CITYSCAPES),
    colors=tuple(color for _, _, color in _CITYSCAPES),
    values=tuple((value,) for value, _, _ in _CITYSCAPES),
    ignore=(
        NODATA,
        -1,
        *(value for value in range(31) if value not in {entry[0] for entry in _CITYSCAPES}),
    ),
)
"""The 19 evaluated classes of Cityscapes in trainId order; label values are the ``labelIds``."""

SCHEMES: dict[str, ClassScheme] = {"isprs": ISPRS, "cityscapes": CITYSCAPES}
"""Schemes that are given by name instead of a classes file."""
