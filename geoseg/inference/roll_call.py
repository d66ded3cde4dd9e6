"""Which workers of a cluster answer, and which geoseg they have.

Whoever asks a frozen worker anything waits until Dask gives it up, after five to ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import wait
from typing import Any

from distributed.versions import get_versions

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


def versions_of(client: Any, addresses: Collection[str]) -> dict[str, str | None]:
    """The version of geoseg of each worker that answers; None where it is not installed."""
    answers = answers_of(client, addresses, get_versions, packages=["geoseg"], on_error="ignore")
    return {address: each["packages"].get("geoseg") for address, each in answers.items()}


def answers_of(
    client: Any,
    addresses: Collection[str],
    function: Callable[..., Any],
    *arguments: Any,
    **options: Any,
) -> dict[str, Any]:
    """What a function returns in each of some workers, but for those that fall silent meanwhile.

    Args:
        client: of the cluster.
        addresses: of the workers.
        function: is called there, beside their tasks.
        arguments: of it.
        options: of it, and of ``Client.run``.
    """

    async def ask(address: str) -> dict[str, Any]:
        found: dict[str, Any] = await client.run(function, *arguments, workers=[address], **options)
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
        if each.done():
            answers |= each.result()
        else:
            each.cancel()
    return answers
