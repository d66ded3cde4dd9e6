"""Which prediction belongs to which reference: by the tile that both names tell of, never by order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from geoseg.datasets.pairing import files_by_key
from geoseg.errors import ConfigError
from geoseg.raster.find import SUFFIXES

_WORDS = re.compile(
    r"[_.-](classes|labels?|label_?ids|gtfine|gtcoarse|leftimg8bit|instance_?ids|instances|rgb|irrg|rgbir|no_?boundary"
    r"|images?|masks?|gt|reference)$",
    re.IGNORECASE,
)
"""What data sets and geoseg add to a tile's name to say which file of it this is."""
_OTHER_VIEWS = re.compile(r"_gt(fine|coarse)_(color|instanceids|labeltrainids)$", re.IGNORECASE)
"""Files of Cityscapes that lie beside the labels and are none."""

_SHOWN = 6

Files = dict[str, list[Path]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction and its reference."""

    tile: str
    """The key that both names share."""
    predicted: Path
    reference: Path


def tile_key(path: Path) -> str:
    """The tile that a file's name tells of: ``top_potsdam_2_10`` of ``top_potsdam_2_10_RGB_classes.tif``."""
    return _tile(path.stem)


def _tile(key: str) -> str:
    """A name without what says which file of a tile it is."""
    while shorter := _WORDS.sub("", key):
        if shorter == key:
            break
        key = shorter
    return key.casefold()


def pair_by_tile(predicted: str, reference: str) -> tuple[list[Pair], list[str]]:
    """Predictions with their references, sorted by tile, and lines about the files that stay alone.

    Each argument is a file, a folder (searched recursively; of predictions ``*_classes.tif`` where there is one), or a
    pattern with stars. Two files are a pair whatever their names. Two patterns with the same number of stars pair where
    the stars stand for the same text. Otherwise names are compared without what says which file of a tile they are
    (``_classes``, ``_RGB``, ``_label``, ``_noBoundary``, ``_leftImg8bit``, ``_gtFine_labelIds``, ...).

    Raises:
        ConfigError: nothing is found on one side.
    """
    if Path(predicted).is_file() and Path(reference).is_file():
        return [Pair(tile_key(Path(reference)), Path(predicted), Path(reference))], []
    ours, theirs = group_by_tile(predicted, reference)
    for given, found in ((predicted, ours), (reference, theirs)):
        if not found:
            what = (
                "no rasters there"
                if "*" in given or Path(given).exists()
                else "no such file or folder"
            )
            raise ConfigError(
                f"{given}: {what}; give a file, a folder, or a pattern such as DIR/*_classes.tif"
            )
    pairs, doubles = [], []
    alone: dict[str, list[Path]] = {"prediction": [], "reference": []}
    for tile in sorted(ours.keys() | theirs.keys()):
        mine, its = ours.get(tile, []), theirs.get(tile, [])
        doubled = next((files for files in (mine, its) if len(files) > 1), None)
        if doubled:
            doubles.append(
                f"{doubled[0]} and {doubled[1]} both belong to tile {tile}; name the files by a pattern, as "
                f"'{doubled[0].parent}/*_classes.tif'"
            )
        elif mine and its:
            pairs.append(Pair(tile, mine[0], its[0]))
        else:
            alone["prediction" if mine else "reference"] += mine or its
    others = (("prediction", "reference", reference), ("reference", "prediction", predicted))
    lines = (
        _lonely(alone[what], what, other, place) for what, other, place in others if alone[what]
    )
    return pairs, [*doubles, *lines]


def _lonely(files: Sequence[Path], what: str, other: str, place: str) -> str:
    """One line about the files of one side that have no partner."""
    shown = ", ".join(map(str, files[:_SHOWN])) + (
        f" and {len(files) - _SHOWN} more" if files[_SHOWN:] else ""
    )
    many = "s" * (len(files) > 1)
    return f"{what}{many} without a {other} under {place}: {shown}; add the {other}, or leave the tile out"


def files_by_tile(given: str) -> Files:
    """The files that a path, a folder or a pattern means, whatever they hold, by tile."""
    return _by(tile_key, _listed(given))


def objects_by_tile(given: str) -> Files:
    """The same; a file whose name says no known tile may also be found by what the stars of the pattern stand for."""
    found = files_by_tile(given)
    stars = Path(given).name.count("*")
    for key, path in files_by_key(given).items() if stars else ():
        found.setdefault(_tile("_".join(key[-stars:])), [path])
    return found


def group_by_tile(predicted: str, reference: str) -> tuple[Files, Files]:
    """The files that each argument means, by the key that pairs them; see `pair_by_tile`."""
    if predicted.count("*") == reference.count("*") > 0:
        ours, theirs = (
            {"/".join(key): [path] for key, path in files_by_key(given).items()}
            for given in (predicted, reference)
        )
        return ours, theirs
    guesses = [path for path in _listed(predicted) if path.suffix.lower() in SUFFIXES]
    guesses = [path for path in guesses if path.name.endswith("_classes.tif")] or guesses
    labels = [
        path
        for path in _listed(reference)
        if path.suffix.lower() in SUFFIXES and not _OTHER_VIEWS.search(path.stem)
    ]
    ours, theirs = _by(tile_key, guesses), _by(tile_key, labels)
    if any(len(files) > 1 for files in (*ours.values(), *theirs.values())):
        # The same names in several folders: then the folders, which geoseg keeps, tell them apart.
        placed = _by_place(predicted, guesses), _by_place(reference, labels)
        if placed[0].keys() & placed[1].keys():
            return placed
    return ours, theirs


def _by_place(given: str, files: Iterable[Path]) -> Files:
    """Files by folder and tile; the folder counts from what was given."""
    path = Path(given)
    root = (
        path if path.is_dir() else next(parent for parent in path.parents if "*" not in str(parent))
    )
    return _by(lambda file: (file.relative_to(root).parent / tile_key(file)).as_posix(), files)


def _listed(given: str) -> list[Path]:
    path = Path(given)
    if "*" in given:
        return list(files_by_key(given).values())
    if not path.is_dir():
        return [path] if path.is_file() else []
    return [
        found
        for found in sorted(path.rglob("*"))
        if found.is_file()
        and not any(part.startswith(".") for part in found.relative_to(path).parts)
    ]


def _by(key: Callable[[Path], str], files: Iterable[Path]) -> Files:
    grouped: Files = {}
    for path in files:
        grouped.setdefault(key(path), []).append(path)
    return grouped
