"""Named divisions of the benchmarks' tiles into train, val and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from geoseg.errors import ConfigError

PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Preset:
    """A named division of a benchmark's tiles."""

    train: Sequence[str]
    val: Sequence[str] = ()
    test: Sequence[str] = ()
    excluded: dict[str, str] = field(default_factory=dict)
    """Tiles that are left out, and why."""

    def __post_init__(self) -> None:
        listed = [*self.train, *self.val, *self.test, *self.excluded]
        twice = [tile for tile in listed if listed.count(tile) > 1]
        if twice:
            raise ConfigError(f"split: tile {twice[0]} is in two parts")

    @property
    def parts(self) -> dict[str, str]:
        """The part of each tile."""
        return {tile: part for part in PARTS for tile in getattr(self, part)}


_tiles = str.split
_VAIHINGEN_TRAIN = _tiles("1 3 5 7 11 13 15 17 21 23 26 28 30 32 34 37")
_VAIHINGEN_TEST = _tiles("2 4 6 8 10 12 14 16 20 22 24 27 29 31 33 35 38")
_POTSDAM_TRAIN = _tiles(
    "2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 "
    "6_7 6_8 6_9 6_10 6_11 6_12 7_7 7_8 7_9 7_10 7_11 7_12"
)
_POTSDAM_TEST = _tiles("2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13")

# ``isprs`` is the contest's own; ``geoseg`` takes one of its training tiles for validation.
VAIHINGEN_SPLITS = {
    "isprs": Preset(_VAIHINGEN_TRAIN, test=_VAIHINGEN_TEST),
    "geoseg": Preset(
        [tile for tile in _VAIHINGEN_TRAIN if tile != "30"],
        ("30",),
        _VAIHINGEN_TEST,
    ),
    "audebert12-4": Preset(
        # Audebert et al.: of the tiles that participants had labels of.
        _tiles("1 3 23 26 7 11 13 28 17 32 34 37"),
        test=_tiles("5 21 15 30"),
    ),
}
POTSDAM_SPLITS = {
    "isprs": Preset(_POTSDAM_TRAIN, test=_POTSDAM_TEST),
    "geoseg": Preset(
        [tile for tile in _POTSDAM_TRAIN if tile not in ("2_10", "7_10")],
        ("2_10",),
        _POTSDAM_TEST,
        {"7_10": "its annotations are wrong"},
    ),
}
