"""Why something cannot be written, and what helps: room only where it may be the cause."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from geoseg.disks import in_the_way, what_helps, why_unwritable
from geoseg.errors import DiskError, OutputError
from geoseg.unwritable import naming_file, refuse_unwritable


def test_what_is_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to("nothing")
    assert in_the_way(tmp_path) == in_the_way(tmp_path / "new/below") == ""
    assert in_the_way(file) == in_the_way(file / "a/b") == f"{file} is a file, not a folder"
    assert in_the_way(link / "a") == f"{link} is a link to nothing, not a folder"


def test_room_is_advised_where_it_may_be_what_lacks(tmp_path: Path) -> None:
    for fault in errno.errorcode:
        error = OSError(fault, os.strerror(fault))
        advice = what_helps(os.strerror(fault), error, tmp_path / "a.tif", "--plot")
        full = fault in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
        assert ("free the disk" in advice) == full, error
        assert ("another --plot" in advice) == (fault not in (errno.EMFILE, errno.ENFILE)), error


def test_of_a_librarys_words_nobody_knows_whether_room_lacks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = RuntimeError("TIFFRewriteDirectory: failed")
    advice = what_helps("failed", error, tmp_path / "a.tif", "DST")
    assert advice == "free the disk or choose another DST"
    assert what_helps("", error, tmp_path / "file/a.tif", "DST") == "choose another DST"


def test_a_file_system_without_any_room_is_not_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    usage = shutil.disk_usage(tmp_path)._replace(total=0, free=0)  # /proc has no bytes at all
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert why_unwritable(error, tmp_path / "a") == os.strerror(errno.ENOENT)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(total=1))
    assert why_unwritable(error, tmp_path / "a") == "the disk is full"


def test_what_cannot_be_written_is_refused_ahead_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    refuse_unwritable(tmp_path / "new/below/a.png", "--plot")
    said = r"a\.png: cannot be written \(.*file is a file, not a folder\); choose another --plot$"
    with pytest.raises(OutputError, match=said):
        refuse_unwritable(tmp_path / "file/a.png", "--plot")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

    def read_only(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("geoseg.unwritable.TemporaryFile", read_only)
    with pytest.raises(DiskError, match=r"Read-only file system\); choose another --plot$"):
        refuse_unwritable(tmp_path / "a.png", "--plot")


def test_too_many_open_files_are_no_matter_of_the_place(tmp_path: Path) -> None:
    said = r"\(Too many open files\); .*ulimit -n"
    with pytest.raises(OutputError, match=said), naming_file(tmp_path / "a"):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
