from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import check_source, open_raster
from geoseg.raster.bands import FileBand

RGB = ("red", "green", "blue")
IRRG = ("nir", "red", "green")


def check(source, bands=RGB, value_range=(0, 255), ground_sampling=None, source_range=None):
    return check_source(
        source,
        bands=bands,
        value_range=value_range,
        ground_sampling=ground_sampling,
        source_range=source_range,
    )


def filled(make_raster, low, high, dtype, **profile):
    data = np.random.default_rng(0).uniform(low, high, (3, 64, 80)).astype(dtype)
    return open_raster(make_raster(data=data, **profile))


def described(path, *names):
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
    return path


def test_fitting_source_has_no_warning(make_raster):
    assert check(open_raster(make_raster()), ground_sampling=0.5) == []


MIXED = ((0, 255), (0, 255), (200, 400))


@pytest.mark.parametrize("wrong", [(0, 1), (3000, 5000), (900, 1000)])
def test_each_band_is_compared_with_its_own_range(make_raster, wrong):
    def mixed(low, high):
        data = np.random.default_rng(0).uniform(0, 255, (3, 64, 80)).astype(np.float32)
        data[2] = np.random.default_rng(1).uniform(low, high, (64, 80))
        return open_raster(make_raster(data=data))

    assert check(mixed(210, 390), value_range=MIXED) == []
    with pytest.raises(
        SourceError, match=r"float32 values on another scale .* 200 to 400; "
    ) as found:
        check(mixed(*wrong), value_range=MIXED)
    # The advice changes the range of that band alone, and followed to the letter it helps.
    numbers = str(found.value).partition("--value-range ")[2].split(",")
    ranges = tuple(zip(*[iter(map(float, numbers))] * 2, strict=True))
    assert ranges[:2] == MIXED[:2]
    assert check(mixed(*wrong), value_range=MIXED, source_range=ranges) == []


def test_ranges_of_some_bands_alone_are_no_ranges_of_all(make_raster):
    with pytest.raises(
        ConfigError, match="0,255,0,9: 4 numbers; give two, or two for each of red, "
    ):
        check(open_raster(make_raster()), source_range=((0, 255), (0, 9)))


def test_small_heights_beside_colours_are_heights_of_a_flat_place(make_raster):
    data = np.random.default_rng(0).uniform(0, 255, (3, 64, 80)).astype(np.float32)
    data[2] /= 500
    source = open_raster(make_raster(data=data))
    assert check(source, value_range=((0, 255), (0, 255), (0, 60))) == []
    with pytest.raises(SourceError, match="another scale"):
        check(source, value_range=((0, 60), (0, 60), (0, 255)))


def test_warnings_of_the_source_come_along(make_raster):
    (line,) = check(open_raster(make_raster(crs=None)), ground_sampling=0.5)
    assert "scene.tif: has no coordinate system" in line


@pytest.mark.parametrize(
    ("bands", "needs"),
    [
        (4, r"4 bands .*the model takes 3 \(nir, red, green\); .*if .*--bands 4,1,2"),
        (1, "1 band .*it lacks bands"),
    ],
)
def test_other_number_of_bands_is_refused_with_bands_to_choose(make_raster, bands, needs):
    with pytest.raises(SourceError, match=needs):
        check(open_raster(make_raster(bands=bands, photometric="MINISBLACK")), bands=IRRG)


def test_alpha_does_not_count_and_is_named(make_raster):
    with pytest.raises(
        SourceError,
        match=r"4 bands \(red, green, blue, alpha\), the model takes 4 .*--bands 1,2,3,4",
    ):
        check(open_raster(make_raster(bands=4)), bands=(*RGB, "nir"))


def test_other_number_of_chosen_bands_is_refused(make_raster):
    with pytest.raises(SourceError, match=r"2 chosen bands .*the model takes 3"):
        check(open_raster(make_raster(), bands=(1, 2)))


def test_descriptions_in_another_order_are_refused_with_the_right_order(make_raster):
    source = open_raster(described(make_raster(), "B", "G", "R"))
    with pytest.raises(
        SourceError, match=r"named B, G, R, .*use --bands 3,2,1, or --bands 1,2,3 if the names are"
    ):
        check(source)


@pytest.mark.parametrize("descriptions", [("blue", "green", "red"), (None, None, None)])
def test_bands_chosen_by_name_fit_in_any_order(make_raster, descriptions):
    path = described(make_raster(), *descriptions)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    source = open_raster(path, wanted=RGB)
    assert source.bands == (3, 2, 1)
    (line,) = check(source)
    assert "bands 3,2,1 (red, green, blue) are chosen by name" in line


@pytest.mark.parametrize("bands", [(3, 2, 1), (1, 2, 3), RGB])
def test_chosen_bands_are_taken_at_their_word(make_raster, bands):
    assert check(open_raster(described(make_raster(), "blue", "green", "red"), bands=bands)) == []


@pytest.mark.parametrize("names", [RGB, ("nir", "red", "swir1"), (None, "nir", None)])
def test_descriptions_of_other_bands_are_refused_with_what_to_do(make_raster, names):
    path = described(make_raster(photometric="MINISBLACK"), *names)
    needs = r"the model takes 3 \(nir, red, green\) in this order; choose them with --bands"
    with pytest.raises(SourceError, match=f"{needs}, or --bands 1,2,3 if the names are wrong"):
        check(open_raster(path, wanted=IRRG), bands=IRRG)
    assert check(open_raster(path, bands=(1, 2, 3)), bands=IRRG) == []


@pytest.mark.parametrize("names", [(None, None, None), ("Band_1", "Band_2", "Band_3")])
def test_other_colours_are_warned_of_until_the_bands_are_given(make_raster, names):
    path = described(make_raster(), *names)
    (line,) = check(open_raster(path, wanted=IRRG), bands=IRRG)
    assert "marked as red, green, blue, the model takes nir, red, green; expect a poor" in line
    assert "--bands 1,2,3" in line
    assert check(open_raster(path, bands=(1, 2, 3)), bands=IRRG) == []


def test_descriptions_of_false_colour_imagery_count_more_than_its_colours(make_raster):
    path = described(make_raster(), "near-infrared", "red", "green")
    assert check(open_raster(path, wanted=IRRG), bands=IRRG) == []


def test_names_of_another_kind_contradict_nothing(make_raster):
    assert check(open_raster(make_raster()), bands=("first", "second", "third")) == []
    named = described(make_raster(), "ndvi", "height", "slope")
    assert check(open_raster(named)) == []


def test_a_palette_among_the_bands_that_are_not_read_does_not_matter(make_raster):
    path = make_raster(bands=4, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.gray]
        file.write_colormap(4, {0: (1, 2, 3)})
    assert check(open_raster(path, bands=(1, 2, 3))) == []
    with pytest.raises(SourceError, match="palette indices"):
        check(open_raster(path, bands=(1, 2, 4)))


def test_palette_is_refused(make_raster):
    path = make_raster(bands=1)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (1, 2, 3)})
    with pytest.raises(
        SourceError, match="palette indices, not colours; the model takes red, green, blue: expand"
    ):
        check(open_raster(path))


def test_uint8_is_read_off_its_type(make_raster):
    with pytest.raises(
        SourceError, match=r"uint8 values \(0 to 255\), the model takes 0 to 10000; .*0,255"
    ):
        check(open_raster(make_raster()), value_range=(0, 10_000))


@pytest.mark.parametrize(
    ("low", "high", "dtype", "value_range", "suggested"),
    [
        (0, 4000, "uint16", (0, 255), "0,4095"),
        (0, 200, "uint16", (0, 255), "0,255"),
        (0, 200, "int16", (0, 255), "0,255"),
        (0, 40_000, "uint16", (0, 10_000), "0,65535"),
        (0, 100, "uint16", (0, 10_000), "0,255"),
        (0, 1, "float32", (0, 255), "0,1"),
        (0, 255, "float32", (0, 1), "0,255"),
        (-1, 1, "float32", (0, 255), "-1,1"),
    ],
)
def test_values_on_another_scale_are_refused_with_the_likely_range(
    make_raster, low, high, dtype, value_range, suggested
):
    with pytest.raises(
        SourceError, match=f"{dtype} values .*the model takes .*--value-range {suggested}$"
    ):
        check(filled(make_raster, low, high, dtype), value_range=value_range)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "value_range"),
    [
        (100, 3000, "uint16", (0, 10_000)),
        (0, 255, "float32", (0, 255)),
        (0, 1, "float32", (0, 1)),
        (0, 60_000, "uint16", (0, 65_535)),
        (-2, 2, "float32", (-3, 3)),
    ],
)
def test_values_that_fit_pass(make_raster, low, high, dtype, value_range):
    assert check(filled(make_raster, low, high, dtype), value_range=value_range) == []


def test_a_few_values_beyond_the_range_are_glints(make_raster):
    data = np.random.default_rng(0).integers(100, 3000, (3, 64, 80)).astype(np.uint16)
    data[:, 0, 0] = 30_000
    assert check(open_raster(make_raster(data=data)), value_range=(0, 10_000)) == []


@pytest.mark.parametrize(("beyond", "fits"), [(153, True), (154, False)])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_one_percent_of_the_values_may_be_beyond_the_range(make_raster, beyond, fits, value):
    data = np.full(3 * 64 * 80, 0.5, np.float32)  # 15,360 values
    data[:beyond] = value
    source = open_raster(make_raster(data=data.reshape(3, 64, 80)))
    if fits:
        assert check(source, value_range=(0, 1)) == []
    else:
        with pytest.raises(SourceError, match="values on another scale"):
            check(source, value_range=(0, 1))


@pytest.mark.parametrize(("largest", "fits"), [(100, True), (99, False), (0, True)])
def test_values_below_a_64th_of_the_range_are_another_scale(make_raster, largest, fits):
    source = open_raster(make_raster(data=np.full((3, 8, 8), largest, np.uint16)))
    if fits:
        # All black: silence on the scale, and a word on the border.
        assert all("of its border is 0" in line for line in check(source, value_range=(0, 6400)))
    else:
        with pytest.raises(SourceError, match="values on another scale"):
            check(source, value_range=(0, 6400))


@pytest.mark.parametrize(
    ("low", "high", "suggested"),
    [
        (0, 900, "0,1023"),
        (0, 1023, "0,1023"),
        (0, 1024, "0,2047"),
        (0, 2048, "0,4095"),
        (0, 4095, "0,4095"),
        (0, 9_999, "0,10000"),
        (0, 10_001, "0,16383"),
        (0, 65_535, "0,65535"),
        (0, 65_536, "0,65536"),
        (0, 70_000, "0,70000"),
        (-300, 200, "-1023,1023"),
        (-2, 0, "-255,255"),
    ],
)
def test_the_suggested_range_is_the_smallest_usual_one_that_holds_the_values(
    make_raster, low, high, suggested
):
    data = np.full((3, 64, 80), low, np.int32)
    data[:, ::2] = high
    with pytest.raises(SourceError, match=f"--value-range {suggested}$"):
        check(open_raster(make_raster(data=data)), value_range=(0, 255))


@pytest.mark.parametrize(("largest", "fits"), [(100, True), (99, False)])
def test_the_longer_side_of_the_range_is_its_scale(make_raster, largest, fits):
    source = open_raster(make_raster(data=np.full((3, 8, 8), -largest, np.int16)))
    if fits:
        assert check(source, value_range=(-6400, 100)) == []
    else:
        with pytest.raises(SourceError, match="values on another scale"):
            check(source, value_range=(-6400, 100))


def test_more_than_one_low_value_in_a_thousand_counts_for_the_suggested_range(make_raster):
    data = np.full(3 * 64 * 80, 900, np.int16)  # 15,360 values
    data[:18] = -300
    with pytest.raises(SourceError, match=r"--value-range -1023,1023$"):
        check(open_raster(make_raster(data=data.reshape(3, 64, 80))), value_range=(0, 255))


def test_a_palette_counts_where_its_band_is_read(make_raster):
    bands = (FileBand("", "palette"), FileBand("", "gray"), FileBand("", "gray"))
    for used, refused in (((1,), True), ((2,), False), ((3,), False)):
        source = replace(open_raster(make_raster(), bands=used), file_bands=bands)
        if refused:
            with pytest.raises(SourceError, match="palette indices"):
                check(source, bands=("grey",))
        else:
            assert check(source, bands=("grey",)) == []


def test_one_pixel_in_a_thousand_does_not_widen_the_suggested_range(make_raster):
    data = np.full((3, 64, 80), 900, np.uint16)
    data[:, 0, :5] = 60_000
    with pytest.raises(SourceError, match=r"--value-range 0,1023$"):
        check(open_raster(make_raster(data=data)), value_range=(0, 255))


def test_without_a_valid_pixel_the_full_range_of_the_type_is_suggested(make_raster):
    data = np.zeros((3, 64, 80), np.uint16)
    source = open_raster(make_raster(data=data, nodata=0))
    said = r"\(no valid pixel in a sample\), .* --value-range 0,65535$"
    with pytest.raises(SourceError, match=said):
        check(source)


def test_nodata_does_not_count_when_the_scale_is_checked(make_raster):
    data = np.full((3, 64, 80), -9999, np.float32)
    data[:, 10:20] = 0.5
    source = open_raster(make_raster(data=data, nodata=-9999))
    assert check(source, value_range=(0, 1)) == []


def test_nothing_but_nodata_passes(make_raster):
    source = open_raster(make_raster(data=np.zeros((3, 64, 80), np.float32), nodata=0))
    assert check(source) == []


def test_a_given_range_needs_no_check_of_the_values(make_raster):
    assert check(filled(make_raster, 0, 4000, "uint16"), source_range=(0, 4095)) == []


@pytest.mark.parametrize("wrong", [(255, 0), (1, 1), (0, float("nan"))])
def test_a_given_range_must_be_one(make_raster, wrong):
    with pytest.raises(ConfigError, match="give the lowest and the highest value, lowest first"):
        check(open_raster(make_raster()), source_range=wrong)


@pytest.mark.parametrize(
    ("trained", "warned"),
    [(0.5, 0), (0.4, 0), (0.62, 0), (0.625, 0), (0.39, 1), (0.64, 1), (5.0, 1)],
)
def test_ground_sampling_beyond_a_quarter_is_warned_about(make_raster, trained, warned):
    warnings = check(open_raster(make_raster()), ground_sampling=trained)
    assert len(warnings) == warned
    assert all("ground sampling is 0.5 m" in line for line in warnings)


def test_a_large_raster_is_sampled_not_read(make_raster, monkeypatch):
    source = open_raster(make_raster(dtype="uint16", height=3000, width=2000, tiled=True))
    read = []
    original = type(source.open()).read
    monkeypatch.setattr(
        "geoseg.raster.reader.Reader.read",
        lambda self, row, col, height, width: (
            read.append((row, col, height, width)) or original(self, row, col, height, width)
        ),
    )
    check(source, value_range=(0, 10_000))
    # Rows of windows from corner to corner, inside the tiles of the file.
    assert len(read) in (4 * 4, 8 * 8, 16 * 16)
    assert read[0][:2] == (0, 0)
    row, col, height, width = read[-1]
    assert (row + height, col + width) == (3000, 2000)
    assert sum(height * width for _, _, height, width in read) == 1024 * 1024


def test_world_mercator_pixels_are_measured_on_the_ground(make_raster):
    path = make_raster(crs="EPSG:3857", transform=from_origin(9_519_926, 3_202_940, 0.149, 0.149))
    assert (
        check(open_raster(path), ground_sampling=0.1317) == []
    )  # 27.6 degrees north: 0.149 m are 0.132 m


@pytest.mark.parametrize(
    ("dtype", "high", "fill", "option"),
    [
        ("float32", 1, -3.4028234663852886e38, "--nodata -3.4028234663852886e+38"),
        ("float32", 1, -9999, "--nodata -9999"),
        ("int16", 10_000, -9999, "--nodata -9999"),
        ("uint16", 10_000, 65_535, "--nodata 65535"),
    ],
)
@pytest.mark.parametrize("side", [18, 150])
def test_an_undeclared_fill_value_of_any_size_is_refused_and_the_option_helps(
    make_raster, dtype, high, fill, option, side
):
    data = np.random.default_rng(0).uniform(0, high, (3, 256, 256)).astype(dtype)
    data[:, :side, :side] = fill
    path = make_raster(data=data)
    with pytest.raises(SourceError, match=r"scene\.tif: of 65,536 sampled pixels") as caught:
        check(open_raster(path), value_range=(0, high))
    assert f"{side**2:,} are {option.split()[1]}, far from" in str(caught.value)
    assert f"give {option};" in str(caught.value)
    source = open_raster(path, nodata=float(option.split()[1]))
    assert check(source, value_range=(0, high)) == []
    with source.open() as reader:
        _, valid = reader.read(0, 0, 256, 256)
    assert (~valid).sum() == side**2
