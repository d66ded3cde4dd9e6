"""Items made ahead in threads, so that reading hides behind computing, and never too many of them.

thread    | item i+1 | item i+2 |     at most `depth` items that the caller does not hold yet
caller    | item i, computing   |
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_END: Any = object()
"""What comes after the last item."""
_AHEAD_BYTES = 2**25
"""Of results that wait for their turn in `shared_out`."""
_TRIED_IN_THREADS, _TRIED_ONE_BY_ONE = 32, 8
_UNTIL_THE_NEXT_TRIAL = 512
"""Looks: where they wait for a disk, those one by one take a twentieth of the time of all."""
_FEW = 512
"""Looks that are made before help has started."""
_SHORT = 0.02
"""Seconds a look in threads, beyond which it waits or decodes: threads are quicker then."""


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


def shared_out(
    work: Callable[[Item], Result], items: Sequence[Item], size: int
) -> Generator[Result]:
    """The result of work on each item, in the order of the items, made by threads.

    There are as many threads as processors, 8 at most, and fewer where results are large: those
    that wait for their turn have 32 MiB at most. Close it, as by `contextlib.closing`: then no
    further work is begun. An error of one is raised in its turn.

    Args:
        work: on an item.
        items: in the order of the results.
        size: of a result, bytes.
    """
    threads = min(8, os.cpu_count() or 1, _AHEAD_BYTES // size, len(items))
    if threads < 2:
        yield from map(work, items)
        return
    with closing(look_ahead(work, items, "geoseg-share", threads, threads)) as futures:
        for future in futures:
            yield future.result()


def look_ahead(
    look: Callable[[Item], Result],
    items: Iterable[Item],
    name: str = "geoseg-look",
    threads: int | None = None,
    depth: int | None = None,
    beside: _Beside[Item, Result] | None = None,
) -> Generator[Future[Result]]:
    """A look at each item; the looks in the order of the items, done or not.

    For short looks at many files, of which some may lie on a slow disk: in a few threads or one by
    one in the caller's, whichever turns out to be quicker. An error of one is its future's. Looks
    that were not begun are dropped when the caller leaves early.

    Args:
        look: at an item.
        items: few of them are taken ahead.
        name: of the threads.
        threads: how many, always; by default two more than processors, 8 at most, if at all.
        depth: how many items are taken ahead; by default four a thread.
        beside: in place of one by one, where that is quicker than threads and many are left.
    """
    chosen = threads or min(8, (os.cpu_count() or 1) + 2)
    with ThreadPoolExecutor(chosen, name) as pool:
        in_threads = partial(_in_threads, pool, look, depth or 4 * chosen)
        if threads:
            yield from in_threads(items)
        else:
            one_by_one = partial(map, partial(look_now, look))
            yield from _by_the_quicker(in_threads, one_by_one, beside, iter(items))


_Way = Callable[[Iterable[Item]], Iterator[Future[Result]]]
"""To look at some items; the looks in their order."""
_Beside = Callable[[Sequence[Item]], Iterator[Future[Result]]]
"""Likewise, with help of others."""


def look_now(look: Callable[[Item], Result], item: Item) -> Future[Result]:
    """A look that is done; an error is its future's."""
    future: Future[Result] = Future()
    try:
        future.set_result(look(item))
    except Exception as error:
        future.set_exception(error)
    return future


def _in_threads(
    pool: ThreadPoolExecutor, look: Callable[[Item], Result], depth: int, items: Iterable[Item]
) -> Generator[Future[Result]]:
    ahead: deque[Future[Result]] = deque()
    try:
        for item in items:
            ahead.append(pool.submit(look, item))
            if len(ahead) > depth:
                yield ahead.popleft()
        while ahead:
            yield ahead.popleft()
    finally:
        for future in ahead:
            future.cancel()


def _by_the_quicker(
    in_threads: _Way[Item, Result],
    one_by_one: _Way[Item, Result],
    beside: _Beside[Item, Result] | None,
    items: Iterator[Item],
) -> Generator[Future[Result]]:
    """Both ways are tried now and then.

    Threads are quicker where looks wait for a disk. Looks at small files that the system remembers
    are computed by Python, and its lock, handed from thread to thread, doubles what they take.
    """
    while True:
        quicker, least = in_threads, _SHORT
        for way, count in ((in_threads, _TRIED_IN_THREADS), (one_by_one, _TRIED_ONE_BY_ONE)):
            began = time.perf_counter()
            tried = list(way(islice(items, count)))
            wait(tried)
            pace = (time.perf_counter() - began) / count
            yield from tried
            if len(tried) < count:
                return
            if pace > least:
                break
            quicker, least = way, pace
        if beside is not None and quicker is one_by_one:
            left = list(items)
            yield from beside(left) if len(left) > _FEW else one_by_one(left)
            return
        looked = 0
        for future in quicker(islice(items, _UNTIL_THE_NEXT_TRIAL)):
            looked += 1
            yield future
        if looked < _UNTIL_THE_NEXT_TRIAL:
            return
