"""Undeclared nodata: what the messages advise, followed to the letter, helps."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import count

import numpy as np
import pytest
import rasterio
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geoseg.errors import SourceError
from geoseg.raster import check_source, open_raster
from geoseg.raster.undeclared import PREDICT, TRAIN, refuse_impossible

LOWEST = float(np.finfo(np.float32).min)
SCALES = {
    # dtype: range, likely fill values
    "float32": ((0.0, 1.0), (LOWEST, -9999.0, -32768.0, 1e20, -0.0 - 2.5)),
    "float64": ((-1.0, 1.0), (LOWEST, -9999.0, 1e30, float(np.finfo(np.float64).min))),
    "int16": ((0.0, 10_000.0), (-9999.0, -32768.0, -32767.0)),
    "uint16": ((0.0, 4095.0), (65_535.0, 65_534.0, 32_767.0)),
    "int32": ((0.0, 65_535.0), (-9999.0, float(2**31 - 1), float(-(2**31)), -99999.0)),
}
BANDS = ("red", "green", "blue")
NAMES = count()


@st.composite
def filled_images(draw):
    """Pixels, the range that they are measured in, and where fill values replace them."""
    dtype = draw(st.sampled_from(sorted(SCALES)))
    (low, high), likely = SCALES[dtype]
    side = draw(st.sampled_from([40, 130]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    data = rng.uniform(low, high, (3, side, side)).astype(dtype)
    fills = np.zeros((3, side, side), np.bool_)
    for value in draw(st.lists(st.sampled_from(likely), min_size=1, max_size=3, unique=True)):
        row, col = draw(st.integers(0, side - 4)), draw(st.integers(0, side - 4))
        height, width = draw(st.integers(2, side // 2)), draw(st.integers(2, side // 2))
        bands = draw(st.sampled_from([(0, 1, 2), (0, 1, 2), (0,), (1, 2)]))
        place = (list(bands), slice(row, row + height), slice(col, col + width))
        data[place], fills[place] = value, True
    assume(not fills.all(axis=(1, 2)).any())
    for band, filled in zip(data, fills, strict=True):
        # A glint of a few pixels is another matter.
        assume((np.unique(band[filled], return_counts=True)[1] >= 4).all())
    return data, (low, high), fills


def check(path, value_range, nodata=None, source_range=None):
    source = open_raster(path, nodata=nodata)
    lines = check_source(
        source,
        bands=BANDS,
        value_range=value_range,
        ground_sampling=None,
        source_range=source_range,
    )
    with source.open() as reader:
        return reader.read(0, 0, source.height, source.width)[1], lines


def advised(message):
    """The values of ``--nodata`` in a message."""
    found = re.search(r"give --nodata ([^; ]+);", message)
    return tuple(map(float, found[1].split(","))) if found else None


def follow(message, path):
    """Do what a message says about values that mean no data: the file and the option then."""
    command = re.search(r"\((gdal_calc\.py .*?COPY\.tif)\)", message)
    if command is None:
        assert advised(message) is not None, message
        return path, advised(message)
    copy = path.with_name(f"copy{next(NAMES)}.tif")
    text = command[1].replace("FILE", str(path)).replace("COPY.tif", str(copy))
    subprocess.run(f"{text} --quiet", shell=True, check=True, timeout=60)
    return copy, None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("undeclared")


def written(folder, data, nodata=None):
    path = folder / f"{next(NAMES)}.tif"
    _, height, width = data.shape
    profile = {"count": len(data), "height": height, "width": width, "dtype": data.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32632", nodata=nodata, **profile) as f:
        f.write(data)
    return path


@given(image=filled_images())
@settings(max_examples=40)
def test_the_advice_followed_to_the_letter_masks_the_fill_values_and_nothing_else(folder, image):
    data, value_range, fills = image
    path = written(folder, data)
    with pytest.raises(SourceError) as caught:
        check(path, value_range)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    # Some machines lack GDAL's programs.
    assume("gdal_calc.py" not in message or shutil.which("gdal_calc.py") is not None)
    assume(data.dtype != np.float64 or "gdal_calc.py" not in message)  # a copy is Float32
    valid, lines = check(*follow_in_order(message, path, value_range))
    np.testing.assert_array_equal(valid, ~fills.any(axis=0))
    assert not [line for line in lines if "sampled pixels" in line]


def follow_in_order(message, path, value_range):
    helped, nodata = follow(message, path)
    return helped, value_range, nodata


@given(image=filled_images())
@settings(max_examples=20)
def test_the_advice_for_measured_values_clips_them_and_still_names_them(folder, image):
    data, value_range, _ = image
    path = written(folder, data)
    with pytest.raises(
        SourceError, match=r"if they are measured, --value-range \S+ clips"
    ) as found:
        check(path, value_range)
    text = re.search(r"--value-range (\S+) clips them$", str(found.value))
    assert text is not None
    low, high = map(float, text[1].split(","))
    assert (low, high) == value_range
    valid, lines = check(path, value_range, source_range=(low, high))
    assert valid.all()
    assert any("sampled pixels" in line and "far from all others" in line for line in lines)


def test_a_declared_value_stays_one_when_another_is_found(folder):
    data = np.random.default_rng(0).uniform(0, 1, (3, 64, 64)).astype(np.float32)
    data[:, :8], data[:, 20:28] = -9999, -32768
    path = written(folder, data, nodata=-9999)
    with pytest.raises(SourceError, match="give --nodata -9999,-32768;") as caught:
        check(path, (0, 1))
    valid, _ = check(path, (0, 1), advised(str(caught.value)))
    np.testing.assert_array_equal(valid, (data >= 0).all(axis=0))


@pytest.mark.parametrize(("dtype", "fill"), [("uint16", 65_535), ("int16", -9999)])
def test_on_another_scale_range_and_nodata_are_told_apart_and_both_help(folder, dtype, fill):
    data = np.random.default_rng(0).integers(0, 4000, (3, 64, 64)).astype(dtype)
    data[:, :30] = fill
    path = written(folder, data)
    with pytest.raises(SourceError, match="like --value-range 0,4095, and if of 4,096") as caught:
        check(path, (0, 255))
    found = re.search(r"give --nodata (\S+)$", str(caught.value))
    assert found is not None
    valid, lines = check(path, (0, 255), float(found[1]), source_range=(0, 4095))
    np.testing.assert_array_equal(valid, data[0] != fill)
    assert lines == check(path, (0, 255), fill, source_range=(0, 4095))[1]
    assert not any("sampled" in line for line in lines)


@pytest.mark.parametrize("value", [1e30, -1e30, 9.0])
def test_one_pixel_that_nobody_can_have_measured_is_refused_and_the_options_help(folder, value):
    data = np.random.default_rng(0).uniform(0, 1, (3, 64, 64)).astype(np.float32)
    data[:, 5, 6] = value
    path = written(folder, data)
    if value == 9.0:
        assert check(path, (0, 1))[0].all()
        return
    said = r"of 4,096 sampled pixels 1 is \S+, far from all others; if they mean no data, "
    with pytest.raises(SourceError, match=said) as caught:
        check(path, (0, 1))
    valid, _ = check(path, (0, 1), advised(str(caught.value)))
    assert np.argwhere(~valid).tolist() == [[5, 6]]
    assert "if they are measured, --value-range 0,1 clips them" in str(caught.value)
    assert check(path, (0, 1), source_range=(0, 1))[0].all()


def test_the_place_and_the_stored_value_of_what_cannot_be_measured_are_named(make_raster):
    source = open_raster(make_raster(dtype="float32"))
    pixels, valid = np.zeros((3, 4, 5), np.float32), np.ones((4, 5), np.bool_)
    pixels[1, 2, 3] = -9999
    said = r"scene.tif: holds 1 value far .* in band 2 \(-9999\), the first at row 12, column 103; "
    with pytest.raises(SourceError, match=f"{said}.*give --nodata -9999; else --value"):
        refuse_impossible(source, pixels, valid, (0, 1), PREDICT, (10, 100))
    with pytest.raises(SourceError, match=r"set data.nodata: \[-9999\]; else clip them in a copy"):
        refuse_impossible(source, pixels, valid, (0, 1), TRAIN)
    valid[2, 3] = False
    refuse_impossible(source, pixels, valid, (0, 1), PREDICT, (10, 100))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("fill", [0, "top"])
def test_a_collar_is_warned_of_with_the_option_that_masks_it(folder, dtype, fill):
    top = np.iinfo(dtype).max
    value = top if fill == "top" else 0
    data = np.random.default_rng(0).integers(1, top, (3, 200, 300)).astype(dtype)
    rows, cols = np.indices((200, 300))
    collar = rows + cols < 120
    data[:, collar] = value
    path = written(folder, data)
    value_range = (0, 255) if dtype == "uint8" else (0, 65_535)
    valid, lines = check(path, value_range)
    assert valid.all(), "a warning changes nothing"
    (line,) = (line for line in lines if "border" in line)
    assert re.search(
        rf"\d+% of its border is {value} in all bands; .*give --nodata {value}, ", line
    )
    valid, lines = check(path, value_range, nodata=value)
    np.testing.assert_array_equal(~valid, collar)
    assert not [line for line in lines if "border" in line]


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_roofs_are_no_collars(folder, value):
    data = np.random.default_rng(0).integers(1, 255, (3, 256, 256)).astype(np.uint8)
    data[:, :60, :40] = value
    data[:, 100:180, 100:220] = value
    data[:, 200:250, 200:] = value
    assert not [line for line in check(written(folder, data), (0, 255))[1] if "border" in line]


def test_a_given_range_that_clips_much_or_holds_little_is_warned_of(folder):
    data = np.random.default_rng(0).integers(0, 4000, (3, 64, 64)).astype(np.uint16)
    path = written(folder, data)

    def lines(source_range):
        found = check(path, (0, 255), source_range=source_range)[1]
        return [line for line in found if "--value-range" in line]

    assert lines((0, 4095)) == []
    assert lines((40, 3900)) == [], "percentiles are given as well"
    (line,) = lines((0, 255))
    assert re.search(r"9\d% of its sampled values lie outside .* --value-range 0,4095$", line)
    (line,) = lines((0, 1e9))
    assert "fill next to nothing" in line
