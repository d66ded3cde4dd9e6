import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError, PartError
from geoseg.raster import Part, part_is_whole, read_part, write_part


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 6, (3, 600, 700), dtype=np.uint8)


def test_what_was_written_is_read(tmp_path, data):
    part = Part(tmp_path / "a.tif", 10, 20, 600, 700)
    write_part(part, data)
    assert (read_part(part) == data).all()
    assert part_is_whole(part, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_part_is_a_tiled_and_compressed_geotiff_that_warns_of_nothing(tmp_path, data):
    part = Part(tmp_path / "a.tif", 10, 20, 600, 700)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_part(part, data)
        with rasterio.open(part.path) as file:
            assert file.block_shapes == [(512, 512)] * 3
            assert (file.compression.name, file.interleaving.name) == ("zstd", "band")
            assert file.dtypes == ("uint8",) * 3
            assert (file.read() == data).all()


@pytest.mark.parametrize(
    ("size", "tile"), [((64, 64), (64, 64)), ((1, 700), (16, 512)), ((600, 17), (512, 32))]
)
def test_a_part_smaller_than_a_tile_is_stored_in_a_smaller_one(tmp_path, data, size, tile):
    part = Part(tmp_path / "a.tif", 0, 0, *size)
    write_part(part, data[0, : size[0], : size[1]])
    with rasterio.open(part.path) as file:
        assert file.block_shapes == [tile]
        assert (file.read(1) == data[0, : size[0], : size[1]]).all()


def test_one_band_needs_no_axis(tmp_path, data):
    part = Part(tmp_path / "a.tif", 0, 0, 1, 700)
    write_part(part, data[0, :1])
    assert (read_part(part) == data[:1, :1]).all()


def test_a_part_replaces_an_older_one(tmp_path, data):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)
    write_part(part, data)
    write_part(part, data[0])
    assert part_is_whole(part, 1)


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.999])
def test_a_part_cut_short_is_not_whole(tmp_path, data, keep):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)
    write_part(part, data)
    content = part.path.read_bytes()
    part.path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    assert not part_is_whole(part, 3)


def test_a_part_with_a_hole_is_not_whole(tmp_path, data):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)
    write_part(part, data)
    content = bytearray(part.path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    part.path.write_bytes(content)
    assert not part_is_whole(part, 3)


def test_missing_parts_and_parts_of_another_shape_are_not_whole(tmp_path, data):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)
    assert not part_is_whole(part, 3)
    write_part(part, data)
    assert not part_is_whole(part, 1)
    assert not part_is_whole(Part(part.path, 0, 0, 600, 699), 3)


def test_data_of_another_shape_is_a_mistake(tmp_path, data):
    with pytest.raises(ValueError, match="for a part of 5 x 6 pixels"):
        write_part(Part(tmp_path / "a.tif", 0, 0, 5, 6), data)


def test_a_folder_that_cannot_be_made_is_named(tmp_path, data):
    (tmp_path / "none").touch()
    said = r"a\.tif: cannot be written .*none is a file, not a folder\); choose another --out"
    with pytest.raises(OutputError, match=said):
        write_part(Part(tmp_path / "none" / "a.tif", 0, 0, 600, 700), data)


def test_a_part_is_built_under_another_name_and_moved_when_it_is_complete(
    tmp_path, data, monkeypatch
):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)
    seen = []
    write_bytes = Path.write_bytes

    def noted(path, content):
        write_bytes(path, content)
        seen.append((path == part.path, part.path.exists()))

    monkeypatch.setattr(Path, "write_bytes", noted)
    write_part(part, data)
    assert seen == [(False, False)]


def test_a_full_disk_leaves_no_part(tmp_path, data, monkeypatch):
    part = Part(tmp_path / "a.tif", 0, 0, 600, 700)

    def full(path, content):
        with path.open("wb") as stream:
            stream.write(content[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_part(part, data)
    assert not list(tmp_path.iterdir())


def wanted(path):
    return Part(path, 10, 20, 60, 70, "0123456789abcdef")


@pytest.mark.parametrize(
    "change", [{"row": 11}, {"col": 0}, {"key": ""}, {"key": "fedcba9876543210"}, {"height": 59}]
)
def test_a_part_of_another_place_or_run_is_never_taken_for_the_one_wanted(tmp_path, data, change):
    part = replace(wanted(tmp_path / "a.tif"), **change)
    write_part(part, data[:, : part.height, : part.width])
    assert part_is_whole(part, 3)
    asked = wanted(part.path)
    assert not part_is_whole(asked, 3)
    with pytest.raises(PartError, match=r"a\.tif: this part .* another run's; run the command"):
        read_part(asked)


def test_a_part_under_another_ones_name_is_not_taken_for_it(tmp_path, data):
    part = wanted(tmp_path / "0000-00001-confidence.tif")
    write_part(part, data[0, :60, :70])
    other = part.path.rename(tmp_path / "0000-00001-classes.tif")
    with pytest.raises(PartError, match="another run's"):
        read_part(wanted(other))


def test_a_missing_or_unreadable_part_is_named_with_what_to_do(tmp_path):
    for content in (None, b"", b"not a raster"):
        if content is not None:
            (tmp_path / "a.tif").write_bytes(content)
        with pytest.raises(PartError, match=r"a\.tif: this part .* missing, .* run the command"):
            read_part(wanted(tmp_path / "a.tif"))


def test_pixels_that_do_not_have_their_checksum_are_not_read(tmp_path, data):
    part = wanted(tmp_path / "a.tif")
    write_part(part, data[0, :60, :70])
    with rasterio.open(part.path, "r+") as file:
        file.write(1 - np.minimum(data[:1, :60, :70], 1))
    assert not part_is_whole(part, 1)
    with pytest.raises(PartError, match="damaged"):
        read_part(part)


# rasterio fails to log GDAL's words where they quote damaged bytes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("flips", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_flipped_bit_never_gives_other_pixels(tmp_path, flips, bands):
    """Most flips in pixels of few classes decode without an error; a third lie in the header."""
    rng = np.random.default_rng(flips)
    data = np.kron(rng.integers(0, 6, (bands, 6, 7), dtype=np.uint8), np.ones((10, 10), np.uint8))
    part = wanted(tmp_path / "a.tif")
    write_part(part, data)
    content = part.path.read_bytes()
    whole = 0
    for position in rng.integers(0, 8 * len(content), flips):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        part.path.write_bytes(flipped)
        if part_is_whole(part, bands):
            whole += 1
            np.testing.assert_array_equal(read_part(part), data)
    assert whole < flips
