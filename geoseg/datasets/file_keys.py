"""What pairs two files: the text that a pattern's stars match, or the tile in a file's name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from geoseg.listing import Listing, Parts, list_folder
from geoseg.raster import is_of_index
from geoseg.raster.path_list import SUFFIXES as RASTER_SUFFIXES
from geoseg.vector.read import SUFFIXES as VECTOR_SUFFIXES

StarKey = tuple[str, ...]
"""The text that each star of a pattern matches."""
Files = dict[str, list[Path]]
"""Files by the key that they share."""

_FILE_WORDS = re.compile(
    r"[_.-](classes|labels?|label_?ids|gtfine|gtcoarse|leftimg8bit|instance_?ids|instances"
    r"|rgb|irrg|rgbir|no_?boundary|images?|masks?|gt|reference)$",
    re.IGNORECASE,
)
"""What data sets and geoseg append to a tile's name to say which file of the tile it is."""
_ERODED = re.compile("no_?boundary", re.IGNORECASE)
_STARS = re.compile(r"(\*\*/|\*\*|\*)")
_STAR_PATTERNS = {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)"}


def is_raster(path: Path) -> bool:
    """Whether a file's name says that it is a raster."""
    return path.suffix.lower() in RASTER_SUFFIXES


def is_vector(path: Path) -> bool:
    """Whether a file's name says that it holds polygons."""
    return path.suffix.lower() in VECTOR_SUFFIXES


def is_eroded(path: Path) -> bool:
    """Whether a label file's name says that its borders are eroded."""
    return _ERODED.search(path.stem) is not None


def tile_key(path: Path) -> str:
    """The tile in a file's name: ``top_potsdam_2_10`` of ``top_potsdam_2_10_RGB_classes.tif``."""
    return tile_of_name(path.stem)


def tile_of_name(name: str) -> str:
    """A name in lower case, without the words that say which file of a tile it is."""
    shorter = _FILE_WORDS.sub("", name)
    while shorter and shorter != name:
        name, shorter = shorter, _FILE_WORDS.sub("", shorter)
    return name.casefold()


def count_stars(given: str) -> int:
    """The number of parts in a pattern's `StarKey`; ``**`` is one star."""
    return len(_STARS.findall(given))


def files_by_stars(pattern: str) -> dict[StarKey, Path]:
    """The files that match a pattern, sorted by path.

    ``*`` matches anything but a slash and ``**`` any folders. Only stars are wild.
    """
    root, wanted = _split_pattern(pattern)
    expression = _expression("/".join(wanted))
    files: dict[StarKey, Path] = {}
    for path in sorted(_listing(pattern).files):
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match:
            files[match.groups()] = path
    return files


def list_files(given: str) -> list[Path]:
    """The files that a path, a folder (searched recursively) or a pattern means.

    Neither hidden ones, nor the squares of a raster whose index stands beside their folder.
    """
    found = files_by_stars(given).values() if "*" in given else sorted(_listing(given).files)
    return [path for path in found if not is_of_index(path)]


def unseen(*given: str) -> list[str]:
    """A line about each folder or link, of those that paths or patterns mean, not looked into."""
    lines: list[str] = []
    for each in given:
        listing = _listing(each)
        lines += [*listing.failures.values(), *listing.repeated]
    return list(dict.fromkeys(lines))


def _listing(given: str) -> Listing:
    """What a path, a folder or a pattern leads to; of a pattern, whatever may match it."""
    path = Path(given)
    if "*" not in given:
        return list_folder(path) if os.path.isdir(path) else Listing([path][: path.is_file()])
    root, wanted = _split_pattern(given)
    found = list_folder(root, lambda folders: _may_match(folders, wanted, deeper=True), hidden=True)
    # A link that leads nowhere may be a file too.
    failures = {
        path: line
        for path, line in found.failures.items()
        if _may_match(path.relative_to(root).parts, wanted, deeper=False)
    }
    return Listing(found.files, failures, found.repeated)


def _split_pattern(pattern: str) -> tuple[Path, Parts]:
    """The folder before the first star, and the parts of the rest."""
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if "*" in part)
    return Path(*parts[:fixed]), parts[fixed:]


def _may_match(parts: Parts, wanted: Parts, *, deeper: bool) -> bool:
    """Whether a path, or with `deeper` one below it, may match a pattern."""
    for part, pattern in zip(parts, wanted, strict=False):
        if "**" in pattern:
            return True
        if not _expression(pattern).fullmatch(part):
            return False
    return len(parts) + deeper <= len(wanted)


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(
        "".join(_STAR_PATTERNS.get(part) or re.escape(part) for part in _STARS.split(pattern))
    )


def group_by_tile(files: Iterable[Path], root: Path | None = None) -> Files:
    """Files by the tile in their names; below a root also by their folder there."""
    groups: Files = {}
    for path in files:
        tile = tile_key(path)
        if root is not None:
            tile = (path.relative_to(root).parent / tile).as_posix()
        groups.setdefault(tile, []).append(path)
    return groups


def root_of(given: str) -> Path:
    """The folder that the files of a path, a folder or a pattern have in common."""
    path = Path(given)
    return path if os.path.isdir(path) else next(p for p in path.parents if "*" not in str(p))
