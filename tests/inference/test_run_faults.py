"""Faults of a run: each cause is one line, whichever files meet it."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest

from geoseg.buckets import _in_words
from geoseg.errors import DeviceError, DiskError, OutputError, RunError, StoreError
from geoseg.inference.run_faults import RunFaults
from geoseg.unwritable import naming_file

AWAY = ["error sending request for url http://s/{}", "Server returned 503 for {}"]
DENIED = "Server returned 403 Forbidden for {}"


def of_a_store(words: str, name: str, bucket: str = "s3://b") -> StoreError:
    url = f"{bucket}/{name}"
    error = _in_words(bucket, url, RuntimeError(words.format(url)))
    assert isinstance(error, StoreError)
    assert url in str(error)
    return error


def of_the_disk(path: Path, fault: int) -> RunError:
    with pytest.raises(RunError) as caught, naming_file(path):
        raise OSError(fault, os.strerror(fault))
    return caught.value


def test_a_server_that_is_away_is_one_line_and_another_fault_is_another() -> None:
    faults = RunFaults()
    for name in ("part.tif", "areas.csv", "report.json"):
        for words in AWAY:
            faults.note(of_a_store(words, name))
    (line,) = faults.lines
    assert line.startswith("s3://b/part.tif: ")
    faults.note(of_a_store(AWAY[0], "part.tif", "gs://other"))
    faults.note(of_a_store(DENIED, "part.tif"))
    faults.note(OutputError("areas.csv: is a folder"))
    assert len(faults.lines) == 4


def test_what_an_input_says_already_is_not_said_again() -> None:
    of_input, of_stream = of_a_store(AWAY[0], "a.tif"), of_a_store(AWAY[1], "report.jsonl")
    of_stream.__context__ = of_input  # it came while the outcome of the input was noted
    for first in (of_input, of_stream):
        faults = RunFaults()
        faults.note(first, [str(of_input)])
        faults.note(of_a_store(AWAY[0], "report.json"))
        assert faults.lines == []
    denied, faults = of_a_store(DENIED, "a.tif"), RunFaults()
    of_stream.__context__ = denied  # which is another cause
    faults.note(of_stream, [str(denied)])
    assert faults.lines == [str(of_stream)]


def test_a_fault_of_the_disk_is_one_line_whatever_it_keeps_from_being_written(
    tmp_path: Path,
) -> None:
    faults = RunFaults()
    for name in ("areas.csv", "report.json"):
        faults.note(of_the_disk(tmp_path / name, errno.EIO))
    assert len(faults.lines) == 1


def test_faults_keep_their_cause_on_their_way_from_a_worker() -> None:
    for kind in (DiskError, StoreError, DeviceError):
        error = pickle.loads(pickle.dumps(kind("a line", cause="why")))
        assert (str(error), error.cause) == ("a line", "why")
        assert kind("a line").cause == "a line"
