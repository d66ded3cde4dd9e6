"""Small rasters of many, made whole by workers: several by one task.

A raster of 64 x 64 takes a worker some 20 ms, of which most is the work on files, and a task some
6 ms of the client: with a block and its files as tasks of their own, two workers would wait for it.
So a worker is sent the surveys of a few rasters, and tells their stories to itself. What fails
there is told again by the client, by tasks of their own: that way it is mended or named.
"""

from __future__ import annotations

import io
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geoseg.errors import RunError
from geoseg.inference.engine import Process
from geoseg.inference.run_facts import RunFacts
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.small_rasters import MOST_BYTES, is_small
from geoseg.inference.stories import Lane, Stage, Story, Task, tell_stories
from geoseg.inference.survey import Survey
from geoseg.pickles import Pickler, Unpickler
from geoseg.progress import Progress

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun
    from geoseg.inference.run_report import RunReport

MOST_PIXELS = 2**18
"""Of a raster, and of a bundle: 512 x 512."""
_MOST_RASTERS = 16
_BUNDLES_A_PROCESS = 8
"""At least, so that none idles while the last ones are made."""


def stories_of(
    surveys: Sequence[Survey],
    run: PredictRun,
    report: RunReport,
    progress: Progress,
    alone: Callable[[Survey], Story],
) -> Iterator[Story]:
    """The stories of all rasters, those of small ones bundled where they travel to workers.

    Workers with GPUs are left to the network, where others make files.

    Args:
        surveys: of the rasters.
        run: of the rasters.
        report: is told what is finished or interrupted.
        progress: is told what there is to note.
        alone: the story of one raster, which notes what comes of it.
    """
    apart = not run.processes or (run.cluster is not None and run.cluster.on_gpus)
    few = [] if apart else [each for each in surveys if _fits(each)]
    most = min(_MOST_RASTERS, len(few) // (_BUNDLES_A_PROCESS * max(1, run.processes)))
    if most < 2:
        yield from map(alone, surveys)
        return
    yield from (alone(each) for each in surveys if not _fits(each))
    for some, packed in _bundles(few, replace(run.facts, processes=0), most):
        if len(packed) > MOST_BYTES:  # a single one, of a long path or coordinate system
            yield from map(alone, some)
        else:
            yield _tell(some, packed, report, progress, alone)


def _fits(survey: Survey) -> bool:
    shown = survey.job.source.shown
    small = is_small(survey) and shown.height * shown.width <= MOST_PIXELS
    return small and len(survey.blocks) == 1 and not survey.job.sheets


def _bundles(
    surveys: Iterable[Survey], facts: RunFacts, most: int
) -> Iterator[tuple[list[Survey], bytes]]:
    """As many at once as a task may have of bytes, pixels and rasters; as they are sent."""
    waiting, some, pixels = deque(surveys), [], 0
    while waiting:
        some.append(waiting.popleft())
        pixels += _pixels(some[-1])
        if waiting and len(some) < most and pixels + _pixels(waiting[0]) <= MOST_PIXELS:
            continue
        packed = _pack((facts, some))
        while len(packed) > MOST_BYTES and len(some) > 1:
            waiting.appendleft(some.pop())
            most = len(some)  # neighbours are alike
            packed = _pack((facts, some))
        yield some, packed
        some, pixels = [], 0


def _pixels(survey: Survey) -> int:
    return survey.job.source.shown.height * survey.job.source.shown.width


def _pack(value: Any) -> bytes:
    """Surveys of one run are much alike: compressed, a further one takes some 150 bytes."""
    packed = io.BytesIO()
    Pickler(packed).dump(value)
    return zlib.compress(packed.getbuffer())


def _unpack(packed: bytes) -> Any:
    return Unpickler(io.BytesIO(zlib.decompress(packed))).load()


def _tell(
    surveys: Sequence[Survey],
    packed: bytes,
    report: RunReport,
    progress: Progress,
    alone: Callable[[Survey], Story],
) -> Story:
    """A few rasters by one task, and those that fail there alone."""
    waiting = deque(surveys)
    try:
        try:
            (answer,) = yield Stage("forward", [Task(make_rasters, (packed,))])
            results = _unpack(answer)
        except RunError:
            raise
        except Exception:  # such as deaths of workers, by which raster nobody knows
            results = [None] * len(surveys)
        for result in results:
            survey = waiting.popleft()
            if result is None:
                yield from alone(survey)
            else:
                for line in result[1]:
                    progress.note(line)
                report.finish(survey, result[0])
    finally:
        for survey in waiting:  # none, unless the run is stopped
            report.interrupt(survey.job)


def make_rasters(process: Process, packed: bytes) -> bytes:
    """Make all files of some rasters.

    Args:
        process: where it runs.
        packed: facts of the run, and surveys.

    Returns:
        For each raster what it took and the lines about it; None where something is wrong with it.
        Packed likewise.

    Raises:
        KeyboardInterrupt: the run has ended meanwhile.
    """
    facts, surveys = _unpack(packed)
    with process.forward:
        here = replace(process, forward=nullcontext())
        return _pack([_make(here, facts, survey) for survey in surveys])


def _make(
    process: Process, facts: RunFacts, survey: Survey
) -> tuple[RasterResult, list[str]] | None:
    result, notes, passed = RasterResult(), _Notes(), list[int]()
    slots = _InTurn(replace(process, on_window=passed.append))
    try:
        tell_stories([tell_raster(facts, survey, notes, result)], slots)
    except Exception:  # whatever one raster raises, the others are made
        return None  # the client tells it again, and what is wrong with it
    process.on_window(sum(passed))
    return result, notes.lines


class _Notes(Progress):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


class _InTurn:
    """Slots in the caller's own thread: a task is done as soon as it is submitted."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def capacity(self, lane: Lane) -> int:  # noqa: ARG002
        return 1

    def submit(self, lane: Lane, task: Task) -> Future[Any]:  # noqa: ARG002
        if self._process.stopped():
            raise KeyboardInterrupt
        future: Future[Any] = Future()
        try:
            future.set_result(task.function(self._process, *task.arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def check(self) -> None:
        """Nothing goes wrong here that the tasks would not raise."""
