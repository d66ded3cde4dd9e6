"""Which workers of a cluster answer, and which geoseg they have.

Whoever asks a frozen worker anything waits until Dask gives it up, after five to ten minutes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from distributed.versions import get_versions

SILENT_SECONDS = 60.0
"""After which a worker that the scheduler does not hear of counts as frozen."""


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
    """The version of geoseg of each worker; None where it is not installed."""
    answers = client.run(
        get_versions, packages=["geoseg"], workers=list(addresses), on_error="ignore"
    )
    return {address: each["packages"].get("geoseg") for address, each in answers.items()}
