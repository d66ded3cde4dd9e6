"""The files of a small raster as one task, where each task travels to another process.

A task takes some 6 ms of the client's processor, and its worker waits as long for the next one; all
files of a raster of 1 Mpx take 0.1 s.
"""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from geoseg.inference.engine import Process, Sheet
from geoseg.inference.stories import Stage, Task
from geoseg.inference.survey import Survey

MOST_PIXELS = 2**22
"""Of a small raster: its files take about a second, one after the other."""
MOST_BYTES = 2000
"""Of a task that travels."""


def is_small(survey: Survey) -> bool:
    """Whether the files of a raster are few and soon made."""
    shown = survey.job.source.shown
    squares = any(output.side for output in survey.outputs)
    return shown.height * shown.width <= MOST_PIXELS and not squares


def tell_apart(
    stages: Sequence[Sequence[Task]], took: list[float | None]
) -> Generator[Stage, list[Any], list[Any]]:
    """The results of the last stage; those of the others, seconds, go into `took`."""
    *before, last = stages
    for tasks in before:
        took += yield Stage("files", tasks)
    results = yield Stage("files", last)
    return results


def tell_together(
    sheet: Sheet, stages: Sequence[Sequence[Task]], took: list[float | None]
) -> Generator[Stage, list[Any], list[Any]]:
    """As `tell_apart`, by one task, or as few as stay small."""
    tasks = [task for tasks in stages for task in tasks]
    results: list[Any] = []
    for some in _small(sheet, tasks):
        results += (yield Stage("files", [in_turn(sheet, some)]))[0]
    last = len(tasks) - len(stages[-1])
    took += results[:last]
    return results[last:]


def _small(sheet: Sheet, tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """These, a few at a time: of many formats one task would grow beyond what a task may take."""
    some: list[Task] = []
    for task in tasks:
        if some and len(pickle.dumps(in_turn(sheet, [*some, task]))) > MOST_BYTES:
            yield some
            some = []
        some.append(task)
    if some:
        yield some


def in_turn(sheet: Sheet, tasks: Sequence[Task]) -> Task:
    """One task that runs these of a raster, each after the one before it."""
    return Task(make_files, (sheet, tuple(tasks)))


def make_files(
    process: Process,
    sheet: Sheet,  # noqa: ARG001  # by which messages name the raster
    tasks: Sequence[Task],
) -> list[Any]:
    """The results of tasks; the first error ends them.

    Raises:
        KeyboardInterrupt: the run has ended meanwhile.
    """
    results = []
    for task in tasks:
        if process.stopped():
            raise KeyboardInterrupt
        results.append(task.function(process, *task.arguments))
    return results
