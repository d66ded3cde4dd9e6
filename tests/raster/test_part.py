import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError
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
    said = r"a\.tif: cannot be written .*; free the disk or choose another --out"
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
