"""The work on many inputs as stories of small tasks: few are in flight, the rest are not yet made.

A story is the work on one input: a generator that yields stages, one after the other, and is given
the results of each. Tasks of a stage may run in any order and anywhere; those of other stories fill
the places that a stage leaves free. So the end of one input runs beside the start of the next, and
what is in flight is bounded, however many inputs there are.

    story a   |blocks . . . .|rasters, polygons|preview|
    story b                .  |blocks . . . . . . . .|rasters, polygons|
"""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

Lane = Literal["forward", "files"]
"""Where a task queues: for the network, or for a thread that makes files."""


@dataclass(frozen=True, slots=True)
class Task:
    """One call, ``function(process, *arguments)``, in any process that has what it names."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    lane: Lane | None = None
    """Where it queues; None: where its stage does."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Tasks that may run in any order, all before the story goes on.

    Those that wait for others come behind them: they are begun in this order.
    """

    lane: Lane
    tasks: Iterable[Task]


Story = Generator[Stage, list[Any], None]
"""Is sent the results of a stage in the order of its tasks, or thrown the error of one of them."""


class Future(Protocol):
    """What `concurrent.futures` and Dask have in common."""

    def result(self) -> Any:
        """The task's result, or its error raised."""

    def add_done_callback(self, call: Callable[[Any], Any]) -> None:
        """Have `call` called with the future, in any thread, once the task is done."""


class Slots(Protocol):
    """Where tasks run."""

    def capacity(self, lane: Lane) -> int:
        """How many tasks of a lane may be in flight now."""

    def submit(self, lane: Lane, task: Task) -> Future:
        """Start a task as soon as there is room for it."""

    def check(self) -> None:
        """Raise what makes waiting senseless; called about once a second."""


_WAIT_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class _Telling:
    """A story that is being told: its stage, and what has come of it."""

    story: Story
    stage_lane: Lane = "forward"
    tasks: Iterator[tuple[int, Task]] = field(default_factory=lambda: iter(()))
    waiting: deque[tuple[int, Task]] = field(default_factory=deque)
    """The next task, once it is known that there is one."""
    results: dict[int, Any] = field(default_factory=dict)
    """Of the tasks that are done."""
    in_flight: int = 0
    begun: bool = False
    error: Exception | None = None

    def _begin(self, stage: Stage) -> None:
        self.begun = True
        self.stage_lane = stage.lane
        self.tasks = iter(enumerate(stage.tasks))
        self.results = {}
        self._look()

    @property
    def lane(self) -> Lane:
        """Of the next task."""
        return self.waiting[0][1].lane or self.stage_lane

    def take(self) -> tuple[int, Task]:
        taken = self.waiting.popleft()
        self.in_flight += 1
        self._look()
        return taken

    def end(self, number: int, future: Future) -> None:
        """A task is done; of several errors the first counts, and no further task is begun."""
        self.in_flight -= 1
        try:
            self.results[number] = future.result()
        except Exception as error:
            self.error = self.error or error
            self.waiting.clear()

    def _look(self) -> None:
        self.waiting.extend(itertools.islice(self.tasks, 1))

    @property
    def is_over(self) -> bool:
        """Whether the stage is."""
        return not self.waiting and not self.in_flight

    def go_on(self) -> bool:
        """Give the story what came of its stage; whether another one follows."""
        error, self.error = self.error, None
        try:
            if error is not None:
                stage = self.story.throw(error)
            elif not self.begun:
                stage = next(self.story)
            else:
                stage = self.story.send([result for _, result in sorted(self.results.items())])
        except StopIteration:
            return False
        self._begin(stage)
        return True


def tell_stories(
    stories: Iterable[Story], slots: Slots, refuse_lost: Callable[[], None] = lambda: None
) -> None:
    """Run the stories to their ends, begun in their order, as the slots have room.

    A story that raises ends all; those that are being told are closed, those behind it not begun.

    Args:
        stories: made one by one, each when there is room for its first task.
        slots: where tasks run.
        refuse_lost: raises what ends all, and is called about once a second at least.
    """
    upcoming = iter(stories)
    told: list[_Telling] = []
    done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
    in_flight: dict[Lane, int] = {"forward": 0, "files": 0}
    try:
        while True:
            refuse_lost()
            for telling in _with_room(told, upcoming, in_flight, slots):
                lane = telling.lane
                number, task = telling.take()
                in_flight[lane] += 1
                future = slots.submit(lane, task)
                future.add_done_callback(partial(_put, done, telling, lane, number))
            if not told:
                return
            telling, lane, number, future = _next_done(done, slots, refuse_lost)
            in_flight[lane] -= 1
            telling.end(number, future)
            _go_on(telling, told)
    finally:
        for telling in told:
            telling.story.close()


_Done = tuple[_Telling, Lane, int, Future]
"""A task that is done: its story, where it ran, its number in the stage."""


def _put(
    done: queue.SimpleQueue[_Done], telling: _Telling, lane: Lane, number: int, future: Future
) -> None:
    done.put((telling, lane, number, future))


def _with_room(
    told: list[_Telling], upcoming: Iterator[Story], in_flight: dict[Lane, int], slots: Slots
) -> Iterator[_Telling]:
    """The story whose next task there is room for, again and again; older stories come first."""
    while True:
        free = {lane for lane in in_flight if in_flight[lane] < slots.capacity(lane)}
        ready = (each for each in told if each.waiting and each.lane in free)
        telling = next(ready, None)
        if telling is not None:
            yield telling
            continue
        # Behind files that are slower than the network, no more is begun than what keeps both busy.
        most = slots.capacity("forward") + 2 * slots.capacity("files")
        story = next(upcoming, None) if "forward" in free and len(told) < most else None
        if story is None:
            return
        told.append(_Telling(story))
        _go_on(told[-1], told)


def _go_on(telling: _Telling, told: list[_Telling]) -> None:
    """Take a story on until it has a task to wait for, or has ended."""
    while telling.is_over:
        if not telling.go_on():
            told.remove(telling)
            return


def _next_done(
    done: queue.SimpleQueue[_Done], slots: Slots, refuse_lost: Callable[[], None]
) -> _Done:
    while True:
        try:
            return done.get(timeout=_WAIT_SECONDS)
        except queue.Empty:
            slots.check()
            refuse_lost()
