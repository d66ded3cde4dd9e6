"""The layout of known data sets on disk: images, labels and bands, and the split of their tiles."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.file_keys import is_vector, list_files, unseen
from geoseg.datasets.pairing import Pair, Pairing, describe_unpaired, pair_files
from geoseg.errors import ConfigError
from geoseg.report import shorten

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
    """Finds the tile's number in a file name; its groups, joined by ``_``, are what splits name."""
    scheme: ClassScheme | None = None
    """What labels mean; None where a classes file must say so."""
    bands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Band names by the ending of a file's stem; others are named by the file itself."""
    splits: dict[str, Preset] = field(default_factory=dict)
    """Named divisions of the tiles."""
    split: str | None = None
    """The one that is taken by default; None: chosen by what is there."""
    without_labels: tuple[str, ...] = ()
    """Folders of parts whose labels are not published."""

    def tile_number(self, key: str) -> str:
        """What splits call a tile: ``2_10`` of ``top_potsdam_2_10``, ``1`` of ``..._area1``."""
        found = self.tile.search(key)
        return "_".join(str(int(group)) for group in found.groups()) if found else key

    def band_names(self, image: Path, count: int) -> tuple[str, ...] | None:
        """What the bands of an image show; None: as the file itself says."""
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
            # The complete ground truth comes as an archive without its own folder.
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


def find_layout(name: str) -> Layout:
    """The layout of that name. Raises ConfigError where there is none."""
    if name not in LAYOUTS:
        raise ConfigError(f"{name}: no data set that geoseg knows; choose {', '.join(LAYOUTS)}")
    return LAYOUTS[name]


def find_labelled_images(
    layout: Layout, root: Path, images: str | None, labels: str | None
) -> tuple[dict[str, Pair], list[str]]:
    """Images with their labels by tile, and a line about what has no partner or several.

    Args:
        layout: of the data set; one with its own classes names its tiles itself, else patterns
            pair by their stars. One that has splits says itself which tiles must be there.
        root: of the data set; patterns count from it.
        images: a file, a folder or a pattern; None: the layout's.
        labels: likewise, or one file of polygons for all images.

    Raises:
        ConfigError: there are none on one side, or no image has labels.
    """
    image_files, tried = _choose_pattern(layout.images, root, "images", images)
    label_files, tried_for_labels = _choose_pattern(layout.labels, root, "labels", labels)
    pairing = pair_files(
        image_files,
        label_files,
        first="stars" if layout.scheme is None else "tiles",
        skip=lambda path: bool({*folders_below(root, path)} & {*layout.without_labels}),
    )
    if not pairing.pairs:
        raise ConfigError(_no_pair(pairing, image_files, label_files))
    pairs = pairing.pairs
    if Path(image_files).is_file() and not is_vector(Path(label_files)):
        pairs = [replace(pair, tile=pair.raster.stem) for pair in pairs]
    found: dict[str, Pair] = {}
    for pair in pairs:
        if pair.raster == pair.labels:
            raise ConfigError(
                f"{pair.raster}: is named by --images and by --labels; give patterns that "
                "distinguish images from labels"
            )
        name = re.sub(r"[^\w.-]+", "_", pair.tile).strip("_") or pair.raster.stem
        if name in found:
            raise ConfigError(
                f"{found[name].raster} and {pair.raster} would both be called {name}; rename one "
                "of them"
            )
        found[name] = replace(pair, tile=name)
    unpaired = [] if layout.splits else describe_unpaired(pairing, image_files, label_files)
    return found, unseen(*tried, *tried_for_labels) + pairing.ambiguous + unpaired


def folders_below(root: Path, path: Path) -> tuple[str, ...]:
    """The folders between the root and a file; all of them where it lies elsewhere."""
    return path.parent.relative_to(root).parts if path.is_relative_to(root) else path.parent.parts


def _choose_pattern(
    patterns: Sequence[str], root: Path, what: str, given: str | None
) -> tuple[str, list[str]]:
    """What is given, or the first of the layout's patterns that matches anything, below the root.

    Returns:
        The pattern, and all that were tried: files of those before may lie where nobody can look.

    Raises:
        ConfigError: none does.
    """
    tried: list[str] = []
    for pattern in patterns if given is None else (given,):
        tried.append(str(root / pattern))
        if given is not None or os.path.isdir(tried[-1]) or list_files(tried[-1]):
            return tried[-1], tried
    not_seen = "".join(f"; {line}" for line in unseen(*tried)[:1])
    raise ConfigError(
        f"{root}: no {what} there (looked for {', '.join(patterns)}); say where they are by "
        f"--{what} PATTERN{not_seen}"
    )


def _no_pair(pairing: Pairing, images: str, labels: str) -> str:
    if pairing.ambiguous:
        return pairing.ambiguous[0]
    image_tiles = shorten(sorted(pairing.unpaired_rasters))
    label_tiles = shorten(sorted(pairing.unpaired_labels))
    return (
        f"--images {images} --labels {labels}: no image has labels; the images are of "
        f"{image_tiles}, the labels of {label_tiles}: give two patterns whose stars match the "
        "same text"
    )
