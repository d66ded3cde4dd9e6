import numpy as np
import pytest
import rasterio
from matplotlib.image import imread

from geoseg.classes import ClassScheme
from geoseg.errors import OutputError, SourceError
from geoseg.raster import open_raster, read_fingerprint, write_preview
from geoseg.raster.gdal import open_dataset
from geoseg.raster.preview import _decimated, imagery_picture, legend_of

CLASSES = ClassScheme.from_names(
    ["road", "roof", "$tree$", "water"], [[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]
)
SHOWN = {
    "road": (255, 0, 0),
    "$tree$": (0, 0, 255),
    "uncertain": (128, 128, 128),
    "no data": (217, 217, 217),
}


@pytest.fixture
def labels(make_raster):
    """Four stripes: road, tree, uncertain, no data; roof and water do not occur."""
    data = np.repeat(np.array([0, 2, 254, 255], np.uint8), 20)[None, None].repeat(64, axis=1)
    return make_raster("labels.tif", data=data, nodata=255)


def test_the_picture_shows_each_class_in_its_colour_pixel_by_pixel(labels, tmp_path):
    write_preview(labels, tmp_path / "preview.png", classes=CLASSES, fingerprint="k")
    picture = (imread(tmp_path / "preview.png")[..., :3] * 255).round().astype(int)
    for color in SHOWN.values():
        assert (picture == color).all(axis=-1).sum() >= 64 * 20


def test_the_legend_names_what_is_shown(labels):
    with rasterio.open(labels) as file:
        assert dict(legend_of(file.read(1), CLASSES)) == SHOWN


def test_imagery_is_beside_the_classes(labels, make_raster, tmp_path):
    source = open_raster(make_raster())
    write_preview(labels, tmp_path / "alone.png", classes=CLASSES, fingerprint="k")
    write_preview(labels, tmp_path / "both.png", classes=CLASSES, fingerprint="k", source=source)
    picture = (imread(tmp_path / "both.png")[..., :3] * 255).round().astype(int)
    with rasterio.open(source.path) as file:
        first = np.moveaxis(file.read(), 0, -1)
    row, col = next(
        (row, col)
        for row in range(picture.shape[0] - 64)
        for col in range(picture.shape[1] - 80)
        if (picture[row, col] == first[0, 0]).all()
        and (picture[row : row + 64, col : col + 80] == first).all()
    )
    assert (picture[row, col + 90] == CLASSES.colors[0]).all()  # ten pixels between the panels


@pytest.mark.parametrize(
    ("height", "width", "both", "size"),
    [
        # A line for the title, the panel, a line for each row of the legend and one of margin.
        (64, 80, False, (24 + 64 + 24 * 3, 340)),
        (64, 80, True, (24 + 64 + 24 * 3, 340)),
        (50, 700, False, (24 + 50 + 24 * 2, 10 + 700 + 10)),
        (50, 700, True, (24 + 50 + 24 * 2, 10 + 700 + 10 + 700 + 10)),
    ],
)
def test_the_picture_is_as_large_as_panels_margins_and_legend(
    make_raster, tmp_path, height, width, both, size
):
    data = np.tile(np.array([0, 2, 254, 255], np.uint8), (1, height, width // 4))
    raster = make_raster("labels.tif", data=data, nodata=255)
    source = open_raster(make_raster(height=height, width=width)) if both else None
    out = tmp_path / "a.png"
    write_preview(raster, out, classes=CLASSES, fingerprint="k", source=source)
    assert imread(out).shape[:2] == size


@pytest.mark.parametrize(("both", "side"), [(False, 1600), (True, 800)])
def test_large_rasters_are_reduced_to_1600_pixels_in_all(make_raster, tmp_path, both, side):
    raster = make_raster("labels.tif", data=np.zeros((1, 20, 1601), np.uint8))
    source = open_raster(make_raster(height=20, width=1601)) if both else None
    out = tmp_path / "a.png"
    write_preview(raster, out, classes=CLASSES, fingerprint="k", source=source)
    step = -(-1601 // side)
    panel = -(-1601 // step)
    assert imread(out).shape[1] == (2 if both else 1) * (panel + 10) + 10


def test_panels_are_of_one_size_and_place_where_one_raster_has_overviews(make_raster, tmp_path):
    halves = np.repeat([0, 2], (1025, 1023)).astype(np.uint8)
    raster = make_raster("labels.tif", data=np.tile(halves, (1, 60, 1)))
    with rasterio.open(raster, "r+") as file:
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    imagery = np.tile(halves * 100, (3, 60, 1))
    source = open_raster(make_raster(data=imagery))
    out = tmp_path / "a.png"
    write_preview(raster, out, classes=CLASSES, fingerprint="k", source=source)
    picture = imread(out)
    panel = -(-2048 // 3)
    assert picture.shape[1] == 2 * (panel + 10) + 10
    left, right = (
        (picture[30, start : start + panel] != picture[30, start]).any(-1).argmax()
        for start in (10, panel + 20)
    )
    assert left == -(-1025 // 3)
    assert abs(int(right) - int(left)) <= 1


def test_an_unknown_class_is_named_by_its_number():
    assert legend_of(np.array([[9]], np.uint8), CLASSES)[0][0] == "unknown class 9"


def test_the_picture_is_known_as_geosegs_own(labels, tmp_path):
    write_preview(labels, tmp_path / "a.png", classes=CLASSES, fingerprint="abc")
    assert read_fingerprint(tmp_path / "a.png") == "abc"


def test_named_bands_give_true_colour_in_any_order(make_raster):
    path = make_raster(bands=4, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("nir", "blue", "green", "red")
        data = file.read()
    assert (imagery_picture(open_raster(path))[0] == np.moveaxis(data[[3, 2, 1]], 0, -1)).all()


@pytest.mark.parametrize(
    ("bands", "shown"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (4, [0, 1, 2])]
)
def test_other_imagery_shows_its_first_bands_as_they_are(make_raster, bands, shown):
    path = make_raster(bands=bands, photometric="MINISBLACK")
    with rasterio.open(path) as file:
        assert (
            imagery_picture(open_raster(path))[0] == np.moveaxis(file.read()[shown], 0, -1)
        ).all()


def test_wide_values_are_stretched_and_invalid_ones_grey(make_raster):
    data = np.linspace(0, 4000, 3 * 64 * 80).reshape(3, 64, 80).astype(np.float32)
    data[:, :5] = np.nan
    picture = imagery_picture(open_raster(make_raster(data=data)))[0]
    assert (picture[:5] == 217).all()
    assert (picture[5:].min(), picture[5:].max()) == (0, 255)


def test_the_middle_96_percent_of_the_values_are_spread_over_the_greys(make_raster):
    data = np.random.default_rng(0).integers(0, 5000, (3, 64, 80)).astype(np.uint16)
    low, high = np.percentile(data, (2, 98))
    expected = (np.clip((data - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    assert (
        imagery_picture(open_raster(make_raster(data=data)))[0] == np.moveaxis(expected, 0, -1)
    ).all()


def test_differences_of_a_billionth_are_stretched_too(make_raster):
    data = np.linspace(0, 1.3e-9, 3 * 64 * 80).reshape(3, 64, 80)
    picture = imagery_picture(open_raster(make_raster(data=data)))[0]
    assert (picture.min(), picture.max()) == (0, 255)


def test_one_value_everywhere_is_black(make_raster):
    assert (
        imagery_picture(open_raster(make_raster(data=np.full((3, 8, 8), 7, np.uint16))))[0] == 0
    ).all()


def test_nothing_valid_is_all_grey(make_raster):
    assert (
        imagery_picture(open_raster(make_raster(data=np.full((3, 8, 8), np.nan, np.float32))))[0]
        == 217
    ).all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1300, 40), (64, 3000), (1601, 1601)])
def test_every_nth_pixel_is_taken(make_raster, height, width):
    path = make_raster(bands=1, height=height, width=width)
    pixels, valid = _decimated(open_raster(path), 800)
    step = -(-max(height, width) // 800)
    with rasterio.open(path) as file:
        assert (pixels == file.read()[:, ::step, ::step]).all()
    assert valid.shape == pixels.shape[1:]


def test_overviews_are_used_where_they_are_large_enough(make_raster):
    path = make_raster(bands=1, height=1000, width=900, tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    with rasterio.open(path, OVERVIEW_LEVEL=0) as file:
        assert (_decimated(open_raster(path), 500)[0] == file.read()).all()
    with rasterio.open(path) as file:
        assert (_decimated(open_raster(path), 501)[0] == file.read()[:, ::2, ::2]).all()


def test_the_smallest_overview_that_is_large_enough_is_read_and_all_are_closed(
    make_raster, monkeypatch
):
    path = make_raster(bands=1, height=1000, width=900, tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    source, opened = open_raster(path), []

    def noted(*args, **options):
        opened.append(open_dataset(*args, **options))
        return opened[-1]

    monkeypatch.setattr("geoseg.raster.reader.open_dataset", noted)
    with rasterio.open(path, OVERVIEW_LEVEL=1) as file:
        assert (_decimated(source, 250)[0] == file.read()).all()
    _decimated(source, 400)
    assert len(opened) == 2 + 3
    assert all(file.closed for file in opened)


@pytest.mark.parametrize("names", [("blue", "green", "red"), ("green", "red", "blue")])
def test_three_named_bands_give_true_colour_in_any_order(make_raster, names):
    path = make_raster(photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
        data = file.read()
    shown = [names.index(name) for name in ("red", "green", "blue")]
    assert (imagery_picture(open_raster(path))[0] == np.moveaxis(data[shown], 0, -1)).all()


def test_a_folder_that_cannot_be_written_is_reported(labels, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        OutputError,
        match=r"p\.png: cannot be .*file is a file, not a folder\); choose another --out",
    ):
        write_preview(labels, tmp_path / "file" / "p.png", classes=CLASSES, fingerprint="k")


def test_a_missing_raster_is_reported(tmp_path):
    with pytest.raises(SourceError, match="no such file"):
        write_preview(tmp_path / "none.tif", tmp_path / "p.png", classes=CLASSES, fingerprint="k")
