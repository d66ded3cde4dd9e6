"""How known data sets lie on disk: where images and labels are, what their bands show, which tile a file is of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.splits import POTSDAM_SPLITS, VAIHINGEN_SPLITS, Preset
from geoseg.errors import ConfigError

_IRRG = ("near-infrared", "red", "green")
_RGB = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Layout:
    """One data set."""

    name: str
    images: tuple[str, ...]
    """Patterns below the data set's folder; the first that matches anything is taken."""
    labels: tuple[str, ...]
    """Likewise."""
    tile: re.Pattern[str]
    """Finds the tile's number in a file name; its groups, joined by ``_``, are the names that splits use."""
    scheme: ClassScheme | None = None
    """What labels mean; None where a classes file must say so."""
    bands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the bands of a file show, by how its stem ends; files that end otherwise speak for themselves."""
    splits: dict[str, Preset] = field(default_factory=dict)
    """Named divisions of the tiles."""
    split: str | None = None
    """The one that is taken unless told otherwise; None: chosen by what is there."""
    without_labels: tuple[str, ...] = ()
    """Folders of parts whose labels are not handed out."""

    def tile_of(self, key: str) -> str:
        """The name that splits use for a tile: ``2_10`` of ``top_potsdam_2_10``, ``1`` of ``..._area1``."""
        found = self.tile.search(key)
        return "_".join(str(int(group)) for group in found.groups()) if found else key

    def band_names(self, image: Path, count: int) -> tuple[str, ...] | None:
        """What the bands of an image show; None where the file itself must tell."""
        for ending, names in self.bands.items():
            if image.stem.endswith(ending) and len(names) == count:
                return names
        return None


_AREA = "top_mosaic_09cm_area*.tif"

LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "vaihingen",
            images=(f"**/top/{_AREA}",),
            # The complete ground truth comes as an archive without a folder of its own.
            labels=(
                f"**/*ground_truth_COMPLETE*/{_AREA}",
                _AREA,
                f"**/gts_for_participants/{_AREA}",
            ),
            tile=re.compile(r"area(\d+)"),
            scheme=ISPRS,
            bands={"": _IRRG},
            splits=VAIHINGEN_SPLITS,
            split="geoseg",
        ),
        Layout(
            "potsdam",
            images=(
                "**/2_Ortho_RGB/top_potsdam_*_RGB.tif",
                "**/3_Ortho_IRRG/top_potsdam_*_IRRG.tif",
                "**/4_Ortho_RGBIR/top_potsdam_*_RGBIR.tif",
            ),
            labels=(
                "**/5_Labels_all/top_potsdam_*_label.tif",
                "**/5_Labels_for_participants/top_potsdam_*_label.tif",
            ),
            tile=re.compile(r"potsdam_(\d+)_(\d+)"),
            scheme=ISPRS,
            bands={"_RGBIR": (*_RGB, "near-infrared"), "_IRRG": _IRRG, "_RGB": _RGB},
            splits=POTSDAM_SPLITS,
            split="geoseg",
        ),
        Layout(
            "cityscapes",
            images=("**/leftImg8bit/*/*/*_leftImg8bit.png",),
            labels=("**/gtFine/*/*/*_gtFine_labelIds.png",),
            tile=re.compile(r"(?!)"),
            scheme=CITYSCAPES,
            bands={"": _RGB},
            split="folders",
            without_labels=("test", "train_extra"),
        ),
        Layout("folder", images=("images",), labels=("labels",), tile=re.compile(r"(?!)")),
    )
}
"""The data sets that ``geoseg prepare`` knows, by name."""

_ERODED = re.compile("no_?boundary", re.IGNORECASE)


def find_layout(name: str) -> Layout:
    """The layout of that name. Raises ConfigError where there is none."""
    if name not in LAYOUTS:
        raise ConfigError(f"{name}: no data set that geoseg knows; choose {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def choose_pattern(patterns: Sequence[str], folder: Path, what: str) -> str:
    """The first of the patterns that matches anything below the folder.

    Raises:
        ConfigError: none does.
    """
    for pattern in patterns:
        found = folder / pattern
        if found.is_dir() or any(path.is_file() for path in folder.glob(pattern)):
            return str(found)
    looked = ", ".join(patterns)
    raise ConfigError(
        f"{folder}: no {what} there (looked for {looked}); say where they are by --{what} PATTERN"
    )


def is_eroded(path: Path) -> bool:
    """Whether a label file's name says that its borders are eroded."""
    return _ERODED.search(path.stem) is not None
