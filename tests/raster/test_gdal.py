import threading
import warnings

import pytest
import rasterio
import rasterio.shutil
from rasterio.errors import RasterioIOError
from rasterio.vrt import WarpedVRT

from geoseg.errors import SourceError
from geoseg.raster.gdal import GDAL_ERRORS, open_dataset, reason


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


def test_two_threads_have_handles_of_their_own(make_raster):
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


def test_a_picture_without_georeferencing_is_no_reason_to_warn(make_raster):
    path = make_raster("a.png", driver="PNG", crs=None, transform=None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        open_dataset(path).close()
        assert not caught
        rasterio.open(path).close()  # the filter is as it was before
        assert len(caught) == 1


def test_a_container_without_bands_of_its_own_is_refused(make_raster, tmp_path):
    path = tmp_path / "two.gpkg"
    for name, more in (("a", {}), ("b", {"APPEND_SUBDATASET": "YES"})):
        source = str(make_raster(f"{name}.tif"))
        rasterio.shutil.copy(source, str(path), driver="GPKG", RASTER_TABLE=name, **more)
    with pytest.raises(SourceError, match=r"two\.gpkg: a container without bands of its own; conv"):
        open_dataset(path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.tif", "no such file or folder; check the path"),
        ("folder", "this folder holds no raster to read; put GeoTIFF"),
        ("empty.tif", r"the file is empty \(0 bytes\); copy or export it again"),
        ("text.tif", r"not an image that can be read \(.*\); give GeoTIFF"),
        ("text.tif/a.tif", "Not a directory; check the path"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
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
