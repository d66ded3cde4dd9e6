"""Looks at many files by this process and by others beside it, as each has a lock of Python's own.

    this process | looks at chunk 0 | answers of 0 | looks at chunk 2 | answers of 1, 2 | ...
    another one  | starts      | looks at chunk 1     | looks at chunk 3 | ...

They help, and nothing depends on them: where one fails, dies or is frozen, this process looks
itself. They end with this one, however it ends, as their input does.
"""

from __future__ import annotations

import io
import multiprocessing.spawn
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Generic, TypeVar

from geoseg.coordinate_systems import wkt_of
from geoseg.lazy import import_environment
from geoseg.pickles import Pickler, Unpickler, crs_of
from geoseg.prefetch import look_now

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 32
"""Looks that are asked for at a time: they take a tenth of a second."""
_NONE: Mapping[str, str] = {}
_SERVE = "from geoseg.look_processes import serve; serve()"


def look_beside(
    look: Callable[[Item], Result],
    items: Sequence[Item],
    helpers: int,
    environment: Mapping[str, str] = _NONE,
) -> Generator[Future[Result]]:
    """A look at each item, done, in the order of the items; an error of one is its future's.

    Args:
        look: at an item; what errors it raises, it raises in this process.
        items: these, the look and its results can be pickled.
        helpers: further processes that look, from 1 on.
        environment: of these, beside this process's.
    """
    chunks = _Chunks(look, items)
    with ExitStack() as stack:
        for _ in range(helpers):
            stack.enter_context(_helped(chunks, environment))
        for number in range(chunks.count):
            while number not in chunks.looks:
                own = chunks.take()  # none is left: this one is late, or its helper is gone
                chunks.look(number if own is None else own)
            yield from chunks.looks.pop(number)


class _Chunks(Generic[Item, Result]):
    """Items, some at a time, and the looks at them; threads share it."""

    def __init__(self, look: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.request = pickle.dumps(look)
        self._look, self._items = look, items
        self.count = -(-len(items) // _CHUNK)
        self._waiting = deque(range(self.count))
        self.looks: dict[int, list[Future[Result]]] = {}
        """By the number of the chunk."""

    def items(self, number: int) -> Sequence[Item]:
        return self._items[number * _CHUNK : (number + 1) * _CHUNK]

    def take(self) -> int | None:
        """The next chunk that nobody looks at."""
        with suppress(IndexError):
            return self._waiting.popleft()
        return None

    def look(self, number: int) -> None:
        """Look at a chunk in this process."""
        self.looks[number] = [look_now(self._look, item) for item in self.items(number)]

    def answered(self, number: int, results: Sequence[Any]) -> None:
        """A helper has looked; what it could not, this process looks at."""
        looks: list[Future[Result]] = []
        for item, result in zip(self.items(number), results, strict=True):
            looks.append(look_now(self._look, item) if result is None else _done(result[0]))
        self.looks.setdefault(number, looks)


def _done(result: Result) -> Future[Result]:
    future: Future[Result] = Future()
    future.set_result(result)
    return future


@contextmanager
def _helped(chunks: _Chunks[Any, Any], environment: Mapping[str, str]) -> Iterator[None]:
    """While inside, another process looks at chunks too, if one can be started."""
    try:
        helper: Any = subprocess.Popen(  # noqa: S603 - our own
            [multiprocessing.spawn.get_executable() or sys.executable, "-c", _SERVE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what goes wrong there, goes wrong here again
            env={**os.environ, **environment, **import_environment()},
        )
    except OSError:
        yield
        return
    asking = threading.Thread(target=_ask, args=(helper, chunks), name="geoseg-ask")
    asking.start()
    try:
        yield
    finally:
        helper.kill()
        asking.join()
        helper.wait()
        for pipe in (helper.stdin, helper.stdout):
            with suppress(OSError):  # of a request that it has not read
                pipe.close()


def _ask(helper: Any, chunks: _Chunks[Any, Any]) -> None:
    """Ask a helper for one chunk after the other, until there is none, or it has ended."""
    with suppress(OSError, EOFError, pickle.UnpicklingError):
        helper.stdin.write(chunks.request)
        while (number := chunks.take()) is not None:
            helper.stdin.write(pickle.dumps(chunks.items(number)))
            helper.stdin.flush()
            chunks.answered(number, Unpickler(helper.stdout).load())


def serve() -> None:
    """What a helper does: answer what its standard input asks, until that ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries may print
    with suppress(EOFError):
        look = pickle.load(requests)  # noqa: S301 - from the process that started this one
        while True:
            items = pickle.load(requests)  # noqa: S301
            answers.write(_answer([_looked(look, item) for item in items]))
            answers.flush()


def _looked(look: Callable[[Any], Any], item: Any) -> tuple[Any] | None:
    with suppress(Exception):  # it is raised in the process that asks
        return (look(item),)
    return None


def _answer(results: list[tuple[Any] | None]) -> bytes:
    out = io.BytesIO()
    try:
        _Exact(out).dump(results)
    except (pickle.PicklingError, TypeError, AttributeError):
        return pickle.dumps([None] * len(results))
    return out.getvalue()


class _Exact(Pickler):
    """Refuses a coordinate system that its text would change, as it does some that no file has."""

    def persistent_id(self, value: Any) -> str | None:
        wkt = super().persistent_id(value)
        if wkt is not None:
            crs = crs_of(wkt)
            if (crs, str(crs), wkt_of(crs)) != (value, str(value), wkt_of(value)):
                raise pickle.PicklingError("another one would arrive")
        return wkt
