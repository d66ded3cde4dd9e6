"""Files beside an image that hold more bands of it: found by a pattern, named by what is theirs.

A pattern is a path, relative to the image's folder or absolute. ``{stem}`` in it is the image's
name without suffix; ``{1}``, ``{2}``, ... are the numbers in that name as they are written there,
``{1:02}`` with so many digits: ``dsm/dsm_09cm_matching_area{2}.tif`` for
``top_mosaic_09cm_area1.tif``. Without any it is one file for all images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from geoseg.errors import ConfigError, SourceError
from geoseg.foreign import named_elsewhere
from geoseg.given import given_paths
from geoseg.raster.discovery import FoundSource, place_of
from geoseg.remote import RemotePath, source_path

_FIELD = re.compile(r"\{([^{}]*)\}")
_KNOWN = re.compile(r"(stem)|([1-9]\d?)(?::0?([1-9]))?")
_NUMBER = re.compile(r"\d+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


def check_pattern(option: str, pattern: str) -> None:
    """Refuse a pattern that means nothing.

    Args:
        option: where it is given, for the message.
        pattern: what is given.

    Raises:
        ConfigError: it is empty, or has braces around something else.
    """
    fields = _FIELD.findall(pattern)
    unknown = [field for field in fields if not _KNOWN.fullmatch(field)]
    if unknown or not pattern or _FIELD.sub("", pattern).strip("{}") != _FIELD.sub("", pattern):
        wrong = f": {{{unknown[0]}}} means nothing" if unknown else ""
        raise ConfigError(
            f"{option} {pattern!r}{wrong}; give a path in which {{stem}} is the image's name, and "
            "{1}, {2} or {1:02} the numbers in it"
        )


Patterns = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""One or several, as a caller gives them."""


def given_patterns(option: str, given: Patterns) -> tuple[str, ...]:
    """One pattern or several, checked.

    Raises:
        ConfigError: as `check_pattern`.
    """
    patterns = tuple(os.fspath(each) for each in given_paths(option, given))
    for pattern in patterns:
        check_pattern(option, pattern)
    return patterns


def companions(image: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that patterns name for an image, in their order.

    Raises:
        SourceError: one of them is missing, or is the image itself.
    """
    return [_companion(image, pattern) for pattern in patterns]


def _companion(image: Path, pattern: str) -> Path:
    numbers = _NUMBER.findall(image.stem)

    def text(match: re.Match[str]) -> str:
        field = _KNOWN.fullmatch(match[1])
        if field is None or field[1]:
            return image.stem
        if int(field[2]) > len(numbers):
            raise SourceError(
                f"{image}: {len(numbers)} numbers in its name, and the pattern {pattern} asks for "
                f"the one of place {field[2]}; give another pattern, or rename the file"
            )
        number: str = numbers[int(field[2]) - 1]
        return number.lstrip("0").rjust(int(field[3]), "0") if field[3] else number

    path = _beside(image, _FIELD.sub(text, pattern))
    if place_of(path) == place_of(image):
        raise SourceError(f"{image}: the pattern {pattern} names the image itself; name another")
    there = isinstance(path, RemotePath) or os.path.exists(path)
    if not there and not named_elsewhere(path):
        raise SourceError(
            f"{image}: {path} is not there, which the pattern {pattern} names; add it, or give "
            "another pattern"
        )
    return path


def _beside(image: Path, name: str) -> Path:
    """A file that is named from the folder of an image, wherever either is."""
    named = source_path(name)
    if isinstance(named, RemotePath):
        return named
    if isinstance(image, RemotePath) and not os.path.isabs(name):
        return image.beside(name)
    return Path(os.path.normpath(image.parent / name))


def local_companions(image: Path, patterns: Sequence[str]) -> list[Path]:
    """As `companions`, of files of this machine alone.

    Raises:
        SourceError: one of them is elsewhere, too.
    """
    files = companions(image, patterns)
    for line in filter(None, map(named_elsewhere, files)):
        raise SourceError(line)
    return files


def without_companions(
    found: Sequence[FoundSource], patterns: Sequence[str]
) -> tuple[list[FoundSource], list[str]]:
    """Inputs without those that lie beside others, and a line about each of these."""
    beside: dict[str, Path] = {}
    for each in found if patterns else ():
        for pattern in patterns:
            try:
                file = _companion(each.path, pattern)
            except SourceError:  # which is said where the image is opened
                continue
            beside[place_of(file)] = each.path
    images = [each for each in found if place_of(each.path) not in beside]
    lines = [
        f"{each.path}: holds bands of {beside[place_of(each.path)]}"
        for each in found
        if place_of(each.path) in beside
    ]
    return images, lines


def companion_name(image: Path, file: Path) -> str:
    """What a file beside an image is called: the words of its name that the image's has not.

    ``dsm`` of ``area_7_dsm.tif`` beside ``area_7.tif``; where there are none, its folder's name.
    """
    own = {word.casefold() for word in _words(image.stem)}
    left = [word for word in _words(file.stem) if word.casefold() not in own]
    return "_".join(left) or "_".join(_words(file.absolute().parent.name)) or "beside"


def _words(name: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(name) if word and not word.isdigit()]
