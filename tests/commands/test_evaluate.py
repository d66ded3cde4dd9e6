from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from click.testing import CliRunner
from rasterio.features import shapes
from rasterio.transform import from_origin
from sklearn import metrics as oracle

import geoseg
from geoseg.classes import ISPRS
from geoseg.cli import cli
from geoseg.commands.evaluate import run
from geoseg.errors import ConfigError, GeosegError, OutputError
from geoseg.evaluation import scoring
from geoseg.metrics import erode
from geoseg.raster import fingerprint
from tests.odd_rasters import add_page

Make = Callable[..., Path]

SHAPE = (64, 80)
NAMES = ISPRS.names


def test_each_file_is_opened_four_times_at_most_however_many_squares_are_shown(
    make_raster: Make, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "_SETTLED", 0)  # as if the files were a minute old
    rng = np.random.default_rng(5)
    predicted, labels, image = (  # of four squares
        make_raster(
            f"in/a_{kind}.tif",
            data=rng.integers(0, 6, (1, 25, 15), np.uint8).repeat(40, 1).repeat(40, 2),
            nodata=255,
        )
        for kind in ("classes", "label", "image")
    )
    opened.clear()
    run(predicted, labels, "isprs", tmp_path / "out", errors=True, images=image)
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("rows 0 to 511") + page.count("rows 512 to 999") == 4
    # To check each pair, to score it, to draw its errors, and to show the largest.
    counts = Counter(opened)
    assert [counts[path.name] for path in (predicted, labels, image)] == [4, 4, 1]


def test_metrics_equal_a_plain_loop_and_scikit_learn(
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
    assert (
        oracle.confusion_matrix(actual, guess, labels=range(7))[:6, :6].tolist()
        == data["confusion_matrix"]
    )
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
def test_metrics_on_real_labels_equal_scikit_learn(make: Make, tmp_path: Path) -> None:
    folder = Path(os.environ["GEOSEG_DATA"]) / "isprs_vaihingen"
    (label,) = folder.glob("*_label_isprs_colours.png")
    (index,) = folder.glob("*_label_index.png")
    with rasterio.open(index) as file:
        values = file.read(1)
    guess = np.roll(np.where(values == 0, 0, values.astype(int) - 1), (4, 3), (0, 1)).astype(
        np.uint8
    )
    place = {"crs": None, "transform": None}
    data = run(
        make("a.tif", guess, **place),
        label,
        "isprs",
        tmp_path / "out",
        protocol="isprs-geoseg",
        erode=0,
    ).data
    known = values > 0
    counts = oracle.confusion_matrix(values[known] - 1, guess[known], labels=range(6))
    assert data["confusion_matrix"] == counts.tolist()
    shown = np.unique(values[known] - 1)
    scores = oracle.jaccard_score(
        values[known] - 1, guess[known], labels=shown[shown != 5], average="macro"
    )
    assert data["mean_iou"] == pytest.approx(scores)


def test_the_protocol_erodes_and_reports_which_classes_count(
    pair: tuple[Path, Path], predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    data = run(*pair, "isprs", tmp_path / "out", protocol="isprs-geoseg").data
    eroded = erode(reference, 3)
    present = [index for index in range(5) if (eroded == index).any()]
    hits = [
        ((eroded == i) & (predicted == i)).sum()
        / ((eroded == i) | ((predicted == i) & (eroded != 255))).sum()
        for i in present
    ]
    assert data["mean_iou"] == pytest.approx(np.mean(hits))
    assert data["pixels"] == (eroded != 255).sum()
    assert data["classes_in_mean"] == [NAMES[index] for index in present]
    assert data["overall_accuracy"] == pytest.approx((eroded == predicted)[eroded != 255].mean())
    assert run(*pair, "isprs", tmp_path / "out", erode=3).data["pixels"] == data["pixels"]


def test_a_reference_in_colours_scores_like_one_in_ids(
    pair: tuple[Path, Path], make: Make, reference: np.ndarray, tmp_path: Path
) -> None:
    colors = make("b_label.tif", ISPRS.colors_from_ids(reference))
    by_color = run(pair[0], colors, ISPRS, tmp_path / "out").data
    assert (
        by_color["confusion_matrix"] == run(*pair, ISPRS, tmp_path / "out").data["confusion_matrix"]
    )


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


def test_failures_are_named_and_the_other_pairs_are_scored(
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
    damaged = make(
        "ref/e_label.tif", reference, compress="deflate", tiled=True, blockxsize=16, blockysize=16
    )
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
        r"b_classes.tif: 64 x 80 .* do not lie on the grid of .*b_label.tif \(32 x 80 .*--resample",
        r"c_label.tif: rows 0 to 63 hold value 77 \(\d+ pixels\), which no class has",
        r"d_label.tif: rows 0 to 63 hold colour 17,17,17 \(4 pixels\), which no class has",
        r"e_label.tif: rows 0 to 63, columns 0 to 79 cannot be read .*; the file is damaged",
        r"prediction without a reference under .*ref: .*f_classes.tif; add the reference, or leave",
        r"reference without a prediction under .*pred: .*g_label.tif; add the prediction, or leave",
    ):
        assert re.search(message, lines), message
    alone = run(
        tmp_path / "pred/a_classes.tif", tmp_path / "ref/a_label.tif", "isprs", tmp_path / "alone"
    ).data
    assert report.data["confusion_matrix"] == alone["confusion_matrix"]


def test_nothing_usable_is_an_error(make: Make, predicted: np.ndarray, tmp_path: Path) -> None:
    one = make("pred/a_classes.tif", predicted)
    with pytest.raises(
        ConfigError, match="nothing: no such file or folder; give a file, a folder, or a pattern"
    ):
        run(one, tmp_path / "nothing", "isprs", tmp_path / "out")
    make("ref/b_label.tif", predicted)
    with pytest.raises(
        ConfigError,
        match=r"prediction without a reference under .*a_classes.tif; add the reference",
    ):
        run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out")
    strange = make("ref/a_label.tif", np.full(SHAPE, 77, np.uint8))
    with pytest.raises(ConfigError, match="hold value 77"):
        run(one, strange, "isprs", tmp_path / "new/out")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "new").exists()


def test_many_files_without_a_partner_and_many_bad_pairs_take_few_lines(
    make: Make, tmp_path: Path
) -> None:
    for number in range(10):
        make(f"pred/{number}_classes.tif", np.zeros((4, 4), np.uint8))
        make(f"pred/x{number}_classes.tif", np.zeros((4, 4), np.uint8))
        make(f"ref/{number}_label.tif", np.full((4, 4), 77, np.uint8))
    with pytest.raises(ConfigError) as caught:
        run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out")
    lines = str(caught.value).splitlines()
    assert re.search(
        r"^predictions without a reference under .*x5_classes.tif and 4 more; add the reference",
        lines[0],
    )
    assert lines[-1] == "and 3 more, none can be used"


def test_a_reference_whose_nodata_is_a_class_is_warned_about(
    make: Callable[..., Path], predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    truth = make("b_label.tif", reference, nodata=0)
    report = run(make("b_classes.tif", predicted), truth, "isprs", tmp_path / "out")
    assert (
        "declares 0 as nodata, which is class 'impervious surfaces'" in report.data["warnings"][0]
    )
    assert report.data["warnings"][0] in str(report)


def test_rasters_that_are_not_labels_are_refused(
    make: Make, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    floats = make("floats.tif", np.zeros(SHAPE, np.float32))
    with pytest.raises(
        ConfigError, match=r"1 band\(s\) of float32 are not labels; give one band of whole numbers"
    ):
        run(pair[0], floats, "isprs", tmp_path / "out")
    with pytest.raises(
        ConfigError, match=r"1 band\(s\) of float32 are not a class raster; give one band of uint8"
    ):
        run(floats, pair[1], "isprs", tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "coco"}, "--protocol coco: unknown protocol; known are plain"),
        ({"erode": -1}, "--erode -1: give a radius in pixels, 0 or more"),
        ({"tolerance": -2}, "--tolerance -2: give a radius in pixels, 0 or more"),
        ({"protocol": "cityscapes"}, "protocol cityscapes: 6 classes"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_read(
    options: dict, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        run("nothing", "nothing", "isprs", tmp_path / "out", **options)


def test_a_folder_that_cannot_be_made_is_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be written .*; choose another --out"):
        run(*pair, "isprs", tmp_path / "file/out")


@pytest.mark.parametrize("name", ["metrics.json", "classes.csv", "confusion.png", "report.html"])
def test_files_that_are_not_an_evaluations_are_not_replaced(
    pair: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"geoseg": "is what I use"}')
    with pytest.raises(OutputError, match=f"{name} exists and was not written by geoseg evaluate"):
        run(*pair, "isprs", out)
    assert [path.name for path in out.iterdir()] == [name]
    (out / name).unlink()
    run(*pair, "isprs", out)
    run(*pair, "isprs", out)


def test_the_command_line_scores_and_its_options_are_documented(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    arguments = ["evaluate", *map(str, pair), "--out", str(tmp_path / "out"), "--classes"]
    classes = tmp_path / "classes.yaml"
    classes.write_text("classes: [a, b, c, d, e, f]\n")
    good = CliRunner().invoke(cli, [*arguments, str(classes)])
    assert good.exit_code == 0, good.output
    assert "mean IoU" in good.stdout
    assert (
        json.loads(CliRunner().invoke(cli, [*arguments, "isprs", "--json", "--quiet"]).stdout)[
            "protocol"
        ]
        == "plain"
    )
    bad = CliRunner().invoke(cli, [*arguments, "isprs", "--protocol", "coco"])
    assert bad.exit_code == 2
    assert len(bad.stderr.strip().splitlines()) == 1
    page = (Path(__file__).parents[2] / "docs/evaluate.md").read_text()
    common = ("--json", "--quiet", "--debug", "--allow-remote")
    for parameter in cli.commands["evaluate"].params:
        for option in parameter.opts:
            if option.startswith("--") and option not in common:
                assert option in page, option
    assert geoseg.evaluate.__wrapped__ is run


def test_torch_is_not_needed() -> None:
    """It takes more memory than the rasters do."""
    code = "import sys, geoseg.commands.evaluate; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


@pytest.mark.slow
def test_a_pair_of_20000_pixels_a_side_takes_less_than_a_gibibyte(tmp_path: Path) -> None:
    side = 20_000
    coarse = np.random.default_rng(0).integers(0, 6, (1, side // 100)).astype(np.uint8)
    profile = {
        "driver": "GTiff",
        "height": side,
        "width": side,
        "count": 1,
        "dtype": "uint8",
        "compress": "deflate",
    }
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
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert int(result.stdout) * 1024 < 2**30


def outlines(path: Path, ids: np.ndarray, crs: str = "EPSG:4326", **options: object) -> Path:
    """The regions of class ids as polygons with the class's name, in another CRS."""
    image = from_origin(500_000, 5_400_000, 0.5, 0.5)
    found = [
        (shapely.geometry.shape(outline), NAMES[int(value)])
        for outline, value in shapes(ids, ids != 255, transform=image)
    ]
    frame = geopandas.GeoDataFrame(
        {"kind": [name for _, name in found]},
        geometry=[outline for outline, _ in found],
        crs="EPSG:32632",
    )
    frame.to_crs(crs).to_file(path, **options)
    return path


def test_polygons_are_a_reference_like_the_raster_that_they_outline(
    pair: tuple[Path, Path], reference: np.ndarray, tmp_path: Path
) -> None:
    drawn = outlines(tmp_path / "drawn.gpkg", reference)
    expected = run(*pair, "isprs", tmp_path / "raster")
    found = run(pair[0], drawn, "isprs", tmp_path / "polygons", attribute="kind")
    assert found.data["confusion_matrix"] == expected.data["confusion_matrix"]
    assert found.data["boundary_f1"] == expected.data["boundary_f1"]
    assert found.data["files"][0]["reference"] == str(drawn)
    (row,) = found.data["label_files"]
    assert row["burnt"] == row["features"] > 5
    assert (row["outside"], row["dropped"]) == (0, {})
    assert expected.data["label_files"] == []
    assert "drawn.gpkg" in (tmp_path / "polygons/report.html").read_text()


def test_a_layer_of_references_and_objects_is_chosen_by_name(
    pair: tuple[Path, Path], reference: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "drawn.gpkg"
    outlines(path, np.zeros(SHAPE, np.uint8), layer="plain")
    outlines(path, reference, layer="all")
    expected = run(*pair, "isprs", tmp_path / "raster").data
    options = {"attribute": "kind", "layer": "all"}
    found = run(pair[0], path, "isprs", tmp_path / "a", instances=path, **options).data
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert found["scale_iou"]["objects"] == found["label_files"][0]["burnt"]
    assert run(*pair, "isprs", tmp_path / "b", instances=path, layer="plain").exit_code == 0
    for given in ((pair[0], path), pair):
        with pytest.raises(ConfigError, match=r"holds 2 layers \(plain, all\); name one \(--layer"):
            run(*given, "isprs", tmp_path / "c", instances=path)
    for option in ("attribute", "layer"):
        with pytest.raises(ConfigError, match=f"--{option} x: goes with polygons, and the labels"):
            run(*pair, "isprs", tmp_path / "d", **{option: "x"})


def test_geometries_without_an_area_are_named_once(
    pair: tuple[Path, Path], reference: np.ndarray, tmp_path: Path
) -> None:
    drawn = outlines(tmp_path / "drawn.gpkg", reference, "EPSG:32632")
    frame = geopandas.read_file(drawn)
    frame.loc[len(frame)] = {"kind": "car", "geometry": shapely.Point(500_001, 5_399_999)}
    frame.set_crs(32632).to_file(drawn)
    report = run(pair[0], drawn, "isprs", tmp_path / "out", attribute="kind", instances=drawn)
    lines = [line for line in report.data["warnings"] if "1 Point hold no area" in line]
    assert len(set(lines)) == 1
    assert report.data["label_files"][0]["dropped"] == {"Point": 1}


@pytest.mark.parametrize("name", ["a.zip", "a.kml", "a.parquet"])
def test_references_and_objects_in_other_formats_say_what_to_do(
    pair: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("anything")
    for reference, instances in ((tmp_path / name, None), (pair[1], tmp_path / name)):
        with pytest.raises(GeosegError, match=f"{name}: .* is not read; .*(unpack|-f GPKG labels)"):
            run(pair[0], reference, "isprs", tmp_path / "out", instances=instances)


def test_a_prediction_whose_nodata_is_a_class_is_refused(
    make: Make, pair: tuple[Path, Path], predicted: np.ndarray, tmp_path: Path
) -> None:
    guess = make("b_classes.tif", predicted, nodata=0)
    with pytest.raises(
        ConfigError,
        match=r"classes.tif: declares 0 as nodata, which is class 'impervious surfaces'; unset the "
        r"nodata value \(gdal_edit.py -unsetnodata FILE\), or give a raster whose nodata is 255",
    ):
        run(guess, pair[1], "isprs", tmp_path / "out")
    for value in (6, 200, 254, 255):
        other = make("c_classes.tif", predicted, nodata=value)
        assert run(other, pair[1], "isprs", tmp_path / "out").exit_code == 0


def test_what_metadata_says_about_either_side_is_named(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    for path in pair:
        add_page(path)
    lines = run(*pair, "isprs", tmp_path / "out").data["warnings"]
    assert [line.split(":")[0] for line in lines if "holds 2 pages" in line] == [*map(str, pair)]


@pytest.mark.parametrize("form", [Path, str])
def test_a_model_says_what_classes_its_predictions_are_scored_by(
    make: Make, model_file: Path, tmp_path: Path, form: type
) -> None:
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, 4, (1, *SHAPE)).astype(np.uint8) for _ in range(2)]
    pair = [make(f"{name}.tif", labels[number]) for number, name in enumerate(("a", "b"))]
    names = ["road", "roof", "grass", "tree"]
    expected = geoseg.evaluate(*pair, names, tmp_path / "by_names").data
    found = geoseg.evaluate(*pair, form(model_file), tmp_path / "by_model").data
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    assert len(found["confusion_matrix"]) == len(names)


def replace_after(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something happen while the first pair is scored, after its pixels were read."""
    waiting, count = [change], scoring._count_errors

    def count_and_change(*given: Any) -> None:
        count(*given)
        if waiting:
            waiting.pop()()

    monkeypatch.setattr(scoring, "_count_errors", count_and_change)


@pytest.mark.parametrize("name", ["pred/a_classes.tif", "ref/a_label.tif"])
def test_a_file_that_is_replaced_meanwhile_fails_its_pair_alone(
    make: Make,
    predicted: np.ndarray,
    reference: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    for tile in "ab":
        make(f"pred/{tile}_classes.tif", predicted)
        make(f"ref/{tile}_label.tif", reference)
    other = make("other.tif", np.flip(predicted))
    replace_after(monkeypatch, lambda: os.replace(other, tmp_path / name))
    report = run(tmp_path / "pred", tmp_path / "ref", "isprs", tmp_path / "out")
    (line,) = report.data["failures"]
    assert re.search(rf"{name}: changed while it was scored; .* run the command again$", line)
    assert report.exit_code == 1
    assert [entry["tile"] for entry in report.data["files"]] == ["b"]


def test_references_of_polygons_that_are_edited_meanwhile_fail_and_looking_at_them_does_not(
    pair: tuple[Path, Path],
    reference: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = outlines(tmp_path / "drawn.gpkg", reference)
    replace_after(monkeypatch, lambda: os.utime(drawn))
    assert run(pair[0], drawn, "isprs", tmp_path / "a", attribute="kind").exit_code == 0
    replace_after(monkeypatch, lambda: outlines(drawn, np.zeros(SHAPE, np.uint8)))
    with pytest.raises(GeosegError, match=r"drawn\.gpkg: changed while it was scored; leave it"):
        run(pair[0], drawn, "isprs", tmp_path / "b", attribute="kind")


def test_objects_that_reach_around_the_world_or_beyond_the_image_are_scored(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Like the rasters of numbers that they are on the image."""
    world, near = shapely.box(-180, -85, 180, 85), shapely.box(8.99, 40, 9.0002, 60)
    frame = geopandas.GeoDataFrame(geometry=[world, near], crs="EPSG:4326")
    frame.to_file(tmp_path / "far.gpkg")
    found = run(*pair, "isprs", tmp_path / "a", instances=tmp_path / "far.gpkg").data
    with rasterio.open(pair[1]) as file:
        profile = file.profile | {"count": 1, "dtype": "int32", "nodata": None}
        cols = np.arange(file.width) + 0.5
        lon, _ = pyproj.Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True).transform(
            *(file.transform @ np.meshgrid(cols, np.arange(file.height) + 0.5))
        )
    assert (lon < 9.0002).any()
    assert (lon > 9.0002).any()
    with rasterio.open(tmp_path / "numbers.tif", "w", **profile) as file:
        file.write(np.where(lon < 9.0002, 2, 1).astype(np.int32), 1)
    expected = run(*pair, "isprs", tmp_path / "b", instances=tmp_path / "numbers.tif").data
    assert found["scale_iou"] == expected["scale_iou"]
    assert found["label_files"][0]["clipped"] == 2


@pytest.mark.parametrize(
    "name", ["classes.csv", "predicted_errors.tif", "errors.gpkg", "predicted_errors.tif.aux.xml"]
)
def test_a_folder_in_the_place_of_an_output_is_refused_before_anything_is_scored(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stem = pair[0].stem.removesuffix("_classes")
    blocker = tmp_path / "out" / name.replace("predicted", stem)
    blocker.mkdir(parents=True)
    monkeypatch.setattr("geoseg.commands.evaluate.score_pairs", pytest.fail)
    with pytest.raises(OutputError, match=f"{blocker.name} is a folder, and a file is to be"):
        run(*pair, "isprs", tmp_path / "out", errors=True)
