"""Folders and files wherever they are: on this machine or in a bucket."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath, PurePosixPath
from socket import gethostname
from tempfile import gettempdir
from typing import Any, TypeAlias, TypeVar

from geoseg.buckets import is_store_url
from geoseg.errors import ConfigError, OutputError
from geoseg.foreign import name_of
from geoseg.remote import RemotePath
from geoseg.stores import StorePath

AnyPath: TypeAlias = Path | StorePath
"""Of a folder or a file, on this machine or in a bucket."""
Companions: TypeAlias = Callable[[Any], Sequence[AnyPath]]
"""The other files that may belong to a file at a path."""
Place = TypeVar("Place", bound=AnyPath)
Item = TypeVar("Item")
Result = TypeVar("Result")

SITE = f"geoseg-{gethostname()}-"
"""How the names of building sites begin that are among temporary files."""
_AT_ONCE = 16
"""Small requests to a server."""


def any_path(name: str | os.PathLike[str] | StorePath) -> AnyPath:
    """The path that a user gives, on this machine or in a bucket.

    Raises:
        ConfigError: a URL names no bucket, or leads out of it.
    """
    if isinstance(name, StorePath):
        return name
    url = name if isinstance(name, str) and "://" in name else name_of(name)
    if not is_store_url(url):
        return Path(name)
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if not bucket or ".." in key.split("/"):
        raise ConfigError(f"{url}: names no folder in a bucket; give {scheme}://BUCKET/FOLDER")
    return StorePath(f"{scheme.lower()}://{bucket}", PurePosixPath(key.strip("/")))


def building_site(path: AnyPath) -> Path:
    """A path of this machine, beside which a file is built.

    Of a file for a bucket it names the machine too: several may share their temporary folder.
    """
    return path if isinstance(path, Path) else Path(gettempdir(), f"{SITE}{path.name}")


def building_option(path: AnyPath, option: str = "--out") -> str:
    """What the user calls the place where a file is built."""
    return option if isinstance(path, Path) else "TMPDIR"


def asked(ask: Callable[[Item], Result], items: Iterable[Item], place: AnyPath) -> list[Result]:
    """The answers about several items; in a bucket, where each is a trip, several at once.

    Args:
        ask: about an item.
        items: what is at the place.
        place: a folder or a file.
    """
    if isinstance(place, Path):
        return [ask(item) for item in items]
    with ThreadPoolExecutor(_AT_ONCE, "geoseg-ask") as pool:
        return list(pool.map(ask, items))


def path_below(folder: AnyPath, path: AnyPath) -> PurePath:
    """What leads from a folder to a path below it."""
    return PurePath(str(path)).relative_to(str(folder))


def relative_name(path: Path, folder: Path) -> str:
    """How a document in a folder names a file: with slashes, whole where it is on another drive.

    One on a server has its URL, without what is signed.
    """
    if isinstance(path, RemotePath):
        return path.href
    try:
        relative = Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return path.absolute().as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


def files_in(folder: AnyPath) -> list[AnyPath]:
    """The files in a folder, sorted; none where there is no folder."""
    if isinstance(folder, Path):
        return sorted(each for each in _entries(folder) if not each.is_dir())
    return sorted(folder.listed()[1])


def folders_in(folder: AnyPath) -> list[AnyPath]:
    """The folders in a folder, likewise."""
    if isinstance(folder, Path):
        return sorted(each for each in _entries(folder) if each.is_dir())
    return sorted(folder.listed()[0])


def names_in(folder: AnyPath) -> set[str]:
    """The names of all that is in a folder, likewise; by one request."""
    if isinstance(folder, Path):
        return {each.name for each in _entries(folder)}
    return {each.name for found in folder.listed() for each in found}


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def remove_tree(folder: AnyPath) -> None:
    """Remove a folder and all that is in it."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        folder.remove_tree()


def file_sizes(paths: Sequence[AnyPath]) -> list[int | None]:
    """Bytes of each file; None where there is none."""
    return asked(_size, paths, paths[0]) if paths else []


def _size(path: AnyPath) -> int | None:
    try:
        return path.stat().st_size if isinstance(path, Path) else path.size()
    except OSError:
        return None


def existing_files(path: AnyPath, companions: Companions = lambda _: ()) -> list[AnyPath]:
    """What exists of a file and its companions, the file first.

    Where it begins with a companion, that one is not geoseg's: its files come last and go first,
    and `sweep` finishes what was interrupted.
    """
    files = [path, *companions(path)]
    there = asked(_is_there, files, path)
    return [file for file, is_there in zip(files, there, strict=True) if is_there]


def refuse_folders(files: Iterable[AnyPath], option: str = "--out") -> None:
    """Refuse what is to be written where a folder is, which nothing replaces.

    Args:
        files: that are to be written; in a bucket no folder is in their way.
        option: what the user calls their folder, for the message.

    Raises:
        OutputError: one of them is a folder.
    """
    for file in files:
        if isinstance(file, Path) and file.is_dir():
            raise OutputError(
                f"{file} is a folder, and a file is to be written there; move it away, or choose "
                f"another {option}"
            )


def _is_there(path: AnyPath) -> bool:
    return os.path.lexists(path) if isinstance(path, Path) else path.exists()
