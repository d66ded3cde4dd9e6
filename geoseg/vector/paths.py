"""Files whose names mean something else to pyogrio and GDAL, under names that do not.

pyogrio takes ``!`` for a place inside an archive, cuts a name at ``;``, and drops tabs and line
ends; GDAL takes a backslash in a shapefile's name for a folder. Neither has a way to quote them.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_SPECIAL = re.compile(r"[!;\t\r\n]" if Path("\\").is_absolute() else r"[!;\t\r\n\\]")
"""On Windows the backslash is the one between folders."""
_PLAIN = "layer"


@contextmanager
def path_to_read(path: Path) -> Iterator[Path]:
    """The file itself, or a link to it and to the files beside it; a context manager."""
    if not _SPECIAL.search(str(path)):
        yield path
        return
    with TemporaryDirectory(prefix="geoseg-") as folder:
        for part in files_of(path):
            ending = part.name.removeprefix(path.stem)
            Path(folder, _PLAIN + ending).symlink_to(part.resolve())
        yield Path(folder, _PLAIN + path.suffix)


@contextmanager
def path_to_write(path: Path) -> Iterator[Path]:
    """The file itself, or another in its folder that takes its name in the end.

    Args:
        path: of a file that is to be made, alone in its folder.
    """
    if not _SPECIAL.search(str(path)):
        yield path
        return
    with TemporaryDirectory(prefix="geoseg-") as folder:
        link = Path(folder, "folder")
        link.symlink_to(path.parent.resolve(), target_is_directory=True)
        yield link / (_PLAIN + path.suffix)
    for part in path.parent.glob(f"{_PLAIN}.*"):
        part.rename(path.with_name(path.stem + part.name.removeprefix(_PLAIN)))


def files_of(path: Path) -> list[Path]:
    """A file and those beside it that share its stem (a Shapefile has four or five), sorted."""
    return sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))
