from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.features import shapes
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.warp import transform_geom
from sklearn import metrics as oracle

import geoseg
from geoseg.classes import ISPRS, ClassScheme
from geoseg.cli import cli
from geoseg.commands.evaluate import run
from geoseg.commands.judge import Rules, check_pair, judge
from geoseg.errors import ConfigError, OutputError
from geoseg.metrics import erode, scale_iou
from geoseg.raster.cog import CLASSES_TAG

Make = Callable[..., Path]

SHAPE = (64, 80)
NAMES = ISPRS.names


def blocky(seed: int, values: list[int], side: int = 8) -> np.ndarray:
    """Labels in squares, so that they have insides and borders."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array(values, np.uint8), (SHAPE[0] // side, SHAPE[1] // side))
    return np.kron(coarse, np.ones((side, side), np.uint8))


@pytest.fixture
def reference() -> np.ndarray:
    return blocky(1, [0, 1, 2, 3, 5, 255])


@pytest.fixture
def predicted(reference: np.ndarray) -> np.ndarray:
    """The reference moved a little, with noise, codes and a class that the reference never shows."""
    rng = np.random.default_rng(2)
    moved = np.where(reference == 255, 0, np.roll(reference, (2, 1), (0, 1)))
    noise = rng.choice(np.array([0, 1, 2, 4, 254, 255], np.uint8), SHAPE)
    return np.where(rng.random(SHAPE) < 0.1, noise, moved).astype(np.uint8)


@pytest.fixture
def make(make_raster: Make) -> Make:
    """A factory of one-band rasters: ``make("pred/a_classes.tif", labels)``."""

    def make_one(name: str, labels: np.ndarray, **profile: object) -> Path:
        return make_raster(name, data=labels[None] if labels.ndim == 2 else labels, **profile)

    return make_one


@pytest.fixture
def pair(make: Make, predicted: np.ndarray, reference: np.ndarray) -> tuple[Path, Path]:
    return make("a_classes.tif", predicted), make("a_label.tif", reference)


def test_figures_equal_a_plain_loop_and_scikit_learn(
    pair: tuple[Path, Path], predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    report = run(*pair, "isprs", tmp_path / "out")
    data = json.loads((tmp_path / "out/metrics.json").read_text())
    assert data == report.data
    assert report.exit_code == 0
    matrix, missed = np.zeros((6, 6), int), np.zeros(6, int)
    for actual, guess in zip(reference.flat, predicted.flat, strict=True):
        if actual != 255 and guess < 254:
            matrix[actual, guess] += 1
        elif actual != 255:
            missed[actual] += 1
    assert data["confusion_matrix"] == matrix.tolist()
    assert data["missed"] == missed.tolist()

    labelled = reference != 255
    actual, guess = reference[labelled], np.where(predicted >= 254, 6, predicted)[labelled]
    assert oracle.confusion_matrix(actual, guess, labels=range(7))[:6, :6].tolist() == data["confusion_matrix"]
    shown = [NAMES[index] for index in np.unique(actual)]
    jaccard = oracle.jaccard_score(actual, guess, labels=np.unique(actual), average=None)
    f1 = oracle.f1_score(actual, guess, labels=np.unique(actual), average=None)
    assert [data["iou"][name] for name in shown] == pytest.approx(jaccard)
    assert [data["f1"][name] for name in shown] == pytest.approx(f1)
    assert data["mean_iou"] == pytest.approx(jaccard.mean())
    assert data["mean_f1"] == pytest.approx(f1.mean())
    assert data["overall_accuracy"] == pytest.approx(oracle.accuracy_score(actual, guess))
    assert data["kappa"] == pytest.approx(oracle.cohen_kappa_score(actual, guess))
    assert data["absent_classes"] == ["car"]
    assert data["iou"]["car"] == 0
    assert (data["protocol"], data["erode"]) == ("plain", 0)


@pytest.mark.skipif("GEOSEG_DATA" not in os.environ, reason="needs $GEOSEG_DATA")
def test_figures_on_real_labels_equal_scikit_learn(make: Make, tmp_path: Path) -> None:
    folder = Path(os.environ["GEOSEG_DATA"]) / "isprs_vaihingen"
    (label,) = folder.glob("*_label_isprs_colours.png")
    (index,) = folder.glob("*_label_index.png")
    with rasterio.open(index) as file:
        values = file.read(1)
    guess = np.roll(np.where(values == 0, 0, values.astype(int) - 1), (4, 3), (0, 1)).astype(np.uint8)
    place = {"crs": None, "transform": None}
    data = run(make("a.tif", guess, **place), label, "isprs", tmp_path / "out", protocol="isprs-geoseg", erode=0).data
    known = values > 0
    counts = oracle.confusion_matrix(values[known] - 1, guess[known], labels=range(6))
    assert data["confusion_matrix"] == counts.tolist()
    shown = np.unique(values[known] - 1)
    scores = oracle.jaccard_score(values[known] - 1, guess[known], labels=shown[shown != 5], average="macro")
    assert data["mean_iou"] == pytest.approx(scores)


def test_the_protocol_erodes_and_says_what_enters(
    pair: tuple[Path, Path], predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    data = run(*pair, "isprs", tmp_path / "out", protocol="isprs-geoseg").data
    eroded = erode(reference, 3)
    present = [index for index in range(5) if (eroded == index).any()]
    hits = [
        ((eroded == i) & (predicted == i)).sum() / ((eroded == i) | ((predicted == i) & (eroded != 255))).sum()
        for i in present
    ]
    assert data["mean_iou"] == pytest.approx(np.mean(hits))
    assert data["pixels"] == (eroded != 255).sum()
    assert data["classes_in_mean"] == [NAMES[index] for index in present]
    assert data["overall_accuracy"] == pytest.approx((eroded == predicted)[eroded != 255].mean())
    assert run(*pair, "isprs", tmp_path / "out", erode=3).data["pixels"] == data["pixels"]


@pytest.mark.parametrize("rows", [1, 2, 5, 17, 63])
def test_strips_change_nothing(pair: tuple[Path, Path], make: Make, rows: int) -> None:
    numbers = np.kron(np.arange(80).reshape(8, 10), np.ones((8, 8), int)).astype(np.int32)
    objects = make("a_instances.tif", numbers)
    rules = Rules(ISPRS, 3, False, 2, False)
    candidate = check_pair("a", *pair, objects, rules)
    whole, strips = judge(candidate, rules), judge(candidate, rules, rows * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)
    np.testing.assert_array_equal(strips.confusion.missed, whole.confusion.missed)
    np.testing.assert_array_equal(strips.boundary.f1, whole.boundary.f1)
    np.testing.assert_array_equal(strips.wrong, whole.wrong)
    assert strips.objects is not None
    assert whole.objects is not None
    np.testing.assert_array_equal(strips.objects.iou, whole.objects.iou)
    assert whole.objects.iou.size > 50


def test_a_reference_in_colours_is_judged_as_one_in_ids(
    pair: tuple[Path, Path], make: Make, reference: np.ndarray, tmp_path: Path
) -> None:
    colors = make("b_label.tif", ISPRS.colors_from_ids(reference))
    by_color = run(pair[0], colors, ISPRS, tmp_path / "out").data
    assert by_color["confusion_matrix"] == run(*pair, ISPRS, tmp_path / "out").data["confusion_matrix"]


def test_folders_are_paired_by_tile_and_add_up(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    for tile, part in {"2_9": slice(0, 32), "2_10": slice(32, 64)}.items():
        make(f"pred/deep/top_{tile}_RGB_classes.tif", predicted[part])
        make(f"ref/top_{tile}_label.tif", reference[part])
    make("pred/deep/top_2_9_RGB_confidence.tif", predicted)
    data = run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out").data
    whole = run(make("x.tif", predicted), make("y.tif", reference), "isprs", tmp_path / "out").data
    assert data["confusion_matrix"] == whole["confusion_matrix"]
    assert [entry["tile"] for entry in data["files"]] == ["top_2_10", "top_2_9"]


def test_what_fails_is_named_and_the_others_are_judged(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    for tile in "abcdef":
        make(f"pred/{tile}_classes.tif", predicted)
    make("ref/a_label.tif", reference)
    make("ref/b_label.tif", reference[:32])
    make("ref/c_label.tif", np.where(reference == 3, 77, reference).astype(np.uint8))
    strange = ISPRS.colors_from_ids(reference)
    strange[:, 5, 5:9] = 17
    make("ref/d_label.tif", strange)
    damaged = make("ref/e_label.tif", reference, compress="deflate", tiled=True, blockxsize=16, blockysize=16)
    content = bytearray(damaged.read_bytes())
    with rasterio.open(damaged) as file:
        first = int(file.get_tag_item("BLOCK_OFFSET_2_2", "TIFF", bidx=1))
    content[first : first + 12] = b"damaged data"
    damaged.write_bytes(content)
    make("ref/g_label.tif", reference)
    report = run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out")
    lines = "\n".join(report.data["failures"])
    assert report.exit_code == 1
    assert [entry["tile"] for entry in report.data["files"]] == ["a"]
    assert len(report.data["failures"]) == 6
    for message in (
        r"b_classes.tif: 64 x 80 pixels of 0.5 .* do not lie on the grid of .*b_label.tif \(32 x 80 .*--resample",
        r"c_label.tif: rows 0 to 63 hold value 77 \(\d+ pixels\), which is no class's and not ignored",
        r"d_label.tif: rows 0 to 63 hold colour 17,17,17 \(4 pixels\).* give a classes file with all colours",
        r"e_label.tif: rows 0 to 63, columns 0 to 79 cannot be read .*; the file is damaged",
        r"f_classes.tif: no reference for tile f under .*; add it or leave the tile out",
        r"g_label.tif: no prediction for tile g under",
    ):
        assert re.search(message, lines), message
    alone = run(tmp_path / "pred/a_classes.tif", tmp_path / "ref/a_label.tif", "isprs", tmp_path / "alone").data
    assert report.data["confusion_matrix"] == alone["confusion_matrix"]


def test_nothing_usable_is_an_error(make: Make, predicted: np.ndarray, tmp_path: Path) -> None:
    one = make("pred/a_classes.tif", predicted)
    with pytest.raises(ConfigError, match="no rasters there; give a file, a folder, or a pattern"):
        run(one, tmp_path / "nothing", "isprs", tmp_path / "out")
    make("ref/b_label.tif", predicted)
    with pytest.raises(ConfigError, match="no reference for tile a"):
        run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out")
    assert not (tmp_path / "out/metrics.json").exists()


def test_other_classes_than_the_predictions_are_refused(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    truth = make("label.tif", np.zeros(SHAPE, np.uint8))
    guess = make("classes.tif", predicted)
    with pytest.raises(ConfigError, match=r"holds class id 5, there are 2 classes \(0 to 1\); give the --classes"):
        run(guess, truth, ["road", "roof"], tmp_path / "out")
    for names, message in (
        (["road", "roof", "tree"], r"was made with 3 classes \(road, roof, tree\), 2 are given \(roof, road\); give"),
        (["road", "roof"], "the same in another order; order the classes file"),
    ):
        with rasterio.open(guess, "r+") as file:
            file.update_tags(**{CLASSES_TAG: json.dumps(names)})
        with pytest.raises(ConfigError, match=message):
            run(guess, truth, ["roof", "road"], tmp_path / "out")
    warned = run(make("b.tif", np.zeros(SHAPE, np.uint8)), truth, ["roof", "road"], tmp_path / "out")
    assert warned.data["warnings"] == []
    with rasterio.open(tmp_path / "b.tif", "r+") as file:
        file.update_tags(**{CLASSES_TAG: json.dumps(["Dach", "Weg"])})
    warned = run(tmp_path / "b.tif", truth, ["roof", "road"], tmp_path / "out")
    assert "they are taken to be the same, in this order" in warned.data["warnings"][0]


def test_rasters_that_are_no_labels_are_refused(make: Make, pair: tuple[Path, Path], tmp_path: Path) -> None:
    floats = make("floats.tif", np.zeros(SHAPE, np.float32))
    with pytest.raises(ConfigError, match=r"1 band\(s\) of float32 are no labels; give one band of whole numbers"):
        run(pair[0], floats, "isprs", tmp_path / "out")
    with pytest.raises(ConfigError, match=r"1 band\(s\) of float32 are no class raster; give one band of uint8"):
        run(floats, pair[1], "isprs", tmp_path / "out")


def test_another_grid_is_refused_and_resampled_when_told(
    make: Make, pair: tuple[Path, Path], predicted: np.ndarray, tmp_path: Path
) -> None:
    """A prediction at half the pixel size, three rows lower, is brought back by the nearest pixel."""
    fine = np.kron(predicted, np.ones((2, 2), np.uint8))
    placed = Affine(0.25, 0, 500_000.0, 0, -0.25, 5_400_000.0 - 3 * 0.5)
    moved = make("fine_classes.tif", fine, transform=placed)
    with pytest.raises(ConfigError, match=r"128 x 160 pixels of 0.25 from \(500000, 5399998.5\) in EPSG:32632 do not"):
        run(moved, pair[1], "isprs", tmp_path / "out")
    data = run(moved, pair[1], "isprs", tmp_path / "out", resample=True).data
    expected = np.full(SHAPE, 255, np.uint8)
    expected[3:] = predicted[:-3]
    plain = run(make("expected.tif", expected), pair[1], "isprs", tmp_path / "out").data
    assert (data["confusion_matrix"], data["missed"]) == (plain["confusion_matrix"], plain["missed"])
    assert data["files"][0]["resampled"]


def test_resampling_does_not_depend_on_strips_and_needs_a_place(
    make: Make, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    other = make(
        "other_classes.tif",
        blocky(5, [0, 1, 2]),
        crs="EPSG:32633",
        transform=Affine(0.5, 0.01, 59_600.0, 0, -0.5, 5_427_400.0),
    )
    rules = Rules(ISPRS, 0, False, 3, True)
    candidate = check_pair("a", other, pair[1], None, rules)
    whole, strips = judge(candidate, rules), judge(candidate, rules, 7 * SHAPE[1])
    np.testing.assert_array_equal(strips.confusion.matrix, whole.confusion.matrix)
    nowhere = make("nowhere_classes.tif", np.zeros((10, 10), np.uint8), crs=None, transform=None)
    with pytest.raises(ConfigError, match="10 x 10 pixels without georeferencing cannot be resampled; give it a place"):
        run(nowhere, pair[1], "isprs", tmp_path / "out", resample=True)


def test_labels_without_georeference_are_compared_by_size(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    plain = make("a_label.png", reference, crs=None, transform=None, driver="PNG")
    assert run(make("a_classes.tif", predicted), plain, "isprs", tmp_path / "out").exit_code == 0
    other = make("b_label.tif", reference, crs="EPSG:32633")
    with pytest.raises(ConfigError, match=r"in EPSG:32632 do not lie on the grid of .* in EPSG:32633"):
        run(tmp_path / "a_classes.tif", other, "isprs", tmp_path / "out")


def test_a_reference_that_is_eroded_is_not_eroded_again_unless_told(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    guess = make("pred/area1_classes.tif", predicted)
    named = make("gts/area1_noBoundary.tif", reference)
    with pytest.raises(ConfigError, match=r"its name says 'noBoundary'.; give the full labels, --erode 0 to take it"):
        run(guess, named, "isprs", tmp_path / "out", protocol="isprs-geoseg")
    seen = make("gts/area1.tif", erode(reference, 3))
    with pytest.raises(ConfigError, match="no two of its classes touch"):
        run(guess, seen, "isprs", tmp_path / "out", protocol="isprs-geoseg")
    for path in (named, seen):
        assert run(guess, path, "isprs", tmp_path / "out", protocol="isprs-geoseg", erode=0).data["erode"] == 0
        assert run(guess, path, "isprs", tmp_path / "out", protocol="isprs-geoseg", erode=3).data["erode"] == 3
    again = run(guess, seen, "isprs", tmp_path / "out", erode=0).data
    full = run(guess, make("full.tif", reference), "isprs", tmp_path / "out", erode=3).data
    assert again["confusion_matrix"] == full["confusion_matrix"]
    assert again["mean_boundary_f1"] is None


def two_cars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, prediction and numbers of two cars on a road, one of them half found."""
    reference, predicted = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    numbers = np.zeros(SHAPE, np.uint16)
    for number, rows, cols in ((1, slice(4, 12), slice(4, 20)), (2, slice(20, 28), slice(40, 56))):
        reference[rows, cols], numbers[rows, cols] = 4, number
    predicted[reference == 4] = 4
    predicted[20:24] = 0
    return reference, predicted, numbers


def test_objects_may_be_numbers_or_polygons_in_another_crs(make: Make, tmp_path: Path) -> None:
    reference, predicted, numbers = two_cars()
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    raster = make("a_instances.tif", numbers)
    with rasterio.open(raster) as file:
        outlines = [shape for shape, value in shapes(numbers, transform=file.transform) if value]
        features = [transform_geom(file.crs, "EPSG:4326", outline, precision=-1) for outline in outlines]
    polygons = tmp_path / "cars.geojson"
    polygons.write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [{"type": "Feature", "properties": {}, "geometry": shape} for shape in features],
            }
        )
    )
    expected = scale_iou(reference, predicted, numbers)
    assert expected.iou.tolist() == [1.0, 0.5]
    for given in (raster, polygons):
        scales = run(*pair, "isprs", tmp_path / "out", instances=given).data["scale_iou"]
        assert (scales["objects"], scales["mean"]) == (2, 0.75)
        assert scales["bins"] == [
            {"from": 0, "to": 2500, "objects": 2, "mean": 0.75},
            {"from": 2500, "to": 62500, "objects": 0, "mean": None},
            {"from": 62500, "to": None, "objects": 0, "mean": None},
        ]
    assert "Scale-sensitive IoU" in (tmp_path / "out/report.html").read_text()


def test_cityscapes_instances_are_found_by_tile_and_groups_are_none(make: Make, tmp_path: Path) -> None:
    labels, ids = np.full(SHAPE, 7, np.uint8), np.full(SHAPE, 7, np.int32)
    guess = np.zeros(SHAPE, np.uint8)
    labels[4:12, 4:20], ids[4:12, 4:20], guess[4:12, 4:20] = 26, 26_000, 13  # a car
    labels[20:28, 4:20], ids[20:28, 4:20] = 26, 26  # a group of cars
    labels[40:48, 4:20], ids[40:48, 4:20] = 29, 29_001  # a caravan: no class
    for name, array in (("labelIds", labels), ("instanceIds", ids), ("color", labels)):
        make(f"gt/bonn/bonn_000000_000019_gtFine_{name}.tif", array, crs=None, transform=None)
    make("pred/bonn/bonn_000000_000019_leftImg8bit_classes.tif", guess, crs=None, transform=None)
    data = run(
        tmp_path / "pred",
        tmp_path / "gt",
        "cityscapes",
        tmp_path / "out",
        protocol="cityscapes",
        instances=tmp_path / "gt",
    ).data
    assert (data["scale_iou"]["objects"], data["scale_iou"]["mean"]) == (1, 1.0)
    assert data["classes_in_mean"] == ["road", "car"]
    assert len(data["absent_classes"]) == 17
    assert data["pixels"] == SHAPE[0] * SHAPE[1] - 8 * 16


def test_objects_that_do_not_fit_are_refused(make: Make, tmp_path: Path) -> None:
    reference, predicted, numbers = two_cars()
    pair = make("a_classes.tif", predicted), make("a_label.tif", reference)
    with pytest.raises(ConfigError, match="no such files; give a raster, polygons, or a folder of them"):
        run(*pair, "isprs", tmp_path / "out", instances=tmp_path / "nothing.tif")
    small = make("small.tif", numbers[:10])
    with pytest.raises(ConfigError, match=r"10 x 80 pixels .* do not lie on the grid of .*a_label.tif"):
        run(*pair, "isprs", tmp_path / "out", instances=small)
    broken = tmp_path / "broken.geojson"
    broken.write_text("{}")
    with pytest.raises(ConfigError, match=r"broken.geojson: no polygons that can be read"):
        run(*pair, "isprs", tmp_path / "out", instances=broken)
    for tile in "ab":
        make(f"pred/{tile}_classes.tif", predicted)
        make(f"ref/{tile}_label.tif", reference)
    make("objects/a_instances.tif", numbers)
    report = run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out", instances=tmp_path / "objects/*.tif")
    assert report.exit_code == 1
    assert "no files of objects for tile b; give one a tile with --instances" in report.data["failures"][0]


def test_the_page_needs_no_other_file_and_shows_the_worst_places(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    big = np.tile(reference, (12, 9))
    guess = big.copy()
    guess[600:700, 520:700] = 4
    guess[10:20, 10:20] = 0
    scheme = ClassScheme(("<road>", *NAMES[1:]), ISPRS.colors, ISPRS.values)
    run(make("a_classes.tif", guess), make("a_label.tif", big), scheme, tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "&lt;road&gt;" in page
    assert "<road>" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in page
    pictures = [b64decode(text) for text in re.findall(r"base64,([^\"]+)", page)]
    assert len(pictures) == 1 + 3 * 2
    assert pictures[0] == (tmp_path / "out/confusion.png").read_bytes()
    assert page.index("rows 512 to 767, columns 512 to 719") < page.index("rows 0 to 511, columns 0 to 511")
    with MemoryFile(pictures[3]) as memory, memory.open() as picture:
        shown = picture.read([1, 2, 3])
    red = (shown == np.array([214, 39, 40])[:, None, None]).all(axis=0)
    inside = guess[512:768, 512:720] != big[512:768, 512:720]
    np.testing.assert_array_equal(red, inside & (big[512:768, 512:720] != 255))


def test_the_table_holds_each_class(pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = run(*pair, "isprs", tmp_path / "out", protocol="isprs-geoseg").data
    rows = list(csv.DictReader((tmp_path / "out/classes.csv").open()))
    assert [row["class"] for row in rows] == list(NAMES)
    assert float(rows[1]["iou"]) == data["iou"]["building"]
    assert [row["in_mean"] for row in rows] == ["yes" if name in data["classes_in_mean"] else "no" for name in NAMES]
    assert sum(int(row["reference_pixels"]) for row in rows) == data["pixels"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "coco"}, "--protocol coco: there is none of that name; known are plain"),
        ({"erode": -1}, "--erode -1, --tolerance 3: radii in pixels are 0 or more"),
        ({"tolerance": -2}, "radii in pixels are 0 or more"),
        ({"protocol": "cityscapes"}, "protocol cityscapes: 6 classes"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        run("nothing", "nothing", "isprs", tmp_path / "out", **options)


def test_a_folder_that_cannot_be_made_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be made .*; choose another --out"):
        run(*pair, "isprs", tmp_path / "file/out")


def test_the_command_line_judges_and_its_options_are_documented(pair: tuple[Path, Path], tmp_path: Path) -> None:
    arguments = ["evaluate", *map(str, pair), "--out", str(tmp_path / "out"), "--classes"]
    classes = tmp_path / "classes.yaml"
    classes.write_text("classes: [a, b, c, d, e, f]\n")
    good = CliRunner().invoke(cli, [*arguments, str(classes)])
    assert good.exit_code == 0, good.output
    assert "mean IoU" in good.stdout
    assert json.loads(CliRunner().invoke(cli, [*arguments, "isprs", "--json", "--quiet"]).stdout)["protocol"] == "plain"
    bad = CliRunner().invoke(cli, [*arguments, "isprs", "--protocol", "coco"])
    assert bad.exit_code == 2
    assert len(bad.stderr.strip().splitlines()) == 1
    page = (Path(__file__).parents[2] / "docs/evaluate.md").read_text()
    for parameter in cli.commands["evaluate"].params:
        for option in parameter.opts:
            if option.startswith("--") and option not in ("--json", "--quiet", "--debug"):
                assert option in page, option
    assert geoseg.evaluate is run


def test_torch_is_not_needed() -> None:
    """It takes more memory than the rasters do."""
    code = "import sys, geoseg.commands.evaluate; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.slow
def test_a_pair_of_20000_pixels_a_side_takes_less_than_a_gibibyte(tmp_path: Path) -> None:
    side = 20_000
    coarse = np.random.default_rng(0).integers(0, 6, (1, side // 100)).astype(np.uint8)
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 1, "dtype": "uint8", "compress": "deflate"}
    for name, shift in (("a_classes.tif", 5), ("a_label.tif", 0)):
        with rasterio.open(tmp_path / name, "w", tiled=True, zlevel=1, **profile) as file:
            for row in range(0, side, 500):
                line = np.roll(np.repeat(np.roll(coarse, row // 500), 100), shift)
                file.write(np.tile(line, (500, 1)), 1, window=((row, row + 500), (0, side)))
    code = (
        "import re; from pathlib import Path; from geoseg.commands.evaluate import run;"
        "run('a_classes.tif', 'a_label.tif', 'isprs', 'out', protocol='isprs-geoseg');"
        # Not getrusage, which begins with what the parent process took.
        r"print(re.search(r'VmHWM:\s*(\d+)', Path('/proc/self/status').read_text())[1])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert int(result.stdout) * 1024 < 2**30
