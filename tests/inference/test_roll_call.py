"""Which workers of a cluster are frozen, and what is asked of the others."""

from __future__ import annotations

from typing import Any
from unittest import mock

from distributed.versions import get_versions

from geoseg.inference.roll_call import known_workers, silent_workers, versions_of


def test_silence_is_counted_from_the_worker_that_was_heard_last_whatever_this_clock_says() -> None:
    seen = {"a": 1000.0, "b": 940.0, "c": 939.9, "d": 1.0}
    workers = {address: {"last_seen": last} for address, last in seen.items()}
    assert silent_workers(workers) == {"c", "d"}
    assert silent_workers({"d": workers["d"]}) == silent_workers({}) == set()


def test_versions_are_asked_of_some_workers_alone_by_what_any_has() -> None:
    answers: dict[str, Any] = {
        "a": {"packages": {"geoseg": "0.1.0"}},
        "b": {"packages": {"geoseg": None}},
    }
    client = mock.Mock(**{"run.return_value": answers})
    client.scheduler_info.return_value = {"workers": {"a": 1, "b": 2, "c": 3}}
    assert known_workers(client).keys() == {"a", "b", "c"}
    assert versions_of(client, {"a", "b"}) == {"a": "0.1.0", "b": None}
    call = client.run.call_args
    assert call.args == (get_versions,)
    assert set(call.kwargs["workers"]) == {"a", "b"}
