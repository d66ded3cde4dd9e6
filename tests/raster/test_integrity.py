import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoseg.errors import SourceError
from geoseg.raster.integrity import is_whole_cog, refuse_cut_short

TILED = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}


def check(path):
    with rasterio.open(path) as file:
        refuse_cut_short(path, file)


@pytest.mark.parametrize("profile", [{}, TILED, {**TILED, "interleave": "band"}])
@pytest.mark.parametrize(("height", "width"), [(64, 80), (65, 81), (63, 79)])
def test_a_whole_tiff_passes_and_one_without_its_last_byte_is_refused(
    make_raster, profile, height, width
):
    path = make_raster(height=height, width=width, **profile)
    check(path)
    content = path.read_bytes()
    with rasterio.open(path) as file:
        rows, cols = file.block_shapes[-1]
        last = f"{(width - 1) // cols}_{(height - 1) // rows}"
        place = {"dm": "TIFF", "bidx": file.count}
        offset = int(file.get_tag_item(f"BLOCK_OFFSET_{last}", **place))
        end = offset + int(file.get_tag_item(f"BLOCK_SIZE_{last}", **place))
    path.write_bytes(content[: end - 1])
    said = rf"cut short \({end - 1} bytes, its last block ends at {end}\); copy or export it again"
    with pytest.raises(SourceError, match=said):
        check(path)
    path.write_bytes(content[:end])
    check(path)


def test_a_sparse_tiff_is_whole(tmp_path):
    path = tmp_path / "sparse.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "sparse_ok": True}
    with rasterio.open(path, "w", height=64, width=64, **TILED, **profile):
        pass
    check(path)


def test_a_jpeg_needs_its_end_mark_after_the_pixels(make_raster):
    path = make_raster("a.jpg", driver="JPEG", crs=None, transform=None)
    whole, thumbnail = path.read_bytes(), b"\xff\xd8 thumbnail \xff\xd9"
    header = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    path.write_bytes(whole[:2] + header + whole[2:] + b"what some cameras append")
    check(path)
    path.write_bytes(whole[:2] + header + whole[2:-2])
    with pytest.raises(SourceError, match=r"its end mark is missing\); copy or export it again"):
        check(path)


@pytest.fixture
def cog(make_raster, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1, 300, 200), np.uint8)
    path = tmp_path / "cog.tif"
    source = str(make_raster(data=noise))
    rasterio.shutil.copy(source, str(path), driver="COG", BLOCKSIZE=128, COMPRESS="DEFLATE")
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
    return path


def test_a_cog_is_whole_until_a_tile_reaches_beyond_its_end(cog):
    assert is_whole_cog(cog, 128)
    whole = cog.read_bytes()
    for keep in (len(whole) - 5, int(0.9 * len(whole)), len(whole) // 2):
        cog.write_bytes(whole[:keep])
        assert not is_whole_cog(cog, 128)


@pytest.mark.parametrize(("level", "tile"), [(0, 0), (0, 5), (1, 1), (2, 0)])
def test_a_cog_without_a_tile_is_not_whole(cog, tiff_directories, level, tile):
    content = bytearray(cog.read_bytes())
    offset, length = tiff_directories(bytes(content))[level].tiles[tile]
    for number in (offset, length):
        at = content.index(number.to_bytes(4, "little"))
        content[at : at + 4] = bytes(4)
    cog.write_bytes(content)
    assert not is_whole_cog(cog, 128)


def test_a_cog_with_half_a_sidecar_is_not_whole(cog):
    sidecar = cog.with_name("cog.tif.aux.xml")
    sidecar.write_text("<PAMDataset></PAMDataset>\n")
    assert is_whole_cog(cog, 128)
    sidecar.write_text("<PAMDataset></PAMDatas")
    assert not is_whole_cog(cog, 128)


def test_a_file_that_is_not_a_raster_is_not_whole(tmp_path):
    (tmp_path / "a.tif").write_text("no raster")
    assert not is_whole_cog(tmp_path / "a.tif", 128)
