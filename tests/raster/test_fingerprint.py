import os
import shutil

import pytest
import rasterio
import rasterio.shutil

from geoseg.errors import SourceError
from geoseg.raster import read_fingerprint, source_fingerprint


@pytest.fixture
def raster(make_raster):
    return make_raster(height=1000, width=700, tiled=True)


def change(path, offset):
    """Flip a byte, and hide it from the clock."""
    times = path.stat()
    with path.open("r+b") as stream:
        stream.seek(offset, os.SEEK_SET if offset >= 0 else os.SEEK_END)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_it_stays_for_the_same_file_and_for_a_moved_copy(raster, tmp_path):
    before = source_fingerprint(raster)
    assert source_fingerprint(raster) == before
    (tmp_path / "elsewhere").mkdir()
    assert source_fingerprint(shutil.copy2(raster, tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("offset", [60_000, -1])
def test_it_changes_with_the_content(raster, offset):
    before = source_fingerprint(raster)
    change(raster, offset)
    assert source_fingerprint(raster) != before


def test_it_changes_with_the_time(raster):
    before = source_fingerprint(raster)
    os.utime(raster, ns=(0, 0))
    assert source_fingerprint(raster) != before


def test_it_changes_with_a_sidecar(raster):
    before = source_fingerprint(raster)
    raster.with_name("scene.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert source_fingerprint(raster) != before


def test_it_changes_with_a_world_file(make_raster):
    tif = make_raster(transform=None, crs=None)
    tif.with_suffix(".tfw").write_text("1\n0\n0\n-1\n10\n10\n")
    before = source_fingerprint(tif)
    tif.with_suffix(".tfw").write_text("1\n0\n0\n-1\n10\n11\n")
    assert source_fingerprint(tif) != before


def test_it_changes_with_a_file_below_a_vrt_of_a_vrt(raster):
    inner, outer = raster.with_name("inner.vrt"), raster.with_name("outer.vrt")
    rasterio.shutil.copy(str(raster), str(inner), driver="VRT")
    rasterio.shutil.copy(str(inner), str(outer), driver="VRT")
    before = source_fingerprint(outer)
    assert source_fingerprint(outer) == before
    change(raster, -1)
    assert source_fingerprint(outer) != before


def test_a_vrt_that_lost_a_file_is_refused(raster):
    vrt = raster.with_name("lost.vrt")
    rasterio.shutil.copy(str(raster), str(vrt), driver="VRT")
    raster.unlink()
    with pytest.raises(SourceError, match=r"lost\.vrt: .*scene\.tif"):
        source_fingerprint(vrt)


def test_a_tag_is_read_from_any_raster_and_none_from_anything_else(raster, tmp_path):
    assert read_fingerprint(raster) is None
    assert read_fingerprint(tmp_path / "missing.tif") is None
    with rasterio.open(raster, "r+") as file:
        file.update_tags(GEOSEG_FINGERPRINT="abc")
    assert read_fingerprint(raster) == "abc"


def test_of_a_large_file_the_head_and_sixteen_samples_are_read(make_raster):
    path = make_raster(bands=1, height=2000, width=2200)
    size, kib = path.stat().st_size, 1024
    read = [(0, 64 * kib)]
    read += [(size * step // 16 - 16 * kib, size * step // 16) for step in range(1, 17)]
    before = source_fingerprint(path)
    for first, end in read[:4]:
        for offset, noticed in ((first, True), (end - 1, True), (end, False), (first - 1, False)):
            if 0 < offset < size:
                change(path, offset)
                assert (source_fingerprint(path) != before) == noticed, offset
                change(path, offset)
    assert source_fingerprint(path) == before


def test_it_is_a_sha256_in_hexadecimal(raster):
    assert len(source_fingerprint(raster)) == 64
    assert int(source_fingerprint(str(raster)), 16) > 0


def test_it_changes_with_the_size_alone(raster):
    before = source_fingerprint(raster)
    times = raster.stat()
    with raster.open("ab") as stream:
        stream.write(raster.read_bytes()[-1:])
    os.utime(raster, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert source_fingerprint(raster) != before
