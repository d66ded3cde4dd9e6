"""How known data sets lie on disk: where images and labels are, what their bands show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.file_keys import is_vector
from geoseg.datasets.pairing import Pair, Pairing, describe_unpaired, pair_files, shorten
from geoseg.datasets.split_presets import POTSDAM_SPLITS, VAIHINGEN_SPLITS, Preset
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
    """Finds the tile's number in a file name; its groups, joined by ``_``, are what splits name."""
    scheme: ClassScheme | None = None
    """What labels mean; None where a classes file must say so."""
    bands: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the bands of a file show, by how its stem ends; others are named by the file itself."""
    splits: dict[str, Preset] = field(default_factory=dict)
    """Named divisions of the tiles."""
    split: str | None = None
    """The one that is taken unless told otherwise; None: chosen by what is there."""
    without_labels: tuple[str, ...] = ()
    """Folders of parts whose labels are not handed out."""

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
        layout: of the data set; one with classes of its own names its tiles itself, else patterns
            pair by their stars. One that has splits says itself which tiles must be there.
        root: of the data set; patterns count from it.
        images: a file, a folder or a pattern; None: the layout's.
        labels: likewise, or one file of polygons for all images.

    Raises:
        ConfigError: there are none on one side, or no image has labels.
    """
    image_files = _choose_pattern(layout.images, root, "images", images)
    label_files = _choose_pattern(layout.labels, root, "labels", labels)
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
        name = _file_name(pair)
        if name in found:
            raise ConfigError(
                f"{found[name].raster} and {pair.raster} would both be called {name}; rename one "
                "of them"
            )
        found[name] = replace(pair, tile=name)
    unpaired = [] if layout.splits else describe_unpaired(pairing, image_files, label_files)
    return found, pairing.ambiguous + unpaired


def folders_below(root: Path, path: Path) -> tuple[str, ...]:
    """The folders between the root and a file; all of them where it lies elsewhere."""
    return path.parent.relative_to(root).parts if path.is_relative_to(root) else path.parent.parts


def _file_name(pair: Pair) -> str:
    return re.sub(r"[^\w.-]+", "_", pair.tile).strip("_") or pair.raster.stem


def _choose_pattern(patterns: Sequence[str], root: Path, what: str, given: str | None) -> str:
    """What is given, or the first of the layout's patterns that matches anything, below the root.

    Raises:
        ConfigError: none does.
    """
    if given is not None:
        return str(root / given)
    for pattern in patterns:
        found = root / pattern
        if found.is_dir() or any(path.is_file() for path in root.glob(pattern)):
            return str(found)
    raise ConfigError(
        f"{root}: no {what} there (looked for {', '.join(patterns)}); say where they are by "
        f"--{what} PATTERN"
    )


def _no_pair(pairing: Pairing, images: str, labels: str) -> str:
    if pairing.ambiguous:
        return pairing.ambiguous[0]
    image_tiles = shorten(sorted(pairing.unpaired_rasters))
    label_tiles = shorten(sorted(pairing.unpaired_labels))
    return (
        f"--images {images} --labels {labels}: no image has labels; the images are of "
        f"{image_tiles}, the labels of {label_tiles}: give two patterns whose stars stand for the "
        "same text"
    )
