import os
import subprocess
import sys

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from geoseg.errors import OutputError
from geoseg.files import sweep
from geoseg.raster.write import replace_raster


def test_the_file_appears_when_it_is_finished_and_nothing_else_stays(tmp_path):
    out = tmp_path / "new" / "a.tif"
    with replace_raster(out) as made:
        made.write_text("done")
        made.with_name("a.tif.aux.xml").write_text("names")
        made.with_name("scratch.vrt").write_text("")
        assert made.name == "a.tif"
        assert not out.exists()
    assert out.read_text() == "done"
    assert sorted(path.name for path in out.parent.iterdir()) == ["a.tif", "a.tif.aux.xml"]


def test_sidecars_of_an_older_file_go(tmp_path):
    out = tmp_path / "a.tif"
    for name in ("a.tif", "a.tif.aux.xml", "a.tif.ovr", "b.tif.aux.xml"):
        (tmp_path / name).write_text("old")
    with replace_raster(out) as made:
        made.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif.aux.xml"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RasterioIOError("No space left on device")]
)
def test_a_failure_leaves_the_older_file_and_is_one_line(tmp_path, error):
    out = tmp_path / "a.tif"
    out.write_text("old")

    def fail():
        with replace_raster(out) as made:
            made.write_text("half")
            raise error

    with pytest.raises(
        OutputError, match=r"a\.tif: cannot be written \(No space left on device\); free the disk"
    ):
        fail()
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_what_a_killed_process_left_behind_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for process in (ended.pid, os.getpid()):
        folder = tmp_path / f".a.tif.{process}-x1.geoseg"
        folder.mkdir()
        (folder / "a.tif").write_text("half")
    (tmp_path / ".a.tif-mine").mkdir()
    sweep(tmp_path)
    kept = [".a.tif-mine", f".a.tif.{os.getpid()}-x1.geoseg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == kept


def test_a_disk_found_full_is_called_so_whatever_gdal_says(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 4096}))
    with (
        pytest.raises(OutputError, match=r"cannot be written \(the disk is full\)"),
        replace_raster(tmp_path / "a.tif"),
    ):
        raise RasterioIOError("TIFFRewriteDirectory:Error fetching directory count")


def test_other_errors_pass_and_leave_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), replace_raster(tmp_path / "a.tif") as made:
        made.write_text(str(1 / np.int64(0).item()))
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_folder_should_be_is_reported(tmp_path):
    (tmp_path / "out").write_text("")
    said = r"cannot be written \(.*\); free the disk or choose another --out"
    with pytest.raises(OutputError, match=said), replace_raster(tmp_path / "out" / "a.tif"):
        pass
