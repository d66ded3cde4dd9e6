import itertools
import warnings
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

from geoseg.classes import ISPRS, ClassScheme
from geoseg.errors import OutputError, PartError
from geoseg.raster import (
    Part,
    class_layer,
    cog,
    confidence_layer,
    probability_layer,
    read_class_names,
    read_fingerprint,
    write_cog,
    write_part,
)
from geoseg.raster.overviews import halve_by_mean, halve_by_mode

GRID = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)
UTM = CRS.from_epsg(32632)
ISPRS_LAYER = class_layer(ISPRS)
HEIGHT, WIDTH = 1300, 1100
PLACE = {"height": HEIGHT, "width": WIDTH, "transform": GRID, "crs": UTM, "fingerprint": "0123abcd"}


def smooth_labels(height, width, count):
    rows, cols = np.mgrid[:height, :width]
    labels = ((rows // 37 + cols // 23) % count).astype(np.uint8)
    labels[:, : width // 5] = 255
    return labels


@pytest.fixture
def labels():
    return smooth_labels(HEIGHT, WIDTH, len(ISPRS))


@pytest.fixture
def cut(tmp_path):
    """Cut an array into uneven parts in no particular order."""

    def cut(data, name="part", heights=(300, 7, 500, 493), widths=(801, 299)):
        folder = tmp_path / "parts & more"
        folder.mkdir(exist_ok=True)
        parts, row = [], 0
        for height in heights:
            col = 0
            for width in widths:
                part = Part(folder / f"{name}-{row}-{col}.tif", row, col, height, width)
                write_part(part, data[..., row : row + height, col : col + width])
                parts.append(part)
                col += width
            row += height
        return parts[::-1]

    return cut


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "scene.tif"


@pytest.fixture
def check_layout(tiff_directories):
    """What makes a GeoTIFF cloud-optimized.

    Directories first, overviews in order, their tiles before the image's.
    """

    def check(path, levels, masks=False):
        content = path.read_bytes()
        _check_layout(tiff_directories(content), content, levels, masks)
        with rasterio.open(path) as file:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.compression.name == "deflate"

    return check


def _check_layout(found, content, levels, masks):
    images = [directory for directory in found if directory.kind in (0, 1)]
    assert [directory.kind for directory in images] == [0] + [1] * levels
    assert len(found) == (2 if masks else 1) * len(images)
    for larger, smaller in itertools.pairwise(images):
        assert smaller.shape == tuple(-(-side // 2) for side in larger.shape)
    assert max(images[-1].shape) <= 512
    first_tile = min(offset for directory in found for offset, _ in directory.tiles)
    assert [directory.offset for directory in found] == sorted(
        directory.offset for directory in found
    )
    assert found[-1].offset < first_tile
    for directory in found:
        assert directory.tile_shape == (512, 512)
        for offset, length in directory.tiles:
            assert 0 < offset <= offset + length <= len(content)
            # The driver repeats each tile's length before it.
            assert int.from_bytes(content[offset - 4 : offset], "little") == length
    ends = [max(offset for offset, _ in directory.tiles) for directory in images]
    assert ends == sorted(ends, reverse=True)


def test_class_raster_is_a_cog_with_palette_and_overviews_by_mode(labels, cut, out, check_layout):
    write_cog(ISPRS_LAYER, cut(labels), out, **PLACE)
    check_layout(out, levels=2)
    with rasterio.open(out) as file:
        assert (file.read(1) == labels).all()
        assert (file.dtypes, file.nodata, file.crs, file.transform) == (("uint8",), 255, UTM, GRID)
        assert file.descriptions == ("class",)
        palette = file.colormap(1)
        assert [palette[index][:3] for index in range(len(ISPRS))] == list(ISPRS.colors)
        assert palette[255][3] == 0
    with rasterio.open(out, OVERVIEW_LEVEL=1) as file:
        half = halve_by_mode(labels, labels != 255)
        assert (file.read(1) == halve_by_mode(half, half != 255)).all()
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "scene.qml",
        "scene.tif",
        "scene.tif.aux.xml",
    ]


def test_class_names_are_beside_and_inside(labels, cut, out):
    classes = ClassScheme.from_names(['<grass> & "trees"', "häuser", "a,b"])
    write_cog(class_layer(classes), cut(np.minimum(labels, 2)), out, **PLACE)
    root = ET.parse(out.with_name("scene.tif.aux.xml")).getroot()
    categories = [entry.text or "" for entry in root.iter("Category")]
    assert categories[:3] == list(classes.names)
    assert (categories[254], categories[255]) == ("uncertain", "no data")
    rows = [[cell.text or "" for cell in row.iter("F")] for row in root.iter("Row")]
    assert rows[1] == ["1", "häuser", *map(str, classes.colors[1])]
    assert [row[0] for row in rows] == ["0", "1", "2", "254"]
    usages = [
        (field.find("Name").text, field.find("Usage").text) for field in root.iter("FieldDefn")
    ]
    assert usages == [("Value", "5"), ("Class", "2"), ("Red", "6"), ("Green", "7"), ("Blue", "8")]
    assert read_class_names(out) == classes.names


def test_fingerprint_is_inside(labels, cut, out):
    write_cog(ISPRS_LAYER, cut(labels), out, **PLACE)
    out.with_name("scene.tif.aux.xml").unlink()
    assert read_fingerprint(out) == "0123abcd"


def test_what_no_part_covers_is_nodata(labels, cut, out):
    write_cog(
        ISPRS_LAYER, cut(labels)[1:], out, **PLACE
    )  # without the last 493 rows of the right 299 columns
    expected = labels.copy()
    expected[-493:, -299:] = 255
    with rasterio.open(out) as file:
        assert (file.read(1) == expected).all()


def test_confidence_is_scaled_with_overviews_by_mean(labels, cut, out, check_layout):
    codes = np.where(labels == 255, 0, 100 + 20 * labels).astype(np.uint8)
    write_cog(confidence_layer(), cut(codes), out, **PLACE)
    check_layout(out, levels=2)
    with rasterio.open(out) as file:
        assert (file.read(1) == codes).all()
        assert (file.nodata, file.offsets, file.descriptions) == (0, (0.0,), ("confidence",))
        assert file.scales[0] == pytest.approx(1 / 255)
    with rasterio.open(out, OVERVIEW_LEVEL=0) as file:
        assert (file.read(1) == halve_by_mean(codes, codes != 0)).all()


def test_probabilities_have_a_band_a_class_and_a_mask(labels, cut, out, check_layout):
    random = np.random.default_rng(0)
    classes = ClassScheme.from_names(["road", "roof", "tree"])
    codes = np.where(labels == 255, 0, random.integers(0, 256, (3, HEIGHT, WIDTH))).astype(np.uint8)
    layer = probability_layer(classes)
    write_cog(layer, cut(codes, "p"), out, valid=cut(labels), **PLACE)
    check_layout(out, levels=2, masks=True)
    with rasterio.open(out) as file:
        assert (file.read() == codes).all()
        assert ((file.read_masks(1) > 0) == (labels != 255)).all()
        assert file.descriptions == classes.names
        assert file.scales == pytest.approx([1 / 255] * 3)
        assert file.nodata is None
    with rasterio.open(out, OVERVIEW_LEVEL=0) as file:
        assert (file.read(2) == halve_by_mean(codes[1], labels != 255)).all()
        valid = labels != 255
        some = valid[::2, ::2] | valid[1::2, ::2] | valid[::2, 1::2] | valid[1::2, 1::2]
        assert ((file.read_masks(1) > 0) == some).all()


def test_bytes_do_not_depend_on_how_many_threads_make_them(labels, cut, tmp_path, monkeypatch):
    classes = ClassScheme.from_names(["road", "roof", "tree"])
    codes = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH), dtype=np.uint8)
    made = {}
    for threads in (1, 5):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        monkeypatch.setitem(cog._OPTIONS, "NUM_THREADS", threads)
        out = tmp_path / f"{threads}/scene.tif"
        write_cog(ISPRS_LAYER, cut(labels), out, **PLACE)
        probabilities = out.with_name("p.tif")
        layer = probability_layer(classes)
        write_cog(layer, cut(codes, "p"), probabilities, valid=cut(labels), **PLACE)
        made[threads] = out.read_bytes(), probabilities.read_bytes()
    assert made[1] == made[5]


@pytest.mark.parametrize(
    "grid",
    [
        Affine(0.5, 0, 500_000, 0, 0.5, 5_400_000),
        Affine.translation(500_000, 5_400_000) @ Affine.rotation(20) @ Affine.scale(0.5, -0.5),
    ],
)
def test_south_up_and_rotated_grids_survive(cut, out, grid):
    labels = smooth_labels(64, 90, 3)
    place = {**PLACE, "height": 64, "width": 90, "transform": grid}
    write_cog(ISPRS_LAYER, cut(labels, heights=(64,), widths=(90,)), out, **place)
    with rasterio.open(out) as file:
        assert file.transform.almost_equals(grid, precision=1e-9)
        assert (file.read(1) == labels).all()


@pytest.mark.parametrize("code", [32632, 3857, 4326, 2056, 2263, 7415])
def test_coordinate_systems_survive_with_their_axes(cut, out, code):
    labels = smooth_labels(64, 90, 3)
    place = {**PLACE, "height": 64, "width": 90, "transform": from_origin(10.0, 50.0, 0.001, 0.001)}
    write_cog(
        ISPRS_LAYER,
        cut(labels, heights=(64,), widths=(90,)),
        out,
        **{**place, "crs": CRS.from_epsg(code)},
    )
    with rasterio.open(out) as file:
        assert file.crs == CRS.from_epsg(code)
        assert file.transform.almost_equals(from_origin(10.0, 50.0, 0.001, 0.001))


def test_without_georeferencing_there_is_none_and_no_warning(cut, out):
    labels = smooth_labels(64, 90, 3)
    place = {**PLACE, "height": 64, "width": 90, "transform": Affine.identity(), "crs": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        write_cog(ISPRS_LAYER, cut(labels, heights=(64,), widths=(90,)), out, **place)
    assert not caught
    with rasterio.open(out) as file:
        assert file.crs is None
        assert file.transform.is_identity


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 1500), (1025, 1), (512, 512), (513, 512)]
)
def test_odd_sizes(cut, out, height, width):
    labels = smooth_labels(height, width, 3)
    write_cog(
        ISPRS_LAYER,
        cut(labels, heights=(height,), widths=(width,)),
        out,
        **{**PLACE, "height": height, "width": width},
    )
    with rasterio.open(out) as file:
        assert (file.read(1) == labels).all()


def test_more_parts_than_files_can_be_open(tmp_path, out):
    # 33 x 33: systems usually allow 1,024 open files.
    tile = smooth_labels(16, 16, 6)
    parts = [
        Part(tmp_path / f"{row}-{col}.tif", row, col, 16, 16)
        for row in range(0, 528, 16)
        for col in range(0, 528, 16)
    ]
    for part in parts:
        write_part(part, tile)
    write_cog(ISPRS_LAYER, parts, out, **{**PLACE, "height": 528, "width": 528})
    with rasterio.open(out) as file:
        assert (file.read(1) == np.tile(tile, (33, 33))).all()


def test_output_has_nothing_of_the_source_profile(make_raster, cut, out):
    """A profile copied from a JPEG source would make the classes lossy, or fail."""
    source = make_raster(
        height=HEIGHT, width=WIDTH, compress="jpeg", photometric="YCBCR", tiled=True
    )
    labels = smooth_labels(HEIGHT, WIDTH, 6)
    with rasterio.open(source) as file:
        write_cog(
            ISPRS_LAYER,
            cut(labels),
            out,
            **{**PLACE, "transform": file.transform, "crs": file.crs},
        )
    with rasterio.open(out) as file:
        assert (file.read(1) == labels).all()
        assert file.photometric is None or file.photometric.name != "ycbcr"


def test_an_older_output_is_replaced(labels, cut, out):
    parts = cut(labels)
    write_cog(ISPRS_LAYER, parts, out, **PLACE)
    write_cog(ISPRS_LAYER, parts, out, **{**PLACE, "fingerprint": "new"})
    assert read_fingerprint(out) == "new"


def test_a_full_disk_is_reported_before_work_and_leaves_nothing(labels, cut, out, monkeypatch):
    parts = cut(labels)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(
        OutputError, match=r"scene\.tif: needs about \d+\.\d MB, 0\.0 MB are free; free the disk"
    ):
        write_cog(ISPRS_LAYER, parts, out, **PLACE)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(("short", "refused"), [(0, False), (1, True)])
def test_three_quarters_more_than_the_parts_must_be_free(cut, out, monkeypatch, short, refused):
    labels = np.random.default_rng(0).integers(0, 6, (64, 90)).astype(np.uint8)
    parts = cut(labels, heights=(64,), widths=(50, 40))
    needed = sum(part.path.stat().st_size for part in parts) * 7 // 4
    usage = type("Usage", (), {"free": needed - short})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    place = {**PLACE, "height": 64, "width": 90}
    if refused:
        with pytest.raises(OutputError, match="needs about"):
            write_cog(ISPRS_LAYER, parts, out, **place)
    else:
        write_cog(ISPRS_LAYER, parts, out, **place)


def test_a_file_that_lost_its_end_never_appears(labels, cut, out, monkeypatch):
    parts = cut(labels)
    original = rasterio.shutil.copy

    def lossy(source, target, **options):
        original(source, target, **options)
        Path(target).write_bytes(Path(target).read_bytes()[:-100])

    monkeypatch.setattr("rasterio.shutil.copy", lossy)
    with pytest.raises(
        OutputError, match="could not be written whole; free the disk or choose another --out"
    ):
        write_cog(ISPRS_LAYER, parts, out, **PLACE)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("damage", ["missing", "cut short", "other pixels"])
def test_a_damaged_part_is_named(labels, cut, out, damage):
    parts = cut(labels)
    if damage == "missing":
        parts[2].path.unlink()
    elif damage == "cut short":
        parts[2].path.write_bytes(parts[2].path.read_bytes()[:500])
    else:
        with rasterio.open(parts[2].path, "r+") as file:
            file.write(1 + file.read())
    with pytest.raises(PartError, match=rf"{parts[2].path.name}: this part .* damaged"):
        write_cog(ISPRS_LAYER, parts, out, **PLACE)
    assert not list(out.parent.iterdir())


def test_values_are_counted(labels, cut, out):
    labels[3:9, 1050:] = 254
    counts = write_cog(ISPRS_LAYER, cut(labels)[1:], out, **PLACE)
    with rasterio.open(out) as file:
        assert (counts == np.bincount(file.read(1).ravel(), minlength=256)).all()
