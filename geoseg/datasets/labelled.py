"""Which images have labels, and which part of a split each is in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.datasets.layouts import Layout, is_eroded
from geoseg.datasets.preparation import is_vector
from geoseg.datasets.splits import GENERIC, PARTS, Preset, part_of_folders, split_by_name
from geoseg.datasets.tile_pairing import Files, files_by_tile, group_by_tile
from geoseg.errors import ConfigError
from geoseg.raster.find import SUFFIXES

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Labelled:
    """An image and its labels."""

    tile: str
    """The key that both names share, as a file name."""
    image: Path
    labels: Path
    """A label raster, or polygons."""


@dataclass(frozen=True, slots=True)
class Division:
    """Every usable image in its part, and what became of the others."""

    split: str
    parts: dict[str, str]
    """Part of each tile; ``blocks`` where the image itself is divided."""
    failures: list[str] = field(default_factory=list)
    """Files that should be there, or stay alone."""
    left_out: list[str] = field(default_factory=list)
    """What the split does not use, and why."""


def pair_labels(
    layout: Layout, images: str, labels: str, root: Path
) -> tuple[dict[str, Labelled], list[str]]:
    """Images with their labels by tile, and a line about what stays alone or is there twice.

    Args:
        layout: of the data set; a known one names its tiles itself, else patterns pair by their stars.
        images: a file, a folder or a pattern.
        labels: likewise, or one file of polygons that serves all images.
        root: folders below it tell of parts that are handed out without labels.

    Raises:
        ConfigError: there are none on one side, or no image has labels.
    """
    for_all = Path(labels) if is_vector(Path(labels)) and "*" not in labels else None
    if for_all is not None and not for_all.is_file():
        raise ConfigError(f"--labels {labels}: no such file; give polygons, or label rasters")
    known = layout.scheme is not None
    theirs: Files | None = None
    if for_all is not None:
        ours, _ = group_by_tile(images, images)
    elif known:
        ours, theirs = (_only(_is_raster, files_by_tile(given)) for given in (images, labels))
        if not is_eroded(Path(labels)):
            theirs = {
                tile: [path for path in files if not is_eroded(path)] or files
                for tile, files in theirs.items()
            }
    elif Path(images).is_file() and Path(labels).is_file():
        tile = Path(images).stem
        ours, theirs = {tile: [Path(images)]}, {tile: [Path(labels)]}
    else:
        ours, theirs = group_by_tile(images, labels)
        if not theirs and (polygons := _only(is_vector, files_by_tile(labels))):
            ours, theirs = _only(_is_raster, files_by_tile(images)), polygons
    for what, given, found in (("images", images, ours), ("labels", labels, theirs)):
        if found == {}:
            raise ConfigError(
                f"--{what} {given}: no such files; give a file, a folder, or a pattern as 'DIR/*_{what}.tif'"
            )
    if theirs is None:
        theirs = {tile: [Path(labels)] for tile in ours}
    hidden = {
        tile
        for tile, files in ours.items()
        if any(set(_folders(path, root)) & set(layout.without_labels) for path in files)
    }
    paired, lines = _matched(ours, theirs, hidden, layout)
    if not paired:
        raise ConfigError(
            lines[0]
            if ours.keys() & theirs.keys() - hidden
            else _strangers(images, ours, labels, theirs)
        )
    return paired, lines


def _strangers(images: str, ours: Files, labels: str, theirs: Files) -> str:
    """A line about images and labels of which no two belong together."""
    of_images, of_labels = (_listed(sorted(found)) for found in (ours, theirs))
    return (
        f"--images {images} --labels {labels}: no image has labels; the images are of {of_images}, the labels of "
        f"{of_labels}: give two patterns whose stars stand for the same text"
    )


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _only(wanted: Callable[[Path], bool], files: Files) -> Files:
    """Without world files and the like."""
    left = {tile: list(filter(wanted, paths)) for tile, paths in files.items()}
    return {tile: paths for tile, paths in left.items() if paths}


def _matched(
    ours: Files, theirs: Files, hidden: set[str], layout: Layout
) -> tuple[dict[str, Labelled], list[str]]:
    paired: dict[str, Labelled] = {}
    lines = []
    for tile in sorted((ours.keys() & theirs.keys()) - hidden):
        doubled = next((files for files in (ours[tile], theirs[tile]) if len(files) > 1), None)
        if doubled:
            lines.append(
                f"{doubled[0]} and {doubled[1]} are both of tile {tile}; name the files by a pattern"
            )
        elif ours[tile][0] == theirs[tile][0]:
            raise ConfigError(
                f"{ours[tile][0]}: is named by --images and by --labels; give patterns that tell images from labels"
            )
        else:
            name = re.sub(r"[^\w.-]+", "_", tile).strip("_") or ours[tile][0].stem
            if name in paired:
                raise ConfigError(
                    f"{paired[name].image} and {ours[tile][0]} would both be called {name}; rename one of them"
                )
            paired[name] = Labelled(name, ours[tile][0], theirs[tile][0])
    if layout.splits:
        return paired, lines  # a preset tells which tiles must be there
    alone = (
        (
            "images without labels",
            [ours[tile][0] for tile in sorted(ours.keys() - theirs.keys() - hidden)],
        ),
        (
            "labels without an image",
            [theirs[tile][0] for tile in sorted(theirs.keys() - ours.keys() - hidden)],
        ),
    )
    lines += [
        f"{what}: {_listed(map(str, files))}; add the other file, or move it away"
        for what, files in alone
        if files
    ]
    return paired, lines


def divide(
    layout: Layout, labelled: Mapping[str, Labelled], split: str | None, root: Path
) -> Division:
    """The part of every tile.

    Args:
        layout: of the data set.
        labelled: images with labels.
        split: a preset of the data set or one of `GENERIC`; None: the data set's own, or what the files suggest.
        root: folders below it may be called like parts.

    Raises:
        ConfigError: there is no such split, or one of its parts stays empty.
    """
    chosen = split or layout.split or _suggested(labelled, root)
    if chosen in layout.splits:
        division = _by_preset(chosen, layout.splits[chosen], layout, labelled)
        wanted = [part for part in PARTS if getattr(layout.splits[chosen], part)]
    elif chosen in GENERIC:
        division = _by_files(chosen, labelled, root)
        wanted = ["blocks"] if chosen == "blocks" else ["train"]
    else:
        raise ConfigError(
            f"--split {chosen}: {layout.name} has no such split; choose {', '.join([*layout.splits, *GENERIC])}"
        )
    for part in wanted:
        if part not in division.parts.values():
            reason = "; ".join([*division.failures, *division.left_out][:2])
            raise ConfigError(
                f"--split {chosen}: part {part} is empty"
                + (f" ({reason})" if reason else "")
                + "; add its files, or "
                "choose another --split"
            )
    return division


def _suggested(labelled: Mapping[str, Labelled], root: Path) -> str:
    if all(_folder_part(entry.image, root) for entry in labelled.values()):
        return "folders"
    return "blocks" if len(labelled) == 1 else "tiles"


def _by_preset(
    name: str, preset: Preset, layout: Layout, labelled: Mapping[str, Labelled]
) -> Division:
    by_number = {layout.tile_of(tile): tile for tile in labelled}
    parts, missing = {}, {part: [] for part in PARTS}  # type: dict[str, str], dict[str, list[str]]
    for number, part in preset.parts.items():
        if number in by_number:
            parts[by_number[number]] = part
        else:
            missing[part].append(number)
    failures = [
        f"{part}: {len(tiles)} of {len(getattr(preset, part))} tiles lack image or labels: {_listed(tiles)}"
        for part, tiles in missing.items()
        if tiles
    ]
    others = sorted(by_number.keys() - preset.parts.keys() - preset.excluded.keys())
    left_out = [f"tile {tile}: {why}" for tile, why in preset.excluded.items() if tile in by_number]
    left_out += [f"not in split {name}: {_listed(others)}"] if others else []
    return Division(name, parts, failures, left_out)


def _by_files(name: str, labelled: Mapping[str, Labelled], root: Path) -> Division:
    if name == "tiles":
        return Division(name, split_by_name(labelled))
    if name != "folders":
        return Division(name, dict.fromkeys(labelled, "blocks" if name == "blocks" else "train"))
    found = {tile: _folder_part(entry.image, root) for tile, entry in labelled.items()}
    outside = [str(labelled[tile].image) for tile, part in found.items() if part is None]
    left_out = [f"in no folder called {', '.join(PARTS)}: {_listed(outside)}"] if outside else []
    return Division(name, {tile: part for tile, part in found.items() if part}, left_out=left_out)


def _folder_part(image: Path, root: Path) -> str | None:
    return part_of_folders(_folders(image, root))


def _folders(path: Path, root: Path) -> tuple[str, ...]:
    """The folders below the root that a file lies in; above it they may be called anything."""
    return path.parent.relative_to(root).parts if path.is_relative_to(root) else path.parent.parts


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    )
