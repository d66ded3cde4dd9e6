"""The parts of a raster that are yet to come, while its files are begun from those that are there.

    network   | band 0 | band 1 | band 2 |
    files              | part 0 | part 1 | part 2 |     each part is awaited where it is read

Parts on disk stay the only state: a task that waits here would otherwise be begun later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from geoseg.inference.stories import Stage, Task
from geoseg.tiling import Block, Window


class Coming:
    """Places whose parts are not written yet; threads of one process share it.

    Args:
        blocks: of a raster.
        missing_rows: of each, the lattice rows of these parts.
        before_last: called before the last of them counts as written, which all files wait for;
            what it raises ends the task that wrote it.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        missing_rows: Sequence[Sequence[int]],
        before_last: Callable[[], None],
    ) -> None:
        each = zip(blocks, missing_rows, strict=True)
        self._places = {block.band(row) for block, rows in each for row in rows}
        self._before_last = before_last
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self.written: list[Any] = []
        """The results of the tasks that write parts, as these are done."""
        self.ended = time.perf_counter()
        """When a part came last."""

    def came(self, place: Window) -> None:
        """A part is written; one thread at a time says so."""
        if self._places == {place}:
            self._before_last()
        with self._changed:
            self._places.discard(place)
            self.ended = time.perf_counter()
            self._changed.notify_all()

    def wait(self, place: Window) -> None:
        """Wait until a part is written.

        Raises:
            BaseException: what `end` was given, as the part will not come.
        """
        with self._changed:
            while place in self._places:
                if self._error is not None:
                    raise self._error
                self._changed.wait()

    def end(self, error: BaseException) -> None:
        """Let all that wait raise this error, if none came before it."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()

    def forget(self) -> None:
        """All parts are there by now, whoever wrote them."""
        with self._changed:
            self._places.clear()

    def stage(self, blocks: Iterable[Task], files: Iterable[Task]) -> Stage:
        """Tasks that write the parts, whose results are None, and tasks that wait for them."""
        # In this order: what waits for others must not keep them from being begun.
        writing = (Task(self._write, (task,), "forward") for task in blocks)
        return Stage("files", (*writing, *(Task(self._make, (task,)) for task in files)))

    def _write(self, process: Any, task: Task) -> None:
        self.written.append(self._make(process, task))

    def _make(self, process: Any, task: Task) -> Any:
        """Run a task; where it fails all waits end: what they wait for may never be begun."""
        try:
            return task.function(process, *task.arguments)
        except BaseException as error:
            self.end(error)
            raise
