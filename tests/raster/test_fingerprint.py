import os
import re
import shutil
import time
from pathlib import Path

import pytest
import rasterio
import rasterio.shutil

from geoseg.errors import SourceError
from geoseg.raster import SeenSource, fingerprint, read_fingerprint, source_fingerprint


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


STATISTICS = """<Metadata>
<MDI key="STATISTICS_MINIMUM">1</MDI><MDI key="STATISTICS_MAXIMUM">254</MDI>
</Metadata><Histograms><HistItem><HistMin>0</HistMin><HistMax>255</HistMax>
<BucketCount>2</BucketCount><IncludeOutOfRange>1</IncludeOutOfRange><Approximate>1</Approximate>
<HistCounts>3|4</HistCounts></HistItem></Histograms>"""


def describe(path, bands="", dataset=""):
    """A sidecar as GDAL writes it."""
    path.with_name(f"{path.name}.aux.xml").write_text(
        f'<PAMDataset>{dataset}<PAMRasterBand band="1">{bands}</PAMRasterBand></PAMDataset>'
    )


def test_statistics_and_histograms_change_nothing(raster):
    before = source_fingerprint(raster)
    describe(raster, STATISTICS)
    with rasterio.open(raster) as file:
        assert file.tags(1)["STATISTICS_MAXIMUM"] == "254", "GDAL reads them"
    assert source_fingerprint(raster) == before


@pytest.mark.parametrize(
    "change",
    [
        {"bands": "<NoDataValue>0</NoDataValue>"},
        {"bands": "<Description>nir</Description>"},
        {"bands": "<ColorInterp>Blue</ColorInterp>"},
        {"bands": "<Offset>0</Offset><Scale>0.1</Scale>"},
        {"dataset": "<SRS>EPSG:25832</SRS>"},
        {"dataset": "<GeoTransform>500000, 2, 0, 5400000, 0, -2</GeoTransform>"},
        {"dataset": '<Metadata domain="RPC"><MDI key="HEIGHT_OFF">1</MDI></Metadata>'},
    ],
)
def test_it_changes_with_what_a_sidecar_says_about_the_pixels(raster, change):
    describe(raster, STATISTICS)
    before = source_fingerprint(raster)
    change["bands"] = STATISTICS + change.get("bands", "")
    describe(raster, **change)
    assert source_fingerprint(raster) != before


def test_overviews_beside_the_file_change_nothing_and_a_mask_beside_it_does(raster):
    before = source_fingerprint(raster)
    with rasterio.Env(TIFF_USE_OVR=True), rasterio.open(raster, "r+") as file:
        times = raster.stat()
        file.build_overviews([2], rasterio.enums.Resampling.average)
    os.utime(raster, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert raster.with_name("scene.tif.ovr").exists()
    assert source_fingerprint(raster) == before
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(raster, "r+") as file:
        file.write_mask(True)
    os.utime(raster, ns=(times.st_atime_ns, times.st_mtime_ns))
    masked = source_fingerprint(raster)
    assert masked != before
    mask = raster.with_name("scene.tif.msk")
    change(mask, -1)
    assert source_fingerprint(raster) != masked


def test_overviews_of_erdas_beside_the_file_change_nothing(raster):
    before = source_fingerprint(raster)
    times = raster.stat()
    with rasterio.Env(USE_RRD=True), rasterio.open(raster, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    os.utime(raster, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert raster.with_suffix(".aux").exists()
    assert source_fingerprint(raster) == before


def test_names_that_only_count_the_bands_change_nothing(raster):
    """ERDAS's overviews bring some."""
    before = source_fingerprint(raster)
    describe(raster, "<Description>Layer_1</Description>")
    with rasterio.open(raster) as file:
        assert file.descriptions[0] == "Layer_1", "GDAL reads it"
    assert source_fingerprint(raster) == before


@pytest.mark.parametrize("tags", [{}, {"A": "1"}, {"Z": "1"}, {"A": "1", "Z": "1"}])
def test_statistics_between_other_metadata_of_a_vrt_change_nothing(raster, tags):
    with rasterio.open(raster, "r+") as file:
        file.update_tags(1, **tags)
    vrt = raster.with_name("above.vrt")
    rasterio.shutil.copy(str(raster), str(vrt), driver="VRT")
    before = source_fingerprint(vrt)
    with rasterio.open(vrt) as file:
        file.stats(approx=False)
    assert "STATISTICS" in vrt.read_text()
    assert source_fingerprint(vrt) == before


def test_sizes_of_blocks_that_other_versions_of_gdal_leave_out_of_a_vrt_change_nothing(raster):
    vrt = raster.with_name("above.vrt")
    rasterio.shutil.copy(str(raster), str(vrt), driver="VRT")
    before, text = source_fingerprint(vrt), vrt.read_text()
    vrt.write_text(re.sub(' block[XY]Size="[0-9]+"', "", text))
    assert source_fingerprint(vrt) == before


def test_statistics_of_a_vrt_and_of_the_file_below_it_change_nothing(raster):
    vrt = raster.with_name("above.vrt")
    rasterio.shutil.copy(str(raster), str(vrt), driver="VRT")
    before, text = source_fingerprint(vrt), vrt.read_text()
    for path in (vrt, raster):
        with rasterio.open(path) as file:
            file.stats(approx=False)
        describe(path, STATISTICS)
    assert vrt.read_text() != text, "GDAL writes them into the file itself"
    assert source_fingerprint(vrt) == before
    vrt.write_text(text.replace('<DstRect xOff="0"', '<DstRect xOff="1"'))
    moved = source_fingerprint(vrt)
    assert moved != before
    vrt.write_text(text)
    assert source_fingerprint(vrt) == before
    describe(raster, "<NoDataValue>0</NoDataValue>")
    assert source_fingerprint(vrt) != before


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


@pytest.fixture
def settled(raster):
    """The raster, with times of a file that was written some time ago."""
    before = time.time_ns
    moments_later = lambda: before() + 10 * 10**9  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint.time, "time_ns", moments_later)
        yield raster


def test_a_source_that_was_not_written_is_not_opened_again(settled, monkeypatch):
    seen = SeenSource.at(settled)
    assert seen.fingerprint == source_fingerprint(settled)
    monkeypatch.setattr(fingerprint, "open_dataset", lambda _: pytest.fail("opened"))
    assert not seen.has_changed()


def test_a_source_that_was_written_just_now_is_looked_at_again(raster, monkeypatch):
    seen = SeenSource.at(raster)
    opened = []
    look = fingerprint.open_dataset
    monkeypatch.setattr(fingerprint, "open_dataset", lambda path: opened.append(path) or look(path))
    assert not seen.has_changed()
    assert opened == [raster]


@pytest.mark.parametrize("how", ["byte", "sidecar", "replaced"])
def test_any_change_is_noticed_whatever_the_clock_of_the_file(settled, make_raster, how):
    other = make_raster("other/scene.tif", height=1000, width=700, tiled=True, seed=5)
    seen = SeenSource.at(settled)
    if how == "byte":
        change(settled, -1)
    elif how == "sidecar":
        describe(settled, "<NoDataValue>7</NoDataValue>")
    else:
        times = settled.stat()
        os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(other, settled)
    assert seen.has_changed()


def test_a_file_below_a_vrt_counts_too(settled, tmp_path):
    vrt = tmp_path / "mosaic.vrt"
    with rasterio.open(settled) as file:
        rasterio.shutil.copy(file, vrt, driver="VRT")
    seen = SeenSource.at(vrt)
    assert not seen.has_changed()
    change(settled, -1)
    assert seen.has_changed()


def test_statistics_beside_a_source_are_no_change(settled):
    seen = SeenSource.at(settled)
    describe(settled, STATISTICS)
    assert not seen.has_changed()


PAM = '<PAMDataset><Metadata><MDI key="GEOSEG_FINGERPRINT">beside</MDI></Metadata></PAMDataset>'


@pytest.mark.parametrize(
    ("tags", "beside", "opens"),
    [
        ({fingerprint.TAG: "abc"}, "", 0),
        ({fingerprint.TAG: "abc", "NOTE": "a < b"}, "<PAMDataset></PAMDataset>", 0),
        ({"NOTE": "none"}, "<PAMDataset></PAMDataset>", 0),
        ({}, "", 0),
        ({fingerprint.TAG: "a < b & c"}, "", 1),
        ({fingerprint.TAG: "Stra\u00dfe"}, "", 1),
        ({fingerprint.TAG: "abc"}, PAM, 1),
        ({}, PAM, 1),
        ({"NOTE": f'<Item name="{fingerprint.TAG}">abc</Item>'}, "", 1),
        ({fingerprint.TAG: "abc", "NOTE": fingerprint.TAG}, "", 1),
    ],
)
def test_what_a_tiff_tells_by_itself_is_what_gdal_reads_of_it(
    make_raster, monkeypatch, tags, beside, opens
):
    path = make_raster("a.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
    if beside:
        Path(f"{path}.aux.xml").write_text(beside)
    with rasterio.open(path) as file:
        expected = file.tags().get(fingerprint.TAG)
    opened, look = [], fingerprint.open_dataset
    monkeypatch.setattr(fingerprint, "open_dataset", lambda path: opened.append(path) or look(path))
    assert read_fingerprint(path) == expected
    assert len(opened) == opens


def test_of_bands_and_domains_no_tag_is_taken(make_raster):
    path = make_raster("a.tif")
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, **{fingerprint.TAG: "of a band"})
        file.update_tags(ns="MINE", **{fingerprint.TAG: "of a domain"})
    assert read_fingerprint(path) is None
