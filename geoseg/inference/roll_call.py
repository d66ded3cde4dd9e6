"""Which workers of a cluster answer, which geoseg they have, and what they are.

Whoever asks a frozen worker anything waits until Dask gives it up, after five to ten minutes.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from distributed.comm import CommClosedError
from distributed.versions import get_versions

import geoseg
from geoseg.errors import ConfigError, OutputError, SchedulerLostError, one_line_reason
from geoseg.files import write_text
from geoseg.inference.agreement import WorkerFacts
from geoseg.inference.options import PredictOptions
from geoseg.inference.worker import can_import
from geoseg.inference.worker_facts import facts_of_worker
from geoseg.locks import WORK_FOLDER
from geoseg.places import AnyPath
from geoseg.report import counted, shorten

SCHEDULER_GONE = "the scheduler is gone; start it and its workers, and the same command continues"
SILENT_SECONDS = 60.0
"""After which a worker that the scheduler does not hear of counts as frozen."""
_LOOK_SECONDS = 1.0
"""Between two looks at who has fallen silent."""


def known_workers(client: Any) -> dict[str, Any]:
    """What the scheduler knows of each worker, by address."""
    return dict(client.scheduler_info(n_workers=-1)["workers"])


def silent_workers(workers: Mapping[str, Any]) -> set[str]:
    """The addresses of those of `known_workers` that the scheduler has not heard of for long."""
    seen = {address: each["last_seen"] for address, each in workers.items()}
    # By the scheduler's clock, which need not be this machine's.
    newest = max(seen.values(), default=0.0)
    return {address for address, last in seen.items() if newest - last > SILENT_SECONDS}


def flaws_of(client: Any, addresses: Collection[str]) -> dict[str, str | None]:
    """What is wrong with the geoseg of each worker that answers; None: nothing is.

    Raises:
        SchedulerLostError: nobody passes the question on.
    """
    answers = answers_of(client, addresses, get_versions, packages=["geoseg"])
    flaws = {address: _flaw_of_version(answer) for address, answer in answers.items()}
    sound = [address for address, flaw in flaws.items() if flaw is None]
    # What an environment says of a package says not that this can be imported.
    imported = answers_of(client, sound, can_import)
    for address in sound:
        if address not in imported:
            del flaws[address]
        elif isinstance(error := imported[address], Exception):
            flaws[address] = f"cannot import its geoseg ({one_line_reason(error)})"
    return flaws


def _flaw_of_version(answer: Any) -> str | None:
    if isinstance(answer, Exception):
        return f"does not say what it has ({one_line_reason(answer)})"
    version = answer["packages"].get("geoseg")
    if version == geoseg.__version__:
        return None
    return f"has geoseg {version}" if version else "has no geoseg"


def answers_of(
    client: Any,
    addresses: Collection[str],
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> dict[str, Any]:
    """What a function returns or raises in each of some workers, but for those lost meanwhile.

    Lost are those that fall silent and those that die.

    Args:
        client: of the cluster.
        addresses: of the workers.
        function: is called there, beside their tasks.
        arguments: of it.
        options: of it.

    Raises:
        SchedulerLostError: nobody passes the question on.
    """

    async def ask(address: str) -> dict[str, Any]:
        found: dict[str, Any] = await client.run(
            function, *arguments, workers=[address], on_error="return", **options
        )
        return found

    # Each by itself: Dask's own answer comes when the last one has answered.
    loop = client.loop.asyncio_loop
    asked = {asyncio.run_coroutine_threadsafe(ask(each), loop): each for each in addresses}
    pending = set(asked)
    while pending:
        _, pending = wait(pending, timeout=_LOOK_SECONDS)
        silent = silent_workers(known_workers(client)) if pending else set()
        pending = {each for each in pending if asked[each] not in silent}
    answers: dict[str, Any] = {}
    for each in asked:
        if not each.done():
            each.cancel()
            continue
        try:
            answers |= each.result()
        except OSError as error:  # of the client's own connection
            raise SchedulerLostError(SCHEDULER_GONE) from error
    errors = [address for address, each in answers.items() if isinstance(each, Exception)]
    left = known_workers(client) if errors else {}
    for address in errors:
        if isinstance(answers[address], CommClosedError) or address not in left:
            del answers[address]  # it has died
    return answers


def refuse_flaws(flaws: Mapping[str, str | None]) -> None:
    """Refuse workers whose geoseg is another than this one's, or of no use.

    Args:
        flaws: by the worker's address; None where there is none.

    Raises:
        ConfigError: there are some.
    """
    wrong = [f"{address} {flaw}" for address, flaw in flaws.items() if flaw]
    if wrong:
        raise ConfigError(
            f"worker {shorten(wrong, 3)}; install geoseg {geoseg.__version__}, which runs here, "
            "in the environment that workers are started from"
        )


def ask_workers(
    client: Any, options: PredictOptions, out: AnyPath, sources: Sequence[Path]
) -> list[WorkerFacts]:
    """The facts of all workers of a cluster that are not frozen, by address.

    Args:
        client: of the cluster.
        options: of the run; a dry run writes nothing.
        out: the output folder, which each must see and write.
        sources: inputs that each must be able to read.

    Raises:
        ConfigError: a worker cannot take part; it names the worker and what to do.
        OutputError: the output folder cannot be written here.
    """
    workers = known_workers(client)
    flaws = flaws_of(client, sorted(workers.keys() - silent_workers(workers)))
    refuse_flaws(flaws)
    with ExitStack() as stack:
        token = None if options.dry_run else stack.enter_context(_token(out))
        answers = answers_of(
            client, flaws, facts_of_worker, options.device, options.precision, token, sources
        )
    if not answers:
        raise ConfigError(
            f"no worker of scheduler {options.scheduler} answers any more; look at their logs, "
            "start others, and run the command again"
        )
    faults = {address: _fault_of(answer) for address, answer in answers.items()}
    faulty = [f"worker {address} {fault}" for address, fault in faults.items() if fault]
    if faulty:
        others = counted(len(faulty) - 1, "more worker")
        more = f" (and {others})" if len(faulty) > 1 else ""
        raise ConfigError(faulty[0] + more)
    return list(answers.values())


def _fault_of(answer: WorkerFacts | Exception) -> str | None:
    """What keeps a worker from taking part, by what it has answered."""
    if isinstance(answer, WorkerFacts):
        return answer.fault
    return f"does not say what it is ({one_line_reason(answer)}); its log may say more"


@contextmanager
def _token(out: AnyPath) -> Iterator[AnyPath]:
    """A file in the output folder by which workers show that they see it; gone at the end."""
    work = out / WORK_FOLDER
    # A bucket has no folders.
    folders = [out / WORK_FOLDER, out, *out.parents] if isinstance(out, Path) else []
    made = [folder for folder in folders if not folder.exists()]
    token = work / f"token-{uuid.uuid4().hex}"
    try:
        try:
            if isinstance(work, Path):
                work.mkdir(parents=True, exist_ok=True)
            write_text(token, str(os.getpid()))
        except OSError as error:
            raise OutputError(
                f"output folder {out} cannot be written ({one_line_reason(error)}); "
                "choose another --out"
            ) from error
        yield token
    finally:
        with suppress(OSError):  # it could not be made
            token.unlink()
        for folder in made:
            with suppress(OSError):  # another run uses it
                folder.rmdir()
