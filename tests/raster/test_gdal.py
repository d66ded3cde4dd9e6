import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT

from geoseg.errors import OutputError, SourceError
from geoseg.raster.gdal import (
    GDAL_ERRORS,
    open_dataset,
    opened_once,
    raster_companions,
    reason,
    replace_raster,
)


def test_a_file_is_open_inside_the_block_and_closed_after_it(make_raster):
    with open_dataset(make_raster()) as file:
        assert file.count == 3
    assert file.closed


def test_open_options_reach_gdal(make_raster):
    path = make_raster(height=128, width=96, tiled=True, blockxsize=16, blockysize=16)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    with open_dataset(path, OVERVIEW_LEVEL=0) as file:
        assert file.shape == (64, 48)


def test_two_threads_have_separate_handles(make_raster):
    path = make_raster()
    with open_dataset(path) as one, open_dataset(path) as other:
        results = []
        threads = [
            threading.Thread(target=lambda f=f: results.append(f.read())) for f in (one, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one.close()
        assert (results[0] == other.read()).all()


def test_a_file_that_is_kept_open_is_opened_once_in_its_thread(make_raster, monkeypatch):
    path, opened = make_raster(), []
    plain = rasterio.open

    def opening(*arguments, **options):
        opened.append(plain(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(rasterio, "open", opening)
    with opened_once(path):
        with open_dataset(path) as file:
            pixels = file.read()
        with opened_once(path), open_dataset(path) as again:
            assert (again.read() == pixels).all()
        assert len(opened) == 1
        thread = threading.Thread(target=lambda: open_dataset(path).close())
        thread.start()
        thread.join()
        assert len(opened) == 2, "a dataset belongs to one thread"
    assert all(file.closed for file in opened)
    open_dataset(path).close()
    assert len(opened) == 3


def test_a_file_that_cannot_be_opened_is_not_kept(tmp_path):
    path = tmp_path / "none.tif"
    with opened_once(path):
        for _ in range(2):
            with pytest.raises(SourceError, match="no such file"):
                open_dataset(path)


def test_threads_that_open_pictures_leave_the_warnings_as_they_were(make_raster):
    path = make_raster("a.png", driver="PNG", crs=None, transform=None)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_dataset(path).close(), range(64)))
    assert warnings.filters == before


def test_a_picture_without_georeferencing_gives_no_warning(make_raster):
    path = make_raster("a.png", driver="PNG", crs=None, transform=None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_dataset(path).close()
        assert not caught
        rasterio.open(path).close()  # the filter is as it was before
        assert len(caught) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.tif", "no such file or folder; check the path"),
        ("folder", "this folder holds no raster to read; put GeoTIFF"),
        ("full", r"full: is a folder, and a raster is needed; name those in it, such as .*full/a"),
        ("empty.tif", r"the file is empty \(0 bytes\); copy or export it again"),
        ("text.tif", r"not an image that can be read \(.*\); give GeoTIFF"),
        ("text.tif/a.tif", "Not a directory; check the path"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/a.TIF").touch()
    (tmp_path / "empty.tif").touch()
    (tmp_path / "text.tif").write_text("x")
    with pytest.raises(SourceError, match=said) as caught:
        open_dataset(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_the_reason_is_gdals_own_on_one_line_without_a_full_stop():
    error = RasterioIOError("Read failed. See previous exception for details.")
    assert reason(error) == "Read failed. See previous exception for details"
    error.__cause__ = ValueError("a.tif, band 1:\n  IReadBlock failed.")
    assert reason(error) == "a.tif, band 1: IReadBlock failed"


def test_whatever_rasterio_raises_is_among_the_errors_of_gdal(make_raster, tmp_path):
    path = make_raster()
    with pytest.raises(GDAL_ERRORS):
        rasterio.shutil.copy(str(path), str(tmp_path / "none" / "a.tif"), driver="COG")
    with rasterio.open(path) as file, pytest.raises(GDAL_ERRORS):
        WarpedVRT(file, crs="+proj=longlat +R=1737400")
    with pytest.raises(GDAL_ERRORS):
        rasterio.open(tmp_path / "none.tif")


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


def test_a_full_disk_is_named_whatever_gdal_reports(tmp_path, monkeypatch):
    usage = type("Usage", (), {"total": 8192, "free": 4096})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
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
    said = r"cannot be written \(.*out is a file, not a folder\); choose another --out"
    with pytest.raises(OutputError, match=said), replace_raster(tmp_path / "out" / "a.tif"):
        pass


def test_overviews_of_erdas_go_with_a_raster_and_other_files_of_that_name_stay(make_raster):
    path = make_raster("a.tif", height=128, width=96)
    with rasterio.Env(USE_RRD=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    latex = make_raster("thesis.tif").with_suffix(".aux")
    latex.write_text("\\relax")
    assert path.with_suffix(".aux") in raster_companions(path)
    assert latex not in raster_companions(latex.with_suffix(".tif"))
    for raster in (path, latex.with_suffix(".tif")):
        with replace_raster(raster) as built:
            built.write_bytes(b"new")
    assert not path.with_suffix(".aux").exists()
    assert latex.exists()
