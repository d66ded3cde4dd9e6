"""What was wrong with a run itself, not with one of its inputs: each cause in one line."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from geoseg.errors import GeosegError, RunError
from geoseg.failures import failure_line


class RunFaults:
    """Lines about a run, as its report lists them below those of its inputs.

    A server that is away, or a full disk, is met by all that a run still has to write.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        """Of these faults, in the order they came."""
        self._told: set[str] = set()

    def note(self, error: GeosegError, told: Collection[str] = ()) -> None:
        """Add its line, unless one of the same cause is there.

        Args:
            error: of the run.
            told: lines about inputs. That of the one that met the fault may be about an error
                before this one, which has then been met while its outcome was noted.
        """
        cause = _cause(error)
        is_told = any(
            failure_line("", each) in told
            for each in _with_those_before(error)
            if _cause(each) == cause
        )
        if not is_told and cause not in self._told:
            self.lines.append(str(error))
        self._told.add(cause)


def _cause(error: Exception) -> str:
    return error.cause if isinstance(error, RunError) else str(error)


def _with_those_before(error: BaseException | None) -> Iterator[Exception]:
    """An error, and those that were being handled when it was raised."""
    while isinstance(error, Exception):
        yield error
        error = error.__context__
