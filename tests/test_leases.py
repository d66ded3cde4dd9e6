from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg import leases
from geoseg.errors import FolderInUseError, StoreError
from geoseg.files import replace_file
from geoseg.locks import lock_folder
from geoseg.stores import StorePath


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renewed all the time."""
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.05)


def repeat(call: Callable[[], object], seconds: float = 20.0) -> None:
    """Call what raises, or is true, until it does or is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not call():
        time.sleep(0.02)


def test_one_run_at_a_time_writes_into_a_folder_of_a_bucket(bucket: StorePath) -> None:
    with lock_folder(bucket) as refuse_lost:
        refuse_lost()
        message = (
            r"^another run writes into \w+://.* --out; process \d+ on .* was heard of \d+ s ago"
        )
        with pytest.raises(FolderInUseError, match=message), lock_folder(bucket):
            pass
        with lock_folder(bucket / "other"):
            pass
    with lock_folder(bucket):
        pass
    assert bucket.listed() == ([], [])


def test_a_lock_is_renewed(bucket: StorePath, busy: None) -> None:
    lock = bucket / ".geoseg/lock"
    with lock_folder(bucket) as refuse_lost:
        first = lock.version()
        repeat(lambda: lock.version().e_tag != first.e_tag)
        assert lock.version().e_tag != first.e_tag
        refuse_lost()


@pytest.mark.parametrize(("seconds", "left"), [(119, True), (121, False)])
def test_the_lock_of_a_killed_run_is_taken_over_in_time(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch, seconds: int, left: bool
) -> None:
    lock = bucket / ".geoseg/lock"
    lock.put(b'{"process": 1, "host": "gone", "id": "x"}')
    later = lock.version().changed + seconds
    monkeypatch.setattr(leases, "_server_time", lambda _: later)
    if left:
        message = (
            r"process 1 on gone was heard of 119 s ago: if it was killed, .* continues 1 s from"
        )
        with pytest.raises(FolderInUseError, match=message), lock_folder(bucket):
            pass
    else:
        with lock_folder(bucket):
            assert b"gone" not in lock.read_bytes()
    assert lock.exists() == left


@pytest.mark.parametrize("other", [b"{}", None], ids=["taken over", "removed"])
def test_who_has_lost_a_lock_is_told_and_leaves_it(
    bucket: StorePath, busy: None, other: bytes | None
) -> None:
    lock = bucket / ".geoseg/lock"
    with lock_folder(bucket) as refuse_lost:
        if other is None:
            lock.unlink()
        else:
            lock.put(other)
        with pytest.raises(
            StoreError, match=r"is lost \(another run has taken it over\); the same"
        ):
            repeat(refuse_lost)
    assert lock.exists() == (other is not None)


@pytest.mark.parametrize("change", ["put", "unlink", "remove_tree"])
def test_who_wakes_when_the_lock_is_anothers_changes_nothing_any_more(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path, content = bucket / ".geoseg/model-1.safetensors", [b"mine"] * (change == "put")
    with lock_folder(bucket):
        path.put(b"mine")
        before = leases._now()
        monkeypatch.setattr(leases, "_now", lambda: before + leases.LEASE_SECONDS + 1)  # frozen
        with pytest.raises(StoreError, match=r"the lock of this run is lost \(for 12. s the serv"):
            getattr(path if content or change == "unlink" else bucket, change)(*content)
        (bucket.with_name("elsewhere") / "a").put(b"")
        assert path.read_bytes() == b"mine"
    path.unlink()  # a later run of this process


def test_who_cannot_tell_the_server_goes_on_for_no_longer_than_the_lock_lasts(
    bucket: StorePath, busy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreError("gone")

    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)
    with lock_folder(bucket) as refuse_lost:
        monkeypatch.setattr(StorePath, "put_if", fail)
        with pytest.raises(StoreError, match=r"for 1 s the server was not told that this run goes"):
            repeat(refuse_lost)


def test_an_answer_that_got_lost_is_no_lost_lock(
    bucket: StorePath, busy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_if = StorePath.put_if

    def twice(*arguments: object) -> object:
        put_if(*arguments)  # type: ignore[arg-type]
        return put_if(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(StorePath, "put_if", twice)
    with lock_folder(bucket) as refuse_lost:
        first = (bucket / ".geoseg/lock").version()
        repeat(lambda: (bucket / ".geoseg/lock").version().e_tag != first.e_tag)
        refuse_lost()
    assert not (bucket / ".geoseg/lock").exists()


def test_what_a_killed_run_was_building_for_a_bucket_goes_when_the_next_one_begins(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with replace_file(bucket / "a.tif") as built:
        built.write_bytes(b"1")
        (site,) = tmp_path.iterdir()
    assert list(tmp_path.iterdir()) == []
    left = site.name.replace(str(os.getpid()), "4194999")  # no process has this number
    for name in (left, f".another-machine{left}"):
        (tmp_path / name).mkdir()
    with lock_folder(bucket):
        pass
    assert [each.name for each in tmp_path.iterdir()] == [f".another-machine{left}"]
