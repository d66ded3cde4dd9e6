import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window

from geoseg.errors import SourceError, TilingError
from geoseg.raster import open_raster
from geoseg.raster.reader import Validity, find_validity

HEIGHT, WIDTH = 150, 170
DATA = np.random.default_rng(0).integers(0, 255, (3, HEIGHT, WIDTH), dtype=np.uint8)
DATA[:, 40:90, :60] = 0  # declared nodata where a profile says so
HOLES = np.zeros((HEIGHT, WIDTH), np.uint8)
HOLES[20:120, 30:] = 255
TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}
PROFILES = {
    "striped": {},
    "one row per strip": {"blockysize": 1, "compress": "lzw"},
    "one strip": {"blockysize": HEIGHT, "compress": "deflate"},
    "narrow tiles": {"tiled": True, "blockxsize": 16, "blockysize": 160, "compress": "deflate"},
    "tiled": {**TILED, "compress": "deflate", "predictor": 2},
    "planar": {**TILED, "interleave": "band"},
    "ycbcr": {**TILED, "compress": "jpeg", "photometric": "YCBCR"},
    "bigtiff": {**TILED, "BIGTIFF": "YES"},
    "nodata": {**TILED, "nodata": 0},
    "uint16": {**TILED, "dtype": "uint16", "nodata": 0},
    "float32": {**TILED, "dtype": "float32"},
    "south up": {"transform": Affine(1, 0, 5e5, 0, 1, 54e5)},
}


def write(path, data, **profile):
    options = {
        "driver": "GTiff",
        "crs": "EPSG:32632",
        "transform": Affine(1, 0, 5e5, 0, -1, 54e5),
        **profile,
    }
    options.setdefault("dtype", data.dtype)
    with rasterio.open(path, "w", count=len(data), height=HEIGHT, width=WIDTH, **options) as file:
        file.write(data.astype(options["dtype"]))
        if profile.get("mask"):
            file.write_mask(HOLES)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    made = {
        name: write(folder / f"{name}.tif", DATA, **profile) for name, profile in PROFILES.items()
    }
    made["alpha"] = write(folder / "alpha.tif", np.concatenate([DATA, HOLES[None]]), **TILED)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        made["internal mask"] = write(folder / "mask.tif", DATA, mask=True)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False):
        made["mask beside"] = write(folder / "msk.tif", DATA, mask=True)
    for name, driver in [
        ("png", "PNG"),
        ("jpg", "JPEG"),
        ("jp2", "JP2OpenJPEG"),
        ("vrt", "VRT"),
        ("cog", "COG"),
    ]:
        made[name] = folder / f"tiled.{name}"
        rasterio.shutil.copy(str(made["tiled"]), str(made[name]), driver=driver)
    made["rgba.png"] = folder / "rgba.png"
    rasterio.shutil.copy(str(made["alpha"]), str(made["rgba.png"]), driver="PNG")
    return made


ALL = [
    *PROFILES,
    "alpha",
    "internal mask",
    "mask beside",
    "png",
    "jpg",
    "jp2",
    "vrt",
    "cog",
    "rgba.png",
]


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_window_of_any_file_is_what_rasterio_reads(images, name, data):
    row, col = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    height, width = data.draw(st.integers(1, HEIGHT - row)), data.draw(st.integers(1, WIDTH - col))
    with open_raster(images[name]).open() as reader, rasterio.open(images[name]) as oracle:
        pixels, valid = reader.read(row, col, height, width)
        window = Window(col, row, width, height)
        assert (pixels == oracle.read([1, 2, 3], window=window)).all()
        assert (valid == (oracle.dataset_mask(window=window) > 0)).all()
    assert pixels.dtype == oracle.dtypes[0]
    assert valid.dtype == np.bool_


@pytest.mark.parametrize("name", ["tiled", "alpha", "nodata"])
def test_a_buffer_is_filled_and_given_back(images, name):
    out = np.empty((3, 50, 60), np.uint8)
    with open_raster(images[name]).open() as reader:
        for row in (0, 70):
            pixels, valid = reader.read(row, 5, 50, 60, out=out)
            fresh, fresh_valid = reader.read(row, 5, 50, 60)
            assert pixels is out
            assert (out == fresh).all()
            assert (valid == fresh_valid).all()


def test_buffers_of_any_size_follow_one_another(images):
    with open_raster(images["alpha"]).open() as reader:
        for height, width in ((10, 20), (60, 50), (5, 7), (HEIGHT, WIDTH)):
            out = np.empty((3, height, width), np.uint8)
            _, valid = reader.read(0, 0, height, width, out=out)
            assert (out == DATA[:, :height, :width]).all()
            assert (valid == (HOLES[:height, :width] > 0)).all()


def test_the_file_is_closed_after_the_block(images):
    with open_raster(images["tiled"]).open() as reader:
        reader.read(0, 0, 1, 1)
    with pytest.raises(SourceError, match="cannot be read"):
        reader.read(0, 0, 1, 1)


def test_a_later_read_leaves_an_earlier_one_alone(images):
    with open_raster(images["alpha"]).open() as reader:
        first, _ = reader.read(0, 0, 60, 60)
        before = first.copy()
        reader.read(60, 60, 60, 60, out=np.empty((3, 60, 60), np.uint8))
        reader.read(60, 60, 60, 60)
    assert (first == before).all()


def test_chosen_bands_come_in_the_order_chosen(images):
    with open_raster(images["tiled"], bands=(3, 1, 3)).open() as reader:
        assert (reader.read(0, 0, HEIGHT, WIDTH)[0] == DATA[[2, 0, 2]]).all()


def test_given_nodata_replaces_the_declared_and_counts_in_the_used_bands_alone(images):
    data = np.full((3, HEIGHT, WIDTH), 9, np.uint8)
    data[:2, :10] = 7
    path = write(images["tiled"].with_name("given.tif"), data, nodata=9)
    for bands, invalid in [((1, 2), 10), ((1, 2, 3), 0)]:
        with open_raster(path, bands=bands, nodata=7).open() as reader:
            assert (~reader.read(0, 0, HEIGHT, WIDTH)[1]).sum() == invalid * WIDTH


def test_given_nodata_adds_to_alpha(images):
    with open_raster(images["alpha"], nodata=0).open() as reader:
        _, valid = reader.read(0, 0, HEIGHT, WIDTH)
    assert (valid == ((HOLES > 0) & (DATA > 0).any(axis=0))).all()


def test_alpha_of_any_strength_but_0_is_valid(images):
    alpha = np.tile(np.array([0, 1, 128, 254, 255], np.uint8), (HEIGHT, WIDTH // 5))
    path = images["tiled"].with_name("soft.tif")
    write(path, np.concatenate([DATA, alpha[None]]), **TILED)
    with open_raster(path).open() as reader:
        assert (reader.read(0, 0, HEIGHT, WIDTH)[1] == (alpha > 0)).all()


def test_band_with_alpha_mark_masks_nothing_when_it_is_read(images):
    with open_raster(images["alpha"], bands=(4, 1)).open() as reader:
        pixels, valid = reader.read(0, 0, HEIGHT, WIDTH)
    assert (pixels[0] == HOLES).all()
    assert valid.all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_pixel_with_one_value_that_is_not_finite_is_invalid(images, bad):
    data = DATA.astype(np.float32)
    data[1, 3, 4] = bad
    path = write(images["tiled"].with_name("nan.tif"), data)
    with open_raster(path).open() as reader:
        _, valid = reader.read(0, 0, HEIGHT, WIDTH)
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1
    with open_raster(path, bands=(1, 3)).open() as reader:
        assert reader.read(0, 0, HEIGHT, WIDTH)[1].all()


def test_nan_declared_as_nodata_is_invalid(images):
    data = np.where(HOLES > 0, DATA, np.nan).astype(np.float32)
    path = write(images["tiled"].with_name("nan-nodata.tif"), data, nodata=float("nan"))
    with open_raster(path).open() as reader:
        assert (reader.read(0, 0, HEIGHT, WIDTH)[1] == (HOLES > 0)).all()


def test_lowest_float_as_nodata(images):
    lowest = float(np.finfo(np.float32).min)
    data = np.where(HOLES > 0, DATA, lowest).astype(np.float32)
    path = write(images["tiled"].with_name("lowest.tif"), data, nodata=lowest)
    with open_raster(path).open() as reader:
        assert (reader.read(0, 0, HEIGHT, WIDTH)[1] == (HOLES > 0)).all()


def test_mask_of_each_band_of_a_vrt(images):
    # Each band has a mask of its own, with other holes; a pixel is valid where any band is.
    vrt = images["tiled"].with_name("masks.vrt")
    other = np.flip(HOLES)
    write(vrt.with_name("other.tif"), np.stack([HOLES, other]), **TILED, photometric="minisblack")
    source = '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>{}'
    source += "</SourceBand></SimpleSource>"
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{source.format("tiled.tif", band)}'
        f'<MaskBand><VRTRasterBand dataType="Byte">{source.format("other.tif", band)}'
        "</VRTRasterBand></MaskBand></VRTRasterBand>"
        for band in (1, 2)
    )
    vrt.write_text(f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}">{bands}</VRTDataset>')
    with open_raster(vrt).open() as reader:
        pixels, valid = reader.read(0, 0, HEIGHT, WIDTH)
    assert (pixels == DATA[:2]).all()
    assert (valid == ((HOLES > 0) | (other > 0))).all()
    with open_raster(vrt, bands=(2,)).open() as reader:
        assert (reader.read(0, 0, HEIGHT, WIDTH)[1] == (other > 0)).all()


def test_bands_of_two_types_in_a_vrt_of_three_are_read_one_by_one(images):
    # The first and the last band are of one type: what counts is which bands are read.
    vrt = images["tiled"].with_name("types.vrt")
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">tiled.tif</SourceFilename><SourceBand>{}'
    )
    source += "</SourceBand></SimpleSource>"
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{band}">{source.format(band)}</VRTRasterBand>'
        for band, kind in ((1, "Byte"), (2, "UInt16"), (3, "Byte"))
    )
    vrt.write_text(f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}">{bands}</VRTDataset>')
    for used in ((1, 2), (2, 3), (3, 1), (1, 2, 3)):
        with open_raster(vrt, bands=used).open() as reader:
            pixels, _ = reader.read(0, 0, HEIGHT, WIDTH)
        assert (pixels == DATA[[band - 1 for band in used]]).all()


@pytest.mark.parametrize("name", ["png", "jp2", "tiled"])
def test_damaged_file_names_the_window(images, name, tmp_path):
    damaged = tmp_path / images[name].name
    content = images[name].read_bytes()
    third = len(content) // 3
    # A TIFF keeps its length: otherwise opening it would fail.
    damage = bytes(third) + content[2 * third :] if name == "tiled" else b""
    damaged.write_bytes(content[:third] + damage)
    source = open_raster(damaged)
    with (
        source.open() as reader,
        pytest.raises(
            SourceError,
            match=r"rows 0 to 149, columns 0 to 169 cannot be read \(.*copy or export it again",
        ),
    ):
        reader.read(0, 0, HEIGHT, WIDTH)


def test_vrt_that_lost_a_file_says_so(images, tmp_path):
    vrt = tmp_path / "lost.vrt"
    vrt.write_text(images["vrt"].read_text().replace("tiled.tif", "gone.tif"))
    with (
        pytest.raises(SourceError, match=r"lost.vrt: .*gone.tif"),
        open_raster(vrt).open() as reader,
    ):
        reader.read(0, 0, 1, 1)


@pytest.mark.parametrize(
    "window",
    [
        (-1, 0, 1, 1),
        (0, -1, 1, 1),
        (0, 0, HEIGHT + 1, 1),
        (0, WIDTH, 1, 1),
        (1, 0, HEIGHT, 1),
        (0, 1, 1, WIDTH),
        (0, 0, 0, 1),
        (0, 0, 1, 0),
    ],
)
def test_window_outside_the_raster_is_refused(images, window):
    with (
        open_raster(images["tiled"]).open() as reader,
        pytest.raises(TilingError, match="does not lie inside"),
    ):
        reader.read(*window)


def test_paletted_picture_reads_its_indices(make_raster):
    path = make_raster(bands=1)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (1, 2, 3)})
        assert file.colorinterp[0] == ColorInterp.palette
    with open_raster(path).open() as reader, rasterio.open(path) as oracle:
        assert (reader.read(0, 0, 64, 80)[0] == oracle.read()).all()


@pytest.mark.skipif(
    "GEOSEG_DATA" not in os.environ, reason="GEOSEG_DATA names no folder of real imagery"
)
def test_every_real_geotiff_opens_and_reads_as_rasterio_does():
    paths = sorted(Path(os.environ["GEOSEG_DATA"]).rglob("*.tif"))
    assert paths
    for path in paths:
        source = open_raster(path)
        window = Window(
            source.width // 3, source.height // 3, source.width // 4, source.height // 4
        )
        with source.open() as reader, rasterio.open(path) as oracle:
            pixels, valid = reader.read(window.row_off, window.col_off, window.height, window.width)
            assert (pixels == oracle.read(list(source.bands), window=window)).all(), path
            assert (valid == (oracle.dataset_mask(window=window) > 0)).all(), path


def validity(path, used=(1, 2, 3), alphas=(), nodata=()):
    with rasterio.open(path) as file:
        return find_validity(file, used, alphas, nodata)


def test_without_nodata_alpha_and_mask_all_is_valid(make_raster):
    assert validity(make_raster()) == Validity((None, None, None))


def test_declared_nodata_counts_a_band(make_raster):
    assert validity(make_raster(nodata=7), used=(3, 1)) == Validity((7.0, 7.0))


def test_a_given_value_replaces_the_declared_one_in_every_band(make_raster):
    assert validity(make_raster(nodata=7), nodata=[9]) == Validity((9.0, 9.0, 9.0))
    assert validity(make_raster(), nodata=[0]) == Validity((0.0, 0.0, 0.0))


def test_alpha_counts_where_it_is_not_read(make_raster):
    path = make_raster(bands=4)
    assert validity(path, alphas=(4,)) == Validity((None, None, None), alpha=4)
    assert validity(path, used=(4, 1), alphas=(4,)) == Validity((None, None))
    assert validity(path, used=(1,), alphas=(4, 3)).alpha == 4


@pytest.mark.parametrize("nodata", [None, 7])
def test_a_mask_of_the_dataset_is_read_once_and_comes_before_declared_nodata(make_raster, nodata):
    path = make_raster(nodata=nodata)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.zeros(file.shape, np.uint8))
    found = validity(path, used=(2, 3))
    assert found.mask_bands == (2,)
    assert found.nodata_values is None
    assert validity(path, used=(2, 3), nodata=[5]) == Validity((5.0, 5.0), mask_bands=(2,))


def test_masks_of_single_bands_are_all_read(make_raster, tmp_path):
    make_raster("a.tif", bands=1)
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource>"
    )
    mask = f'<MaskBand><VRTRasterBand dataType="Byte">{source}</VRTRasterBand></MaskBand>'
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{source}{mask}</VRTRasterBand>'
        for band in (1, 2)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="80" rasterYSize="64">{bands}</VRTDataset>')
    assert validity(vrt, used=(2, 1)) == Validity((None, None), mask_bands=(2, 1))


@pytest.mark.parametrize("rectangle", ['ySize="64"', 'xSize="80"'])
def test_what_a_vrt_takes_from_nowhere_is_0_and_not_what_was_in_memory(
    make_raster, tmp_path, rectangle
):
    make_raster("a.tif", bands=1)
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" {rectangle}/>'
        '<DstRect xOff="0" yOff="0" xSize="80" ySize="64"/></SimpleSource>'
    )
    mask = f'<MaskBand><VRTRasterBand dataType="Byte">{source}</VRTRasterBand></MaskBand>'
    band = f'<VRTRasterBand dataType="Byte" band="1">{source}{mask}</VRTRasterBand>'
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="80" rasterYSize="64">{band}</VRTDataset>')
    with open_raster(vrt).open() as reader:
        pixels, valid = reader.read(0, 0, 64, 80, out=np.full((1, 64, 80), 7, np.uint8))
    assert not pixels.any()
    assert not valid.any()


def test_alpha_beside_the_bands_is_not_a_mask_of_the_dataset(make_raster):
    path = make_raster(bands=2, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    assert validity(path, used=(1,), alphas=(2,)) == Validity((None,), alpha=2)


def test_one_band_without_nodata_keeps_every_pixel_valid():
    assert Validity((0.0, None)).nodata_values is None
    assert Validity((0.0, 5.0)).nodata_values == (0.0, 5.0)


def test_several_values_are_nodata_where_all_bands_have_the_same_one(make_raster):
    data = np.full((3, 8, 8), 5, np.int16)
    data[:, 0] = -9999
    data[:, 1] = -32768
    data[:, 2] = np.array([-9999, -32768, -9999])[:, None]
    data[:, 3] = 7
    source = open_raster(make_raster(data=data, nodata=7), nodata=(-9999, -32768))
    with source.open() as reader:
        _, valid = reader.read(0, 0, 8, 8)
    np.testing.assert_array_equal(valid.all(axis=1), [False] * 2 + [True] * 6)
    np.testing.assert_array_equal(valid.any(axis=1), [False] * 2 + [True] * 6)
    assert source.nodata is None


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (-3.4028234663852886e38, True),
        (-3.4028234663852886e38, False),
        (-3.4028235e38, False),  # declared it counts for nothing, which GDAL decides
        (-3.4e38, True),
        (-3.4e38, False),
        (0.1, True),
        (0.1, False),
    ],
)
@pytest.mark.parametrize("other_band", ["float32", "float64"])
def test_nodata_is_compared_as_the_bands_type_holds_it(
    make_raster, tmp_path, value, declared, other_band
):
    data = np.ones((1, 8, 8), np.float32)
    data[:, :3] = value
    make_raster("a.tif", data=data)
    make_raster("b.tif", data=np.where(data == 1, 1.0, value).astype(other_band))
    nodata = f"<NoDataValue>{value!r}</NoDataValue>" if declared else ""
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype.capitalize()}" band="{number}">{nodata}<SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}</SourceFilename></SimpleSource></VRTRasterBand>'
        for number, (name, dtype) in enumerate([("a.tif", "float32"), ("b.tif", other_band)], 1)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8">{bands}</VRTDataset>')
    with open_raster(vrt, nodata=None if declared else value).open() as reader:
        _, valid = reader.read(0, 0, 8, 8)
    np.testing.assert_array_equal(valid, (data == 1)[0])
