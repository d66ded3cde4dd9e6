"""Which workers of a cluster are frozen, and what is asked of the others."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from distributed.comm import CommClosedError
from distributed.versions import get_versions

import geoseg
from geoseg.errors import ConfigError, SchedulerLostError
from geoseg.inference.agreement import WorkerFacts
from geoseg.inference.options import PredictOptions
from geoseg.inference.roll_call import (
    answers_of,
    ask_workers,
    flaws_of,
    known_workers,
    refuse_flaws,
    silent_workers,
)


def test_silence_is_counted_from_the_worker_that_was_heard_last_whatever_this_clock_says() -> None:
    seen = {"a": 1000.0, "b": 940.0, "c": 939.9, "d": 1.0}
    workers = {address: {"last_seen": last} for address, last in seen.items()}
    assert silent_workers(workers) == {"c", "d"}
    assert silent_workers({"d": workers["d"]}) == silent_workers({}) == set()


class Cluster:
    """A client whose workers answer by their names; those that never do fall silent.

    Args:
        answers: of each worker, one after the other; the last one is given again.
        gone: workers that the scheduler does not know any more.
    """

    def __init__(self, answers: dict[str, list[Any]], gone: str = "") -> None:
        self.loop = mock.Mock(asyncio_loop=asyncio.new_event_loop())
        threading.Thread(target=self.loop.asyncio_loop.run_forever, daemon=True).start()
        self._answers, self._gone = answers, gone
        self.asked: list[tuple[Any, ...]] = []

    async def run(
        self, *call: Any, workers: list[str], on_error: str, **options: Any
    ) -> dict[str, Any]:
        assert on_error == "return"
        self.asked.append((*call, *workers, options))
        (address,) = workers
        if address not in self._answers:
            await asyncio.Event().wait()
        first, *later = self._answers[address]
        self._answers[address] = later or [first]
        return {address: first}

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        names = "abcdef" if n_workers == -1 else ""
        seen = {each: {"last_seen": 1000.0 * (each in self._answers)} for each in names}
        return {"workers": {each: seen[each] for each in seen if each not in self._gone}}


def _version(version: str | None) -> dict[str, Any]:
    return {"packages": {"geoseg": version}}


def test_versions_are_asked_of_some_workers_alone_by_what_any_has() -> None:
    client = Cluster({"a": [_version("0.0.9")], "b": [_version(None)]})
    assert known_workers(client).keys() == set("abcdef")
    assert flaws_of(client, "ab") == {"a": "has geoseg 0.0.9", "b": "has no geoseg"}
    options = {"packages": ["geoseg"]}
    assert sorted(client.asked, key=str) == [(get_versions, each, options) for each in "ab"]


def test_a_geoseg_of_the_right_version_is_of_no_use_where_it_cannot_be_imported() -> None:
    right, closed = _version(geoseg.__version__), CommClosedError("closed")
    answers = {"a": [right, None], "b": [right, ImportError("no libcudart")], "c": [right, closed]}
    flaws = {"a": None, "b": "cannot import its geoseg (no libcudart)"}
    assert flaws_of(Cluster(answers), "abc") == flaws


def test_workers_that_fall_silent_or_die_while_they_are_asked_are_not_waited_for() -> None:
    refused, closed = OSError("refused"), CommClosedError("closed")
    answers = {"a": [1], "b": [2], "d": [closed], "e": [refused], "f": [refused]}
    assert answers_of(Cluster(answers, gone="e"), "abcdef", int) == {"a": 1, "b": 2, "f": refused}


def test_a_scheduler_that_dies_while_workers_are_asked_is_lost() -> None:
    client = mock.Mock(loop=Cluster({}).loop, scheduler_info=Cluster({}).scheduler_info)
    client.run = mock.AsyncMock(side_effect=CommClosedError("closed"))
    with pytest.raises(SchedulerLostError, match="the same command continues"):
        answers_of(client, "a", int)


FACTS = WorkerFacts("a", "host", 8, "2.11", "cpu", "AVX512", "fp32")
OPTIONS = PredictOptions.from_keywords(scheduler="tcp://s:1", device="cpu")


def roll_call(out: Path, *, dry_run: bool = False, **facts: Any) -> list[tuple[Any, ...]]:
    """What workers that give these facts were asked for them."""
    right = _version(geoseg.__version__)
    client = Cluster({each: [right, None, answer] for each, answer in facts.items()})
    options = replace(OPTIONS, dry_run=dry_run)
    answers = ask_workers(client, options, out, [Path("a.tif")])
    assert answers == list(facts.values()), "frozen ones are not asked"
    return client.asked[2 * len(facts) :]


def test_workers_are_asked_by_a_token_of_which_nothing_is_left(tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    asked = roll_call(out, a=FACTS, b=replace(FACTS, address="b"))
    for _, device, precision, token, sources, address, options in asked:
        assert (device, precision, sources, options) == ("cpu", "auto", [Path("a.tif")], {})
        assert token.parent == out / ".geoseg"
        assert address in "ab"
    assert list(tmp_path.iterdir()) == []
    (out / ".geoseg").mkdir(parents=True)
    roll_call(out, a=FACTS)
    assert list(out.iterdir()) == [out / ".geoseg"], "what was there stays"
    assert list((out / ".geoseg").iterdir()) == []


def test_a_dry_run_asks_for_no_token(tmp_path: Path) -> None:
    ((_, _, _, token, *_),) = roll_call(tmp_path / "out", dry_run=True, a=FACTS)
    assert token is None


def test_the_first_worker_that_cannot_take_part_is_named_and_others_are_counted(
    tmp_path: Path,
) -> None:
    blind = replace(FACTS, fault="cannot read a.tif; give")
    with pytest.raises(ConfigError, match=r"^worker b cannot read a\.tif; give$"):
        roll_call(tmp_path, a=FACTS, b=blind)
    with pytest.raises(ConfigError, match=r"^worker a cannot read .* \(and 1 more worker\)$"):
        roll_call(tmp_path, a=blind, b=blind)
    silent = r"^worker a does not say what it is \(no room\); .* \(and 2 more workers\)$"
    with pytest.raises(ConfigError, match=silent):
        roll_call(tmp_path, a=MemoryError("no room"), b=blind, c=blind)
    with pytest.raises(ConfigError, match=r"no worker of scheduler tcp://s:1 answers any more"):
        roll_call(tmp_path, a=CommClosedError("closed"))


def test_workers_whose_geoseg_is_another_are_refused_together() -> None:
    refuse_flaws({"a": None})
    flaws = {each: f"has geoseg {each}" for each in "bcde"}
    three = "worker b has geoseg b, c has geoseg c, d has geoseg d and 1 more; install geoseg "
    with pytest.raises(ConfigError, match=f"^{three}{geoseg.__version__}"):
        refuse_flaws({"a": None, **flaws})
