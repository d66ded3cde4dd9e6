"""What a worker of a cluster is, and what it lacks that a run asks of all its workers."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from geoseg.errors import ConfigError, StoreError
from geoseg.files import write_text
from geoseg.inference.agreement import GPU, WorkerFacts
from geoseg.inference.predictor import choose_device, choose_precision, processor_of
from geoseg.memory import free_memory, held_memory
from geoseg.places import AnyPath
from geoseg.remote import RemotePath
from geoseg.stores import StorePath


def facts_of_worker(
    device: str, precision: str, token: AnyPath | None, sources: Sequence[Path], dask_worker: Any
) -> WorkerFacts:
    """What this worker is, and what keeps it from taking part.

    Args:
        device: as the user asks for it.
        precision: likewise.
        token: a file of the client in the output folder; None: nothing is to be written.
        sources: some that it must be able to read.
        dask_worker: Dask's worker; `Client.run` gives it by this name.
    """
    try:
        chosen = choose_device(device)
        effective = str(choose_precision(precision, chosen))
        fault = blindness_of_worker(token, sources)
    except ConfigError as error:
        chosen, effective, fault = torch.device("cpu"), "fp32", f"cannot take part: {error}"
    return WorkerFacts(
        dask_worker.address,
        socket.gethostname(),
        os.cpu_count() or 1,
        torch.__version__,
        chosen.type,
        processor_of(chosen),
        effective,
        fault,
        GPU in dask_worker.state.total_resources,
        dask_worker.memory_manager.memory_limit,
        free_memory() + held_memory(),
    )


def blindness_of_worker(token: AnyPath | None, sources: Sequence[Path]) -> str | None:
    """What this worker cannot see or write that it must, and what to do.

    Args:
        token: a file in the client's folder of unfinished parts; None: nothing is to be written.
        sources: some that it must be able to read.
    """
    if token is not None:
        out = token.parent.parent
        if fault := _unseen(token):
            return fault
        own = token.with_name(f"token-{uuid.uuid4().hex}")
        try:
            write_text(own, "")
            own.unlink()
        except (OSError, StoreError) as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            return f"cannot write into the output folder {out} ({reason}); let its user do so"
    hidden = hidden_file(sources)
    if hidden is not None:
        return f"cannot read {hidden}; give inputs on a path that all workers share"
    return None


def hidden_file(files: Iterable[Path]) -> Path | None:
    """The first of some files of this machine that cannot be read here."""
    here = (each for each in files if not isinstance(each, RemotePath))
    return next((each for each in here if not os.access(each, os.R_OK)), None)


def _unseen(path: AnyPath) -> str | None:
    """Why this worker does not see a file of the output folder."""
    try:
        if isinstance(path, StorePath):
            path.refuse_unusable()
        if path.exists():
            return None
    except (ConfigError, StoreError) as error:
        return f"cannot use the output folder {path.parent.parent} ({error})"
    return (
        f"does not see the output folder {path.parent.parent}; give --out on a path that all share"
    )
