import math
import os
import pickle
import re
import shutil
import warnings

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from click.testing import CliRunner
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.rio.main import main_group
from rasterio.transform import Affine, from_origin

from geoseg import geodesy
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import open_raster

GRID = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)


def converted(path, suffix, driver, **options):
    out = path.with_suffix(suffix)
    rasterio.shutil.copy(str(path), str(out), driver=driver, **options)
    return out


@pytest.mark.parametrize(
    ("suffix", "driver"),
    [
        (".png", "PNG"),
        (".jpg", "JPEG"),
        (".jp2", "JP2OpenJPEG"),
        (".vrt", "VRT"),
        (".cog.tif", "COG"),
    ],
)
def test_formats_open_with_their_size_and_bands(make_raster, suffix, driver):
    source = open_raster(converted(make_raster(), suffix, driver))
    assert (source.height, source.width, source.bands, source.dtype) == (64, 80, (1, 2, 3), "uint8")
    assert source.band_names == ("red", "green", "blue")


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("bands", [1, 2, 13])
def test_real_types_and_band_counts_open(make_raster, dtype, bands):
    source = open_raster(make_raster(bands=bands, dtype=dtype, photometric="MINISBLACK"))
    assert (source.dtype, source.bands) == (dtype, tuple(range(1, bands + 1)))


def test_bigtiff_opens(make_raster):
    assert open_raster(make_raster(BIGTIFF="YES")).width == 80


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        Affine(0.5, 0, 500_000, 0, 0.5, 5_400_000),
        Affine.translation(500_000, 5_400_000) @ Affine.rotation(20) @ Affine.scale(0.5, -0.5),
    ],
)
def test_transforms_are_kept_north_up_south_up_and_rotated(make_raster, grid):
    source = open_raster(make_raster(transform=grid))
    assert source.transform.almost_equals(grid)
    assert source.ground_sampling == pytest.approx(0.5)


def test_ground_sampling_is_that_of_the_rasters_own_centre(make_raster):
    # Pixels so large that the scale of the projection differs between the centres of
    # 64 x 64, 64 x 80 and 80 x 80 of them.
    grid = Affine(20_000, 0, 500_000, 0, -20_000, 5_400_000)
    utm = CRS.from_epsg(32632)
    found = open_raster(make_raster(height=64, width=80, transform=grid)).ground_sampling
    assert found == geodesy.ground_sampling(grid, utm, 64, 80)
    assert found != geodesy.ground_sampling(grid, utm, 64, 64)
    assert found != geodesy.ground_sampling(grid, utm, 80, 80)


def test_whether_bands_were_chosen_is_remembered(make_raster):
    path = make_raster()
    assert not open_raster(path).bands_chosen
    assert open_raster(path, bands=(1, 2, 3)).bands_chosen


def test_world_file_places_a_picture(make_raster):
    png = converted(make_raster(transform=None, crs=None), ".png", "PNG")
    png.with_suffix(".pgw").write_text("0.5\n0\n0\n-0.5\n500000.25\n5399999.75\n")
    source = open_raster(png)
    assert source.transform == GRID
    assert source.crs is None
    assert "has no coordinate system" in source.warnings[0]
    assert open_raster(png, crs="EPSG:32632").ground_sampling == pytest.approx(0.5)


def test_a_plain_picture_is_read_without_a_warning(make_raster):
    png = converted(make_raster(transform=None, crs=None), ".png", "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = open_raster(png)
        with source.open() as reader:
            reader.read(0, 0, 1, 1)
    assert not caught
    assert not source.georeferenced
    assert source.ground_sampling is None
    assert "has no georeferencing" in source.warnings[0]


def test_alpha_is_a_mask_and_no_band(make_raster):
    source = open_raster(make_raster(bands=4))  # GDAL marks the fourth of four uint8 bands as alpha
    assert source.bands == (1, 2, 3)
    assert source.validity.alpha == 4


def test_band_marked_as_alpha_is_imagery_when_asked_for_by_number(make_raster):
    source = open_raster(make_raster(bands=4), bands=(4, 1, 2))
    assert source.bands == (4, 1, 2)
    assert source.validity.alpha is None
    assert "band 4 is marked as alpha" in source.warnings[0]


def test_descriptions_name_the_bands(make_raster):
    path = make_raster()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("nir", "red", "green")
    assert open_raster(path, bands=(2, 3)).band_names == ("red", "green")


def test_source_survives_pickling(make_raster):
    source = open_raster(make_raster(nodata=0))
    assert pickle.loads(pickle.dumps(source)) == source


def test_nodata_is_the_declared_or_the_given_value(make_raster):
    path = make_raster(nodata=7)
    assert open_raster(path).nodata == 7
    assert open_raster(path, nodata=9).nodata == 9
    assert open_raster(make_raster("without.tif")).nodata is None
    assert np.isnan(
        open_raster(make_raster("nan.tif", dtype="float32", nodata=float("nan"))).nodata
    )


@pytest.mark.parametrize(
    ("dtype", "nodata", "possible"),
    [
        ("uint8", 0, True),
        ("uint8", 255, True),
        ("uint8", 256, False),
        ("uint8", -1, False),
        ("uint8", 1.5, False),
        ("uint8", float("nan"), False),
        ("int16", -32768, True),
        ("int16", 32768, False),
        ("float32", float("nan"), True),
        ("float32", -9999.5, True),
    ],
)
def test_nodata_that_cannot_occur_in_the_type_is_refused(make_raster, dtype, nodata, possible):
    path = make_raster(dtype=dtype)
    for given in (nodata, (0, nodata)):
        if possible:
            assert open_raster(path, nodata=given).warnings == ()
        else:
            said = f"scene.tif: nodata {nodata} cannot occur in {dtype} pixels"
            with pytest.raises(SourceError, match=re.escape(said)):
                open_raster(path, nodata=given)


def test_given_crs_replaces_another_and_says_so(make_raster):
    source = open_raster(make_raster(), crs="EPSG:25832")
    assert source.crs == CRS.from_epsg(25832)
    assert "EPSG:32632 is replaced by --crs EPSG:25832" in source.warnings[0]


def test_given_crs_cannot_place_what_has_no_transform(make_raster):
    png = converted(make_raster(transform=None, crs=None), ".png", "PNG")
    source = open_raster(png, crs="EPSG:25832")
    assert source.crs is None
    assert "--crs cannot place it" in source.warnings[0]


@pytest.mark.parametrize("crs", [CRS.from_epsg(32632), CRS()])
def test_ground_control_points_are_not_taken_for_a_transform(make_raster, crs):
    path = make_raster(transform=None, crs=None)
    with rasterio.open(path, "r+") as file:
        corners = [(0, 0, 5e5, 54e5), (0, 80, 5e5 + 40, 54e5), (64, 0, 5e5, 54e5 - 32)]
        file.gcps = (
            [rasterio.control.GroundControlPoint(*corner) for corner in corners],
            crs,
        )
    assert any("ground control points" in line for line in open_raster(path).warnings)


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="no such file or folder; check the path"):
        open_raster(tmp_path / "none.tif")


def test_folder(tmp_path):
    with pytest.raises(SourceError, match="this folder holds no raster to read; put GeoTIFF"):
        open_raster(tmp_path)


def test_zero_size_file(tmp_path):
    (tmp_path / "zero.tif").touch()
    with pytest.raises(
        SourceError, match=r"the file is empty \(0 bytes\); copy or export it again"
    ):
        open_raster(tmp_path / "zero.tif")


def test_not_an_image(tmp_path):
    (tmp_path / "text.tif").write_text("not an image")
    with pytest.raises(
        SourceError, match=r"text.tif: not an image that can be read .*; give GeoTIFF"
    ):
        open_raster(tmp_path / "text.tif")


def test_messages_are_one_line(tmp_path):
    (tmp_path / "bad.vrt").write_text("<VRTDataset rasterXSize='0' rasterYSize='0'/>")
    with pytest.raises(SourceError) as caught:
        open_raster(tmp_path / "bad.vrt")
    assert "\n" not in str(caught.value)


def test_complex_numbers(make_raster):
    with pytest.raises(SourceError, match="holds complex numbers; geoseg reads real ones"):
        open_raster(make_raster(data=np.ones((1, 8, 8), np.complex64)))


def test_alpha_alone(make_raster):
    path = make_raster(bands=1)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.alpha]
    with pytest.raises(SourceError, match="an alpha band and nothing else"):
        open_raster(path)


def test_band_beyond_the_file(make_raster):
    with pytest.raises(
        SourceError, match=r"--bands 4,1,2 asks for band 4, the file has 3 \(red, green, blue\)"
    ):
        open_raster(make_raster(), bands=(4, 1, 2))


def test_no_band(make_raster):
    with pytest.raises(ConfigError, match="--bands names no band"):
        open_raster(make_raster(), bands=())


def test_unknown_crs(make_raster):
    with pytest.raises(
        ConfigError, match="--crs EPSG:999999: not a coordinate system that PROJ knows"
    ):
        open_raster(make_raster(), crs="EPSG:999999")


@pytest.mark.parametrize(
    "profile", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}]
)
def test_tiff_without_its_end_is_refused_before_any_work(make_raster, profile):
    whole = make_raster(height=512, width=512, **profile)
    cut = whole.with_name("cut.tif")
    cut.write_bytes(whole.read_bytes()[:-20_000])
    with pytest.raises(SourceError, match=r"the file is cut short .*; copy or export it again"):
        open_raster(cut)


def test_vrt_over_bands_of_different_types_reads_the_common_type(make_raster, tmp_path):
    make_raster("a.tif", bands=1, dtype="uint8")
    make_raster("b.tif", bands=1, dtype="uint16")
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (name, kind) in enumerate([("a.tif", "Byte"), ("b.tif", "UInt16")], start=1)
    )
    vrt = tmp_path / "both.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="80" rasterYSize="64">{bands}</VRTDataset>')
    source = open_raster(vrt)
    assert source.dtype == "uint16"
    with source.open() as reader, rasterio.open(tmp_path / "b.tif") as oracle:
        assert (reader.read(0, 0, 64, 80)[0][1] == oracle.read(1)).all()


def test_raster_that_was_replaced_meanwhile_is_not_read(make_raster):
    source = open_raster(make_raster())
    shutil.copy(make_raster("other.tif", height=32), source.path)
    with pytest.raises(SourceError, match="is 32 x 80 pixels now and was 64 x 80"):
        source.open()


def test_overviews_are_opened_by_number(make_raster):
    path = make_raster(height=200, width=160, tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    source = open_raster(path)
    with source.open() as reader:
        assert (reader.height, reader.width, reader.overviews) == (200, 160, 2)
    with source.open(overview=1) as reader, rasterio.open(path, OVERVIEW_LEVEL=1) as oracle:
        assert (reader.height, reader.width) == (50, 40)
        assert (reader.read(0, 0, 50, 40)[0] == oracle.read()).all()


def test_wanted_bands_are_chosen_where_each_is_named_once(make_raster):
    path = make_raster(bands=5, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("blue", "green", "red", "NIR", "height")
    source = open_raster(path, wanted=("near-infrared", "red"))
    assert (source.bands, source.bands_chosen) == ((4, 3), False)
    assert "bands 4,3 (NIR, red) are chosen by name; --bands chooses others" in source.warnings[0]
    assert open_raster(path, wanted=("nir", "swir")).bands == (1, 2, 3, 4, 5)


def test_wanted_bands_in_their_order_are_no_news(make_raster):
    assert open_raster(make_raster(), wanted=("red", "green", "blue")).warnings == ()


def test_alpha_is_chosen_by_name_only_if_it_is_asked_for(make_raster):
    path = make_raster(bands=4)
    with rasterio.open(path, "r+") as file:
        file.descriptions = (None, None, None, "nir")
    assert open_raster(path, wanted=("nir", "red")).bands == (1, 2, 3)
    asked = open_raster(path, bands=("nir", "red"))
    assert asked.bands == (4, 1)
    assert "band 4 is marked as alpha" in asked.warnings[0]


def test_bands_are_given_by_number_or_by_name(make_raster):
    source = open_raster(make_raster(), bands=("B", 2, "red"))
    assert (source.bands, source.bands_chosen) == ((3, 2, 1), True)


@pytest.mark.parametrize(("names", "lost"), [(("red", "nir"), "nir"), (("alpha",), "alpha")])
def test_a_name_that_the_file_lacks_is_refused_with_what_it_has(make_raster, names, lost):
    has = r"the file has 4 \(red, green, blue, alpha\); give numbers, among 1..4"
    with pytest.raises(SourceError, match=f"asks for one band named {lost}, {has}"):
        open_raster(make_raster(bands=4), bands=names)


def test_a_name_that_two_bands_have_is_refused(make_raster):
    path = make_raster(photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("red", "red", "nir")
    with pytest.raises(SourceError, match=r"one band named red, the file has 3 .* give numbers"):
        open_raster(path, bands=("nir", "red"))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(6))
def test_a_transform_that_is_not_finite_is_refused(make_raster, place, number):
    numbers = [0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0]
    numbers[place] = number
    path = make_raster("scene.tif", transform=Affine(*numbers))
    with pytest.raises(SourceError, match=r"scene\.tif: its transform .* places no pixel; set the"):
        open_raster(path)


@pytest.mark.parametrize("pixel", [3.7e-155, 1e-10])
def test_a_transform_that_puts_pixels_on_top_of_one_another_is_refused(make_raster, pixel):
    path = make_raster(transform=Affine(0.5, 0.0, 5e5, 0.0, -pixel, 54e5))
    with pytest.raises(SourceError, match=r"scene\.tif: its transform .* places no pixel; set the"):
        open_raster(path)


def unusable(path, transform=True):
    """A VRT of a raster, in a coordinate system that PROJ cannot compute with."""
    vrt = path.with_suffix(".vrt")
    rasterio.shutil.copy(path, vrt, driver="VRT")
    text = re.sub("Transverse_Mercator", "Transverse_Mer#ator", vrt.read_text())
    vrt.write_text(text if transform else re.sub("<GeoTransform>.*</GeoTransform>", "", text))
    return vrt


@pytest.mark.parametrize("transform", [True, False])
def test_a_coordinate_system_that_proj_cannot_use_is_refused(make_raster, transform):
    path = unusable(make_raster(), transform)
    said = r"scene\.vrt: its coordinate system cannot be used \(.*\); set the right one"
    with pytest.raises(SourceError, match=said):
        open_raster(path)


@pytest.mark.parametrize("way", ["--crs", "rio edit-info"])
def test_each_way_out_of_an_unusable_coordinate_system_helps(make_raster, way):
    path = unusable(make_raster())
    if way == "--crs":
        source = open_raster(path, crs="EPSG:32632")
        assert "coordinate system, which cannot be used" in source.warnings[0]
        assert "is replaced by --crs EPSG:32632" in source.warnings[0]
    else:
        command = ["edit-info", "--crs", "EPSG:32632", str(path)]
        CliRunner().invoke(main_group, command, catch_exceptions=False)
        source = open_raster(path)
    assert (source.crs, source.ground_sampling) == (CRS.from_epsg(32632), 0.5)


def test_a_given_coordinate_system_that_proj_cannot_use_is_refused(make_raster):
    text = CRS.from_epsg(32632).to_wkt().replace("Transverse_Mercator", "Transverse_Mer#ator")
    with pytest.raises(ConfigError, match=r"PROJ cannot compute with it .*; give one like EPSG:2"):
        open_raster(make_raster(), crs=text)


def test_complex_integers_are_refused_as_complex_numbers_are(tmp_path, make_raster):
    path = tmp_path / "complex.tif"
    profile = {"driver": "GTiff", "count": 1, "height": 4, "width": 4, "dtype": "complex_int16"}
    with rasterio.open(path, "w", transform=Affine(1, 0, 9, 0, -1, 9), **profile):
        pass
    with pytest.raises(SourceError, match=r"complex\.tif: holds complex numbers"):
        open_raster(path)


@pytest.mark.parametrize(
    "document",
    [
        b'<PAMDataset><SRS>PROJCS["broken",GEOGCS[</SRS></PAMDataset>',
        b"<PAMDataset><SRS>EPSG:99999999</SRS></PAMDataset>",
        b'<PAMDataset><PAMRasterBand band="1"><Description>gr\xfcn</Description></PAMRasterBand>'
        b"</PAMDataset>",
    ],
)
def test_metadata_that_break_gdal_or_are_no_text_are_named(make_raster, document):
    path = make_raster("scene.tif")
    path.with_name("scene.tif.aux.xml").write_bytes(document)
    with pytest.raises(SourceError, match=r"scene\.tif: .* read(able|).*(aux\.xml|remove it)"):
        open_raster(path)
    path.with_name("scene.tif.aux.xml").unlink()  # as the message advises
    open_raster(path)


def test_a_name_that_is_not_text_is_refused(make_raster):
    path = make_raster("scene.tif")
    odd = path.with_name(os.fsdecode(b"m\xfcnchen.tif"))
    path.rename(odd)
    with pytest.raises(SourceError, match="this name is not UTF-8, which GDAL needs; rename it"):
        open_raster(odd)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"blockysize": 64, "compress": "deflate", "interleave": "pixel"}, 64 * 80 * 2 * 3),
        ({"blockysize": 64, "compress": "deflate", "interleave": "band"}, 64 * 80 * 2),
        ({"tiled": True, "blockxsize": 16, "blockysize": 32, "interleave": "pixel"}, 16 * 32 * 6),
    ],
)
def test_the_bytes_of_a_strip_or_tile_are_those_that_gdal_decodes_at_once(
    make_raster, profile, expected
):
    source = open_raster(make_raster(bands=3, height=64, width=80, dtype="uint16", **profile))
    assert source.read_cost.block_bytes == expected


def test_a_vrt_may_say_any_interleaving(make_raster, tmp_path):
    vrt = converted(make_raster(bands=1), ".vrt", "VRT")
    text = vrt.read_text()
    metadata = '<Metadata domain="IMAGE_STRUCTURE"><MDI key="INTERLEAVE">ODD</MDI></Metadata>'
    vrt.write_text(text.replace("<VRTRasterBand", f"{metadata}<VRTRasterBand", 1))
    assert open_raster(vrt).read_cost.block_bytes > 0
