"""Rates kept by one run for the next."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import geoseg
from geoseg.inference import run as running
from geoseg.inference.probe import Probe
from geoseg.inference.rates import KeptRate, cache_folder

PROBE = Probe(0.5, 2**30, 0.1, 0.2, 1e-9, 1.5, at_once=2)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEOSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_rate_is_kept_for_short_runs_of_the_same_facts(cache: Path) -> None:
    notes: list[str] = []
    KeptRate({"window": 1}, notes.append).write(PROBE)
    kept = KeptRate({"window": 1}, notes.append)
    found = kept.read(240)
    assert found is not None
    assert (found.seconds, found.peak_bytes, found.at_once) == (0.5, 2**30, 2)
    assert found.kept_since[:2] == "20"
    assert kept.read(241) is None, "beyond two minutes a run measures"
    slow = KeptRate({"window": 3}, notes.append)
    slow.write(replace(PROBE, seconds=9.0))
    assert slow.read(100) is not None, "two more of a hundred windows would be measured"
    assert slow.read(101) is None
    assert KeptRate({"window": 2}, notes.append).read(1) is None
    assert not notes


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"seconds": 1}', "null", "half", '"seconds"', "negative", "word"]
)
def test_a_damaged_file_is_said_and_not_used(cache: Path, text: str) -> None:
    notes: list[str] = []
    kept = KeptRate({}, notes.append)
    kept.write(PROBE)
    (file,) = cache.rglob("*.json")
    whole = file.read_text()
    if text == "half":
        text = whole[: len(whole) // 2]
    elif text in ("negative", "word"):
        text = json.dumps(json.loads(whole) | {"seconds": -1 if text == "negative" else "1"})
    file.write_text(text)
    assert kept.read(1) is None
    assert len(notes) == 1
    assert notes[0].startswith(f"{file}: the rate kept there is damaged (")
    assert notes[0].endswith("; measuring anew")
    kept.write(PROBE)
    assert kept.read(1) is not None


def test_a_folder_that_cannot_be_written_is_said(cache: Path) -> None:
    cache.write_text("a file")
    notes: list[str] = []
    KeptRate({}, notes.append).write(PROBE)
    assert len(notes) == 1
    assert notes[0].startswith("the rate is not kept for later runs: ")
    assert notes[0].endswith("set GEOSEG_CACHE to another folder, or to nothing")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() is None, "tests keep nothing"
    monkeypatch.delenv("GEOSEG_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "geoseg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which its specification has ignored
    assert cache_folder() == Path.home() / ".cache" / "geoseg"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "geoseg"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "geoseg" / "Cache"


def test_the_second_run_measures_nothing_and_the_plan_says_so(
    cache: Path,
    make_raster: Callable[..., Path],
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []
    probe_forward = running.probe_forward

    def noting(*arguments: Any) -> Probe:
        measured.append(1)
        return probe_forward(*arguments)

    monkeypatch.setattr(running, "probe_forward", noting)
    plans = [
        geoseg.predict(
            make_raster(), model_file, out=tmp_path / name, vectors="none", **options
        ).data["plan"]["rate"]
        for name, options in (("a", {}), ("b", {}), ("c", {"dry_run": True}), ("d", {"batch": 2}))
    ]
    assert len(measured) == 3, "the first, the one asked for, and that of another batch"
    assert plans[0] == plans[2] == plans[3] == "measured now"
    assert plans[1].startswith("measured 20")
