"""The file from which workers load the model of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from geoseg.errors import StoreError
from geoseg.files import replace_file
from geoseg.models import Model, write_model
from geoseg.places import AnyPath
from geoseg.stopping import interrupts_blocked
from geoseg.unwritable import naming_file


@contextmanager
def model_for_workers(model: Model, file: AnyPath) -> Iterator[Callable[[], None]]:
    """Write a model in a thread, while the workers start; its file is gone at the end.

    It holds the model as it is in memory, which may differ from the file that it came from.

    Args:
        model: the model.
        file: its new file, in a folder that workers see.

    Yields:
        What waits until the file is there, and raises what writing it raised.

    Raises:
        OutputError: it cannot be removed.
    """

    def write() -> None:
        with replace_file(file) as built:
            write_model(model.net, model.card, built)

    try:
        with ThreadPoolExecutor(1, "geoseg-model") as thread:
            with interrupts_blocked():  # as in the threads that start workers
                written = thread.submit(write)
            yield written.result
    except BaseException:
        with suppress(OSError, StoreError):  # what was wrong before counts; the next run removes it
            file.unlink(missing_ok=True)
        raise
    with naming_file(file):
        file.unlink(missing_ok=True)
