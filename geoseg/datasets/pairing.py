"""Which labels belong to which raster: one set of rules for prepare, train and evaluate.

The first rule that fits decides; files are never paired by their order:

1. one file of polygons serves all rasters;
2. two files are a pair, whatever their names;
3. two patterns with the same number of stars pair where the stars match the same text;
4. otherwise files pair by tile: names are compared without the words that say which file of a tile
   it is (``_RGB``, ``_label``, ``_classes``, ``_leftImg8bit``, ``_gtFine_labelIds``, ...).

`train` has a rule before the last one: files directly inside two folders pair by equal names where
that leaves none over. A data set of a known layout goes by tile at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from geoseg.datasets.file_keys import (
    Files,
    count_stars,
    files_by_stars,
    group_by_tile,
    is_eroded,
    is_raster,
    is_vector,
    list_files,
    root_of,
    tile_key,
    tile_of_name,
    unseen,
)
from geoseg.errors import ConfigError
from geoseg.foreign import named_elsewhere
from geoseg.listing import list_folder
from geoseg.raster.companions import check_pattern, local_companions
from geoseg.report import shorten
from geoseg.vector.read import refuse_other_vectors

Rule = Literal["stars", "names", "tiles"]
"""The rule that is tried first after those for single files."""
_OTHER_VIEWS = re.compile(r"_gt(fine|coarse)_(color|instanceids|labeltrainids)$", re.IGNORECASE)
"""Files of Cityscapes next to the labels that are not labels."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A raster and its labels."""

    tile: str
    """The key that both names share."""
    raster: Path
    """An image, or a class raster to score."""
    labels: Path
    """A label raster, or polygons."""
    companions: tuple[Path, ...] = ()
    """Files beside an image that hold more of its bands."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """The pairs, sorted by tile, and what was left over."""

    pairs: list[Pair]
    unpaired_rasters: Files = field(default_factory=dict)
    """By tile."""
    unpaired_labels: Files = field(default_factory=dict)
    ambiguous: list[str] = field(default_factory=list)
    """A line for each tile with several files on one side."""


def pair_files(
    rasters: str,
    labels: str,
    *,
    first: Rule = "stars",
    skip: Callable[[Path], bool] = lambda _: False,
) -> Pairing:
    """Rasters with their labels, by the rules of this module.

    Args:
        rasters: a file, a folder (searched recursively; of a folder with ``*_classes.tif`` only
            these), or a pattern with stars.
        labels: likewise; of labels with full and with eroded borders, those with full ones.
        first: ``names`` pairs files directly inside two folders by name, where that leaves none
            over; ``tiles`` pairs by tile, whatever the stars match.
        skip: tiles with such a raster are left out.

    Raises:
        ConfigError: nothing is found on one side.
        VectorError: nothing but vector files of a format that is not read.
    """
    if is_vector(Path(labels)) and not count_stars(labels):
        if not os.path.isfile(labels):
            raise ConfigError(f"{labels}: no such file; give polygons, or label rasters")
        found, _ = _group_files(rasters, rasters, first, polygons=False)
        _refuse_empty(rasters, found, "rasters")
        return _match(found, {tile: [Path(labels)] for tile in found}, skip)
    if os.path.isfile(rasters) and os.path.isfile(labels):
        return Pairing([Pair(tile_key(Path(labels)), Path(rasters), Path(labels))])
    found, others = _group_files(rasters, labels, first, polygons=True)
    _refuse_empty(rasters, found, "rasters")
    _refuse_empty(labels, others, "rasters or polygons")
    return _match(found, others, skip)


def pair_all(images: str, labels: str, what: str = "label") -> list[Pair]:
    """Images with their labels, sorted by image, none left over; what `train` uses.

    Args:
        images: see `pair_files`.
        labels: likewise.
        what: they are called in messages.

    Raises:
        ConfigError: nothing is found on one side, or a file has no partner or several.
    """
    pairing = pair_files(images, labels, first="names")
    problems = (
        unseen(images, labels)
        + pairing.ambiguous
        + describe_unpaired(pairing, images, labels, ("image", what))
    )
    if problems:
        raise ConfigError(problems[0])
    return sorted(pairing.pairs, key=lambda pair: (pair.raster, pair.labels))


def with_companions(pairs: Sequence[Pair], images: Sequence[str]) -> list[Pair]:
    """Pairs with the files that hold more bands of their images.

    Args:
        pairs: from `pair_all` with the first of `images`.
        images: as a config names them. Further ones are patterns with ``{stem}`` (see
            `geoseg.raster.companions`), one file for all images, or belong to the images as labels
            do.

    Raises:
        ConfigError: a pattern means nothing, or a file has no partner or several.
        SourceError: a pattern names a file that is not there.
    """
    found: dict[Path, list[Path]] = {pair.raster: [] for pair in pairs}
    for given in images[1:]:
        if "{" in given:
            check_pattern("images", given)
            for raster, files in found.items():
                files += local_companions(raster, [given])
        elif os.path.isfile(given):
            for files in found.values():
                files.append(Path(given))
        else:
            for pair in pair_all(images[0], given, "further image"):
                found[pair.raster].append(pair.labels)
    return [replace(pair, companions=tuple(found[pair.raster])) for pair in pairs]


def objects_by_tile(given: str) -> Files:
    """The files that a path, a folder or a pattern means, whatever they hold, by tile.

    A file whose name contains no known tile may also be found by the text of the pattern's stars.
    """
    found = group_by_tile(list_files(given))
    stars = Path(given).name.count("*")
    if stars:
        for key, path in files_by_stars(given).items():
            found.setdefault(tile_of_name("_".join(key[-stars:])), [path])
    return found


def describe_unpaired(
    pairing: Pairing, rasters: str, labels: str, names: tuple[str, str] = ("image", "label")
) -> list[str]:
    """A line for each side of a pairing with files that have no partner.

    Args:
        pairing: of the two sides.
        rasters: what was given for them, for the message.
        labels: likewise.
        names: what a file of each side is called.
    """
    lines = []
    sides = (
        (pairing.unpaired_rasters, *names, labels),
        (pairing.unpaired_labels, *names[::-1], rasters),
    )
    for unpaired, name, other, place in sides:
        paths = [str(path) for tile in sorted(unpaired) for path in unpaired[tile]]
        if paths:
            plural = "s" * (len(paths) > 1)
            article = "an" if other[0] in "aeiou" else "a"
            lines.append(
                f"{name}{plural} without {article} {other} under {place}: {shorten(paths)}; "
                f"add the {other}, or leave the tile out"
            )
    return lines


def _refuse_empty(given: str, found: Files, what: str) -> None:
    if not found:
        if line := named_elsewhere(given):
            raise ConfigError(line)
        for path in (Path(given), *list_files(given)):
            refuse_other_vectors(path)
        exists = count_stars(given) or os.path.exists(given)
        missing = f"no {what} there" if exists else "no such file or folder"
        remedy = "give a file, a folder, or a pattern such as 'DIR/*_label.tif'"
        raise ConfigError(f"{given}: {missing}; {next(iter(unseen(given)), remedy)}")


def _match(rasters: Files, labels: Files, skip: Callable[[Path], bool]) -> Pairing:
    skipped = {tile for tile, files in rasters.items() if any(map(skip, files))}
    pairing = Pairing([])
    for tile in sorted((rasters.keys() | labels.keys()) - skipped):
        ours, theirs = rasters.get(tile, []), labels.get(tile, [])
        several = next((files for files in (ours, theirs) if len(files) > 1), None)
        if several:
            pairing.ambiguous.append(
                f"{several[0]} and {several[1]} both belong to tile {tile}; name the files by a "
                f"pattern, as '{several[0].parent}/*_{several[0].stem.split('_')[-1]}.tif'"
            )
        elif ours and theirs:
            pairing.pairs.append(Pair(tile, ours[0], theirs[0]))
        elif ours:
            pairing.unpaired_rasters[tile] = ours
        else:
            pairing.unpaired_labels[tile] = theirs
    return pairing


def _group_files(rasters: str, labels: str, first: Rule, polygons: bool) -> tuple[Files, Files]:
    if first != "tiles" and count_stars(rasters) == count_stars(labels) > 0:
        return _by_stars(rasters), _by_stars(labels)
    if first == "names":
        ours, theirs = _by_name(rasters), _by_name(labels)
        if ours and ours.keys() == theirs.keys():
            return ours, theirs
    return _group_by_tile(rasters, labels, polygons)


def _by_stars(pattern: str) -> Files:
    return {"/".join(key): [path] for key, path in files_by_stars(pattern).items()}


def _by_name(given: str) -> Files:
    """Files directly inside a folder by stem, or those of a pattern with one star by its text."""
    if count_stars(given) == 1:
        return _by_stars(given)
    folder = Path(given)
    found = [path for path in list_folder(folder, lambda _: False).files if is_raster(path)]
    stems = {path.stem: [path] for path in found}
    return stems if len(stems) == len(found) else {}


def _group_by_tile(rasters: str, labels: str, polygons: bool) -> tuple[Files, Files]:
    raster_files = [path for path in list_files(rasters) if is_raster(path)]
    class_rasters = [path for path in raster_files if path.name.endswith("_classes.tif")]
    raster_files = class_rasters or raster_files
    listed = list_files(labels)
    label_files = [
        path for path in listed if is_raster(path) and not _OTHER_VIEWS.search(path.stem)
    ]
    if polygons and not label_files:
        label_files = [path for path in listed if is_vector(path)]
    ours = group_by_tile(raster_files)
    theirs = _without_eroded(labels, group_by_tile(label_files))
    if any(len(files) > 1 for files in (*ours.values(), *theirs.values())):
        # The same names in several folders: then the folders, which geoseg keeps, distinguish them.
        placed = (
            group_by_tile(raster_files, root_of(rasters)),
            group_by_tile(label_files, root_of(labels)),
        )
        if placed[0].keys() & placed[1].keys():
            return placed[0], _without_eroded(labels, placed[1])
    return ours, theirs


def _without_eroded(labels: str, files: Files) -> Files:
    """Without labels whose borders are eroded, if there are others and no option asks for them."""
    if is_eroded(Path(labels)):
        return files
    full = {tile: [path for path in paths if not is_eroded(path)] for tile, paths in files.items()}
    return {tile: full[tile] or paths for tile, paths in files.items()}
