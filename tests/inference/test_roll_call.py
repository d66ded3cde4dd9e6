"""Which workers of a cluster are frozen, and what is asked of the others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from unittest import mock

from distributed.versions import get_versions

from geoseg.inference.roll_call import answers_of, known_workers, silent_workers, versions_of


def test_silence_is_counted_from_the_worker_that_was_heard_last_whatever_this_clock_says() -> None:
    seen = {"a": 1000.0, "b": 940.0, "c": 939.9, "d": 1.0}
    workers = {address: {"last_seen": last} for address, last in seen.items()}
    assert silent_workers(workers) == {"c", "d"}
    assert silent_workers({"d": workers["d"]}) == silent_workers({}) == set()


class Cluster:
    """A client whose workers answer by their names; those that never do fall silent."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.loop = mock.Mock(asyncio_loop=asyncio.new_event_loop())
        threading.Thread(target=self.loop.asyncio_loop.run_forever, daemon=True).start()
        self._answers = answers
        self.asked: list[tuple[Any, ...]] = []

    async def run(self, *call: Any, workers: list[str], **options: Any) -> dict[str, Any]:
        self.asked.append((*call, *workers, options))
        (address,) = workers
        if address not in self._answers:
            await asyncio.Event().wait()
        return {address: self._answers[address]}

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        seen = {each: {"last_seen": 1000.0 * (each in self._answers)} for each in "abc"}
        return {"workers": seen if n_workers == -1 else {}}


def test_versions_are_asked_of_some_workers_alone_by_what_any_has() -> None:
    client = Cluster({"a": {"packages": {"geoseg": "0.1.0"}}, "b": {"packages": {"geoseg": None}}})
    assert known_workers(client).keys() == {"a", "b", "c"}
    assert versions_of(client, {"a", "b"}) == {"a": "0.1.0", "b": None}
    options = {"packages": ["geoseg"], "on_error": "ignore"}
    assert sorted(client.asked, key=str) == [(get_versions, each, options) for each in "ab"]


def test_a_worker_that_falls_silent_while_it_is_asked_is_not_waited_for() -> None:
    assert answers_of(Cluster({"a": 1, "b": 2}), "abc", int) == {"a": 1, "b": 2}
