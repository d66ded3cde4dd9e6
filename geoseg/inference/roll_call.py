"""Which workers of a cluster answer, and which geoseg they have.

Whoever asks a frozen worker anything waits until Dask gives it up, after five to ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import wait
from typing import Any

from distributed.comm import CommClosedError
from distributed.versions import get_versions

import geoseg
from geoseg.errors import ConfigError, SchedulerLostError, one_line_reason
from geoseg.inference.worker import can_import
from geoseg.report import shorten

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
