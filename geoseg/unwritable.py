"""What cannot be written, in a line that names it and says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from geoseg.disks import is_of_the_disk, what_helps, why_unwritable
from geoseg.errors import DiskError, GeosegError, OutputError
from geoseg.places import AnyPath, building_option, building_site


@contextmanager
def naming_file(
    path: AnyPath, errors: tuple[type[Exception], ...] = (OSError,), option: str = "--out"
) -> Iterator[None]:
    """Turn errors of writing a file into an `OutputError` that names it and says what to do.

    Args:
        path: of the file.
        errors: what writing it may raise.
        option: what the user calls the output folder, for the message.

    Raises:
        DiskError: one of `errors` was raised in the block, and nothing can be written there.
        OutputError: another one was; geoseg's own errors pass as they are.
    """
    try:
        yield
    except GeosegError:
        raise
    except errors as error:
        site = building_site(path)
        reason = why_unwritable(error, site)
        advice = what_helps(reason, error, site, building_option(path, option))
        line = f"{path}: cannot be written ({reason}); {advice}"
        if is_of_the_disk(reason, site):
            raise DiskError(line, cause=f"{reason}; {advice}") from error
        raise OutputError(line) from error


def refuse_unwritable(path: Path, option: str = "--out") -> None:
    """Refuse a file that cannot be written, before what it is to hold is made; nothing is left.

    Args:
        path: of the file; its folder may be missing.
        option: what the user calls it, for the message.

    Raises:
        DiskError: nothing can be written there.
        OutputError: a file is in the place of its folder, or this cannot be made.
    """
    nearest = next(each for each in path.absolute().parents if os.path.lexists(each))
    with naming_file(path, option=option), TemporaryFile(dir=nearest):
        pass
