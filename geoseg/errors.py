"""Everything that geoseg raises on purpose.

GeosegError
├── ConfigError   an option, a config or a classes file is wrong (exit 2)
├── ModelError    a system, an encoder or a model file is wrong (exit 2)
├── SourceError   one input raster is refused or unreadable (that input fails, the others continue)
│   ├── MisfitError  it does not fit a model; often an option makes it fit
│   ├── OutsideError it lies outside of the area of interest, and is left out
│   ├── SheetError   one of the files of a mosaic cannot be read; the others continue without it
│   └── PartError    a finished part of its output is missing or damaged
├── OutputError   an output cannot be written, or another file is in its way
│   └── FolderInUseError  another run writes into the output folder
├── TilingError   a window, an overlap or a block is impossible
├── VectorError   polygons cannot be made or written
└── RunError      a fault of the run itself, which every further input would meet: it stops the run
    ├── DiskError    (also an OutputError) the disk is full, or cannot be written any more
    ├── StoreError   a bucket is missing, out of reach or denied, or another run has taken it over
    ├── DeviceError  (also a ModelError) the device of the network is lost
    └── SchedulerLostError  the cluster is gone (exit 130, as the same command continues)

Each message says what was given, what is needed and what to do, in one line.
"""

import reprlib

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = 8
_SHORT.maxstring = _SHORT.maxother = 120


class GeosegError(Exception):
    """Base of all errors that geoseg raises on purpose."""


class ConfigError(GeosegError, ValueError):
    """An option, a config file or a classes file is wrong."""


class ModelError(GeosegError, ValueError):
    """A system, an encoder or a model file is wrong."""


class SourceError(GeosegError, OSError):
    """An input raster is refused or cannot be read."""


class MisfitError(SourceError):
    """An input raster does not fit a model.

    Args:
        message: as of all errors.
        options: those of ``geoseg predict`` that the message advises, by name with underscores, as
            one types their values; none where none helps.
    """

    def __init__(self, message: str, **options: str) -> None:
        super().__init__(message)
        self.options = options


class OutsideError(SourceError):
    """An input raster lies outside of the area of interest."""


class SheetError(SourceError):
    """One of the files of a mosaic cannot be read.

    Args:
        message: as of all errors.
        sheet: the file.
    """

    def __init__(self, message: str, sheet: str = "") -> None:
        super().__init__(message)
        self.sheet = sheet


class PartError(SourceError):
    """A finished part of a raster's output is missing or damaged, or another one is in its place.

    Its block, run again, makes it anew.

    Args:
        message: as of all errors.
        path: of the part.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class OutputError(GeosegError, OSError):
    """An output cannot be written, or another one exists in its place."""


class FolderInUseError(OutputError):
    """Another run writes into the output folder."""


class TilingError(GeosegError, ValueError):
    """A window, an overlap or a block is impossible."""


class VectorError(GeosegError, ValueError):
    """Polygons cannot be made or written."""


class RunError(GeosegError):
    """A fault of the run itself: every further input would meet it.

    Args:
        message: as of all errors.
        cause: what is wrong, apart from the file that met it: of several errors of one cause, one
            is told. By default the message.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause or message


class DiskError(RunError, OutputError):
    """The disk is full, or cannot be written any more."""


class StoreError(RunError):
    """A bucket is missing, denies access or does not answer, or the lease of it is lost.

    It is no OSError: where that means that a file is missing or damaged, this does not.
    """


class DeviceError(RunError, ModelError):
    """The device that the network runs on is lost."""


class SchedulerLostError(RunError):
    """The scheduler of a cluster, or the last of its workers, is gone: the run is interrupted."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.exit_code = 130


def shown(value: object) -> str:
    """A value as messages show it: its `repr` in a line, shortened where it is long or nested."""
    return " ".join(_SHORT.repr(value).split("\n"))


def one_line_reason(error: Exception) -> str:
    """The first line of another library's message, or the error's name where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
