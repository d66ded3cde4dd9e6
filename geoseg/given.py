"""Paths that callers give: what is none, or is taken, is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

from geoseg.errors import ConfigError, OutputError, shown
from geoseg.foreign import output_elsewhere
from geoseg.unwritable import refuse_unwritable

AnyName: TypeAlias = str | os.PathLike[str]
"""What names a file or a folder."""
EMPTY = "an empty text is no path; a variable of the shell may not be set"
"""What is wrong with a path that is given as no text."""


def given_path(name: str, given: Any) -> AnyName:
    """The path itself.

    Args:
        name: of the argument.
        given: for it.

    Raises:
        ConfigError: it is no path.
    """
    _refuse_empty(name, given)
    if not _is_path(given):
        raise ConfigError(f"{name} {shown(given)}: give a path, as text or as pathlib.Path")
    return given  # type: ignore[no-any-return]


def path_text(name: str, given: Any) -> str:
    """The path as text; likewise."""
    return os.fspath(given_path(name, given))


def given_paths(name: str, given: Any) -> list[AnyName]:
    """The paths of a list, or the one that is given alone.

    Args:
        name: of the argument.
        given: for it.

    Raises:
        ConfigError: it is neither a path nor a list of paths.
    """
    several = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for each in several:
        _refuse_empty(name, each)
    if not all(_is_path(each) for each in several):
        raise ConfigError(f"{name} {shown(given)}: give a path, or a list of paths")
    return several


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse to write a file where something is already, or where none can be written.

    Args:
        path: of the file.
        overwrite: whether an existing file is replaced; a folder never is.

    Raises:
        ConfigError: it is a path on a server.
        OutputError: something is there, or the file's folder cannot be made or written.
    """
    if line := output_elsewhere(path):
        raise ConfigError(line)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; --overwrite replaces it")
    refuse_unwritable(path)


def _is_path(given: Any) -> bool:
    return isinstance(given, str | os.PathLike)


def _refuse_empty(name: str, given: Any) -> None:
    """Refuse empty text, which `Path` takes for the current folder."""
    if isinstance(given, str) and not given:
        raise ConfigError(f"{name}: {EMPTY}")
