"""Items made ahead in threads, so that reading hides behind computing, and never too many of them.

thread    | item i+1 | item i+2 |     at most `depth` items that the caller does not hold yet
caller    | item i, computing   |
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_END: Any = object()
"""What comes after the last item."""


def prefetch(
    items: Iterator[Item], depth: int = 1, name: str = "geoseg-prefetch"
) -> Generator[Item]:
    """The same items in the same order, up to `depth` of them made before they are asked for.

    An item is begun only when fewer than `depth` wait or are being made. So a producer that fills
    ``depth + 1`` buffers in turn never touches the one that the caller holds. An error of the
    producer is raised in the caller's thread. The producer is closed in its own thread when the
    caller is done, or leaves early.

    Args:
        items: a generator that does the work.
        depth: from 1 on.
        name: of the thread.
    """
    with ThreadPoolExecutor(1, name) as thread:
        ahead = deque(thread.submit(next, items, _END) for _ in range(depth))
        try:
            while (item := ahead.popleft().result()) is not _END:
                ahead.append(thread.submit(next, items, _END))
                yield item
        finally:
            for future in ahead:
                future.cancel()
            if isinstance(items, Generator):
                with suppress(RuntimeError):  # Python is exiting: threads take no more work
                    thread.submit(items.close)


def work_ahead(
    work: Callable[[Item, Callable[[], bool]], Result], items: Iterable[Item]
) -> Generator[Future[Result]]:
    """Longer work on each item, in a thread a processor, 8 at most; in the order of the items.

    Close it, as by `contextlib.closing`: then what is being done is stopped, the rest not begun.

    Args:
        work: is given an item, and what to ask now and then whether to stop: by KeyboardInterrupt.
        items: few of them are taken ahead.
    """
    stop = threading.Event()
    threads = min(8, os.cpu_count() or 1)
    futures = look_ahead(lambda item: work(item, stop.is_set), items, "geoseg-work", threads)
    try:
        for future in futures:  # noqa: UP028 - that would close it before it is stopped
            yield future
    finally:
        stop.set()
        futures.close()


def look_ahead(
    look: Callable[[Item], Result],
    items: Iterable[Item],
    name: str = "geoseg-look",
    threads: int | None = None,
) -> Generator[Future[Result]]:
    """A look at each item, in a few threads; the looks in the order of the items, done or not.

    For short looks at many files, of which some may lie on a slow disk. An error of one is its
    future's. Looks that were not begun are dropped when the caller leaves early.

    Args:
        look: at an item.
        items: few of them are taken ahead.
        name: of the threads.
        threads: how many; by default two more than processors, 8 at most.
    """
    threads = threads or min(8, (os.cpu_count() or 1) + 2)
    ahead: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads, name) as pool:
        try:
            for item in items:
                ahead.append(pool.submit(look, item))
                if len(ahead) > 4 * threads:
                    yield ahead.popleft()
            while ahead:
                yield ahead.popleft()
        finally:
            for future in ahead:
                future.cancel()
