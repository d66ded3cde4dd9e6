"""Items made ahead in a thread, so that reading hides behind computing, and never too many of them.

thread    | item i+1 | item i+2 |     at most `depth` items that the caller does not hold yet
caller    | item i, computing   |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")

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
