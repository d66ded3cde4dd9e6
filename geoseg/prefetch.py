"""Items made ahead in a thread, so that reading hides behind computing, and never too many of them.

    thread    | item i+1 | item i+2 |     at most `depth` items that the caller does not hold yet
    caller    | item i, computing   |
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


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
    room = threading.Semaphore(depth)
    ready: queue.SimpleQueue[Item | _End] = queue.SimpleQueue()
    ended = threading.Event()

    def work() -> None:
        end = _End(None)
        try:
            while room.acquire() and not ended.is_set():
                ready.put(next(items))
        except StopIteration:
            pass
        except BaseException as error:  # handed to the caller's thread, which raises it
            end = _End(error)
        finally:
            if isinstance(items, Generator):
                items.close()
            ready.put(end)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            room.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        ended.set()
        room.release()
        thread.join()


class _End:
    """Nothing comes any more."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
