"""Files of numpy arrays that tasks leave for one another: groups of arrays, in the order written.

They are ZIP files, whose checksums are verified as they are read. Nothing in them is compressed: to
deflate outlines takes a fifth of the time that it takes to make them.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from geoseg.copies import local_copy
from geoseg.errors import SourceError
from geoseg.files import replace_file
from geoseg.places import AnyPath

Arrays = Sequence[NDArray[Any]]

_DAMAGED = (OSError, EOFError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile)
"""What reading a damaged file raises."""


def write_arrays(path: AnyPath, groups: Iterable[Arrays]) -> None:
    """Write groups as they come; an existing file is replaced when all are written.

    Raises:
        OutputError: the file cannot be written.
    """
    with replace_file(path) as built, zipfile.ZipFile(built, "w") as file:
        for number, arrays in enumerate(groups):
            with file.open(f"{number}", "w", force_zip64=True) as member:
                for array in arrays:
                    npy.write_array(member, np.asarray(array), allow_pickle=False)


def read_arrays(path: AnyPath) -> Iterator[list[NDArray[Any]]]:
    """The groups of `write_arrays`, one after the other.

    Raises:
        SourceError: the file is missing or damaged.
    """
    try:
        with local_copy(path) as local, zipfile.ZipFile(local) as file:
            for info in file.infolist():
                member, arrays = io.BytesIO(file.read(info)), []
                while member.tell() < info.file_size:
                    arrays.append(npy.read_array(member, allow_pickle=False))
                yield arrays
    except _DAMAGED as error:
        raise SourceError(
            f"{path}: polygons of a part of the raster are missing or damaged ({error}); "
            "run the command again, which makes them anew"
        ) from error
