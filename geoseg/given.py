"""Paths that Python callers give: what is none is refused by the name of its argument."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeAlias

from geoseg.errors import ConfigError, shown

AnyName: TypeAlias = str | os.PathLike[str]
"""What names a file or a folder."""


def given_path(name: str, given: Any) -> AnyName:
    """The path itself.

    Args:
        name: of the argument.
        given: for it.

    Raises:
        ConfigError: it is no path.
    """
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"{name} {shown(given)}: give a path, as text or as pathlib.Path")
    return given


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
    if isinstance(given, str | os.PathLike):
        return [given]
    several = list(given) if isinstance(given, Iterable) else [given]
    if any(not isinstance(each, str | os.PathLike) for each in several):
        raise ConfigError(f"{name} {shown(given)}: give a path, or a list of paths")
    return several
