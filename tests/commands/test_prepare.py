from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import yaml
from click.testing import CliRunner

import geoseg
from geoseg.classes import CITYSCAPES, ISPRS
from geoseg.cli import cli
from geoseg.commands.prepare import run
from geoseg.datasets import preparation
from geoseg.datasets.pairing import pair_all
from geoseg.datasets.statistics import collect_statistics
from geoseg.datasets.tiles import open_tile
from geoseg.datasets.training_tiles import choose_bands
from geoseg.errors import ConfigError, GeosegError, OutputError
from geoseg.progress import Progress
from tests import sample_datasets
from tests.odd_rasters import add_page, declare_scale

Tree = Callable[[Path], dict[str, bytes]]


def pairs(folder: Path, part: str) -> list[tuple[Path, Path]]:
    found = pair_all(str(folder / part / "images"), str(folder / part / "labels"))
    return [(pair.raster, pair.labels) for pair in found]


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images and their labels as values 10 and 20, none where 0."""
    for number in range(6):
        ids, image = sample_datasets.labels_and_image(number, 48, 64, 2)
        place = rasterio.transform.from_origin(500_000 + 100 * number, 5_400_000, 0.5, 0.5)
        sample_datasets.write(
            tmp_path / "src" / f"t{number}_image.tif", image, crs="EPSG:32632", transform=place
        )
        labels = (10 + 10 * ids).astype(np.uint8)
        labels[:4] = 0
        sample_datasets.write(tmp_path / "src" / f"t{number}_label.tif", labels[None])
    classes = {"classes": [{"id": 10, "name": "dark"}, {"id": 20, "name": "bright"}], "ignore": 0}
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump(classes))
    return tmp_path / "src"


def prepare(folder: Path, name: str = "out", **options: Any) -> Any:
    options = {
        "images": "*_image.tif",
        "labels": "*_label.tif",
        "classes": folder.parent / "classes.yaml",
    } | options
    return run("folder", folder, folder.parent / name, **options)


# The benchmarks' layouts.


def test_vaihingen_is_paired_by_area_and_split_as_geoseg_does(tmp_path: Path) -> None:
    src, out = sample_datasets.write_vaihingen(tmp_path / "src"), tmp_path / "out"
    report = run("vaihingen", src, out)
    assert report.exit_code == 0
    assert [len(pairs(out, part)) for part in ("train", "val", "test")] == [15, 1, 17]
    assert [image.name for image, _ in pairs(out, "val")] == ["top_mosaic_09cm_area30.tif"]
    for image, labels in pairs(out, "test"):
        original = src / "top" / image.name
        np.testing.assert_array_equal(read(image), read(original))
        np.testing.assert_array_equal(
            ISPRS.colors_from_ids(read(labels)[0]), read(src / image.name)
        )
        with (
            rasterio.open(original) as was,
            rasterio.open(image) as file,
            rasterio.open(labels) as beside,
        ):
            assert was.transform == file.transform == beside.transform
            assert file.descriptions == ("near-infrared", "red", "green")
    first = src / "top" / "top_mosaic_09cm_area1.tif"
    assert report.data["warnings"] == [
        f"{first}: has no coordinate system, like 32 more; --crs EPSG:N gives it one"
    ]


def test_a_coordinate_system_can_be_given(tmp_path: Path) -> None:
    src = sample_datasets.write_vaihingen(tmp_path / "src", tiles=["1", "30", "2"])
    report = run("vaihingen", src, tmp_path / "out", crs="EPSG:32632")
    assert report.exit_code == 1  # tiles are missing
    assert report.data["failures"] == [
        "train: 14 of 15 tiles lack image or labels: 3, 5, 7, 11, 13, 15 and 8 more",
        "test: 16 of 17 tiles lack image or labels: 4, 6, 8, 10, 12, 14 and 10 more",
    ]
    with rasterio.open(tmp_path / "out/train/labels/top_mosaic_09cm_area1.tif") as file:
        assert file.crs.to_epsg() == 32632


def test_the_participants_labels_serve_audeberts_split_and_no_other(tmp_path: Path) -> None:
    src = sample_datasets.write_vaihingen(tmp_path / "src", complete=False)
    report = run("vaihingen", src, tmp_path / "out", split="audebert12-4")
    assert report.exit_code == 0
    assert [len(pairs(tmp_path / "out", part)) for part in ("train", "test")] == [12, 4]
    with pytest.raises(
        ConfigError,
        match=r"--split isprs: part test is empty \(test: 17 of 17 tiles lack image or labels",
    ):
        run("vaihingen", src, tmp_path / "other", split="isprs")


def test_eroded_labels_are_taken_when_they_are_named(tmp_path: Path) -> None:
    src = sample_datasets.write_vaihingen(tmp_path / "src")
    run("vaihingen", src, tmp_path / "out", labels="*_noBoundary.tif", split="isprs")
    labels = read(tmp_path / "out/test/labels/top_mosaic_09cm_area2.tif")
    assert (labels[0, :, ::8] == 255).all()


def test_potsdam_leaves_out_the_tile_with_wrong_annotations_and_places_the_labels(
    tmp_path: Path,
) -> None:
    src, out = sample_datasets.write_potsdam(tmp_path / "src"), tmp_path / "out"
    report = run("potsdam", src, out)
    assert report.exit_code == 0
    assert [len(pairs(out, part)) for part in ("train", "val", "test")] == [22, 1, 14]
    assert report.data["left_out"] == ["tile 7_10: its annotations are wrong"]
    assert not list(out.rglob("*7_10*"))
    for _, labels in pairs(out, "val"):
        with (
            rasterio.open(labels) as file,
            rasterio.open(src / "2_Ortho_RGB/top_potsdam_2_10_RGB.tif") as image,
        ):
            assert (file.crs, file.transform) == (image.crs, image.transform)
            assert file.colormap(1)[1] == (0, 0, 255, 255)


def test_potsdam_in_four_bands_and_the_contests_split(tmp_path: Path) -> None:
    src, out = sample_datasets.write_potsdam(tmp_path / "src"), tmp_path / "out"
    run("potsdam", src, out, split="isprs", images="4_Ortho_RGBIR/*.tif")
    assert [len(pairs(out, part)) for part in ("train", "test")] == [24, 14]
    with rasterio.open(out / "train/images/top_potsdam_7_10.tif") as file:
        assert file.descriptions == ("red", "green", "blue", "near-infrared")
        assert file.nodata is None


def test_cityscapes_label_ids_become_train_ids(tmp_path: Path) -> None:
    src, out = sample_datasets.write_cityscapes(tmp_path / "test" / "src"), tmp_path / "out"
    report = run("cityscapes", src, out)
    assert report.exit_code == 0
    assert [len(pairs(out, part)) for part in ("train", "val")] == [4, 2]
    assert not (out / "test").exists()
    given = read(src / "gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png")[0]
    expected, unknown = CITYSCAPES.ids_from_values(given)
    assert unknown == {}
    np.testing.assert_array_equal(read(out / "val/labels/lindau_000001_000019.tif")[0], expected)


# What is written.


def test_statistics_of_the_manifest_are_those_that_training_measures(folder: Path) -> None:
    report = prepare(folder, split="tiles")
    out = folder.parent / "out"
    scheme = geoseg.ClassScheme.parse(yaml.safe_load((out / "classes.yaml").read_text()))
    found = pairs(out, "train")
    bands = choose_bands(None, geoseg.open_raster(found[0][0])).numbers
    tiles = [open_tile(image, labels, bands) for image, labels in found]
    expected = collect_statistics(tiles, scheme)
    manifest = json.loads((out / "manifest.json").read_text())
    pixels = manifest["parts"]["train"]["class_pixels"]
    assert tuple(pixels.values()) == expected.class_pixels
    np.testing.assert_allclose([band["mean"] for band in manifest["bands"]], expected.mean)
    np.testing.assert_allclose([band["std"] for band in manifest["bands"]], expected.std)
    assert report.data["parts"]["train"] == manifest["parts"]["train"]
    assert report.data["parts"]["val"]["tiles"] == 1


@pytest.mark.usefixtures("nothing_drawn")
def test_what_is_written_trains_as_it_is(folder: Path) -> None:
    prepare(folder, patch=32, stride=16)
    out = folder.parent / "out"
    data = {
        part: {kind: f"{out}/{part}/{kind}" for kind in ("images", "labels")}
        for part in ("train", "val")
    }
    config = {
        "data": data | {"classes": str(out / "classes.yaml")},
        "model": {"system": "pixel"},
        "train": {"steps": 2, "batch": 2, "crop": 16, "validate_every": 2},
        "predict": {"window": 32, "overlap": 8},
    }
    assert geoseg.train(config, out=folder.parent / "run").data["steps"] == 2


@pytest.mark.parametrize(("edge", "files"), [("shift", 9), ("pad", 9), ("drop", 6)])
def test_patches_are_cut_from_training_images_only(folder: Path, edge: str, files: int) -> None:
    report = prepare(folder, split="tiles", patch=24, stride=20, edge=edge)
    out = folder.parent / "out"
    assert report.data["parts"]["train"]["files"] == 5 * files
    assert read(pairs(out, "val")[0][0]).shape == (3, 48, 64)
    for image, labels in pairs(out, "train"):
        tile, row, col = image.stem.rsplit("_", 2)
        original = read(folder / f"{tile}_image.tif")[
            :, int(row) : int(row) + 24, int(col) : int(col) + 24
        ]
        inside = (..., slice(original.shape[1]), slice(original.shape[2]))
        assert read(image).shape == (3, 24, 24)
        np.testing.assert_array_equal(read(image)[inside], original)
        beyond = np.ones((24, 24), bool)
        beyond[inside[1:]] = False
        assert (read(labels)[0][beyond] == 255).all()
        with rasterio.open(image) as file, rasterio.open(folder / f"{tile}_image.tif") as whole:
            assert file.xy(0, 0) == whole.xy(int(row), int(col))


def test_images_smaller_than_a_patch_are_named_where_those_are_dropped(folder: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"48 x 64 pixels hold no whole patch; give a smaller --patch, or --edge pad",
    ):
        prepare(folder, split="all", patch=500, edge="drop")


def test_an_unknown_coordinate_system_is_refused_where_it_would_do_nothing(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match="--crs EPSG:99999: not a coordinate system that PROJ knows"
    ):
        prepare(folder, crs="EPSG:99999")


def test_patches_without_a_label_are_left_out(folder: Path) -> None:
    labels = np.zeros((1, 48, 64), np.uint8)
    labels[0, :, :16] = 10
    sample_datasets.write(folder / "t0_label.tif", labels)
    prepare(folder, split="all", patch=16)
    assert len(list((folder.parent / "out/train/images").glob("t0_*"))) == 3


@pytest.mark.parametrize("mask", ["nodata", "alpha"])
def test_invalid_pixels_stay_invalid(folder: Path, mask: str) -> None:
    image = sample_datasets.labels_and_image(0, 48, 64, 2)[1]
    image[:, :, :20] = 0
    alpha = np.where(np.arange(64) < 20, 0, 255).astype(np.uint8) * np.ones((1, 48, 1), np.uint8)
    data = np.concatenate([image, alpha]) if mask == "alpha" else image
    path = sample_datasets.write(folder / "t0_image.tif", data)
    with rasterio.open(path, "r+") as file:
        if mask == "nodata":
            file.nodata = 0
        else:
            file.colorinterp = [
                rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")
            ]
    prepare(folder, split="all")
    source = geoseg.open_raster(folder.parent / "out/train/images/t0.tif")
    assert len(source.bands) == 3
    with source.open() as reader:
        _, valid = reader.read(0, 0, 48, 64)
    np.testing.assert_array_equal(valid, np.broadcast_to(np.arange(64) >= 20, (48, 64)))


def test_one_large_image_is_divided_in_blocks_with_a_gap(folder: Path) -> None:
    ids, image = sample_datasets.labels_and_image(0, 600, 700, 2)
    sample_datasets.write(folder / "large.tif", image)
    sample_datasets.write(folder / "large_gt.tif", (10 + 10 * ids[None]).astype(np.uint8))
    out = folder.parent / "out"
    report = run(
        "folder",
        folder / "large.tif",
        out,
        labels="large_gt.tif",
        classes=folder.parent / "classes.yaml",
        block=100,
        gap=20,
    )
    assert report.data["split"] == "blocks"
    used = np.zeros((600, 700), int)
    near = np.zeros((600, 700), bool)
    for part in ("val", "train"):
        for path, labels in pairs(out, part):
            row, col = map(int, path.stem.split("_")[1:])
            pixels = read(path)
            height, width = pixels.shape[1:]
            np.testing.assert_array_equal(pixels, image[:, row : row + height, col : col + width])
            np.testing.assert_array_equal(
                read(labels)[0], ids[row : row + height, col : col + width]
            )
            used[row : row + height, col : col + width] += 1
            assert part == "val" or not near[row : row + height, col : col + width].any()
            if part == "val":
                near[max(0, row - 20) : row + height + 20, max(0, col - 20) : col + width + 20] = (
                    True
                )
    assert used.max() == 1
    assert 0.1 < report.data["parts"]["val"]["files"] / (6 * 7) < 0.3


def test_polygons_become_labels(folder: Path) -> None:
    boxes = [
        shapely.box(500_000 + 100 * n + 2, 5_399_980, 500_000 + 100 * n + 20, 5_399_995)
        for n in range(6)
    ]
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32632").to_crs(4326).to_file(
        folder / "houses.geojson"
    )
    classes = folder.parent / "houses.yaml"
    classes.write_text("classes: [background, building]\n")
    prepare(folder, split="all", labels="houses.geojson", classes=classes)
    expected = np.zeros((48, 64), np.uint8)
    expected[10:40, 4:40] = 1
    for number in range(6):
        labels = read(folder.parent / f"out/train/labels/t{number}.tif")[0]
        assert (labels == expected).mean() > 0.99


def test_polygons_may_be_one_file_per_image(folder: Path) -> None:
    classes = {"classes": [{"id": 1, "name": "building"}]}
    (folder / "drawn").mkdir()
    for n in range(6):
        box = shapely.box(
            500_000 + 100 * n + 2, 5_399_980, 500_000 + 100 * n + 2 + n + 1, 5_399_995
        )
        drawn = geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32632")
        drawn.to_file(folder / f"drawn/t{n}.geojson")
    for name, labels in (
        ("by_folder", "drawn"),
        ("by_stars", "drawn/*.geojson"),
        ("by_names", "*/*.geojson"),
    ):
        prepare(folder, name, split="all", labels=labels, classes=classes)
        for n in range(6):
            assert (read(folder.parent / name / f"train/labels/t{n}.tif") == 0).sum() == 30 * 2 * (
                n + 1
            )


def test_features_that_are_burnt_clipped_outside_and_dropped_are_counted(folder: Path) -> None:
    inside, across, away = (
        shapely.box(west, 5_399_980, west + 10, 5_399_990) for west in (500_002, 500_128, 510_000)
    )
    line = shapely.LineString([(500_000, 5_399_990), (500_030, 5_399_990)])
    mixed = shapely.GeometryCollection([inside, line, shapely.Point(0, 0)])
    frame = geopandas.GeoDataFrame(geometry=[mixed, across, away, line, None], crs="EPSG:32632")
    frame.to_file(folder / "houses.gpkg")
    report = prepare(folder, split="all", labels="houses.gpkg", classes=["background", "building"])
    (row,) = report.data["label_files"]
    assert row == {
        "file": str(folder / "houses.gpkg"),
        "features": 5,
        "burnt": 2,
        "clipped": 1,
        "outside": 1,
        "dropped": {"LineString": 2, "Point": 1, "empty": 1},
    }
    (warning,) = (line for line in report.data["warnings"] if "houses" in line)
    assert "houses.gpkg: 2 LineString, 1 Point, 1 empty hold no area and are left out; " in warning
    assert "2 polygon features of 1 file burnt, 1 of them clipped; 1 outside" in report.text
    assert (read(folder.parent / "out/train/labels/t0.tif") == 1).sum() == 400


def test_a_file_of_polygons_without_any_is_a_negative_image(folder: Path) -> None:
    (folder / "drawn").mkdir()
    for n in range(6):
        box = shapely.box(500_000 + 100 * n, 5_399_980, 500_000 + 100 * n + 9, 5_399_995)
        drawn = geopandas.GeoDataFrame(geometry=[box][n % 2 :], crs="EPSG:32632")
        drawn.to_file(folder / f"drawn/t{n}.gpkg")
    classes = ["background", "building"]
    report = prepare(folder, split="all", labels="drawn", classes=classes)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    built = [(read(folder.parent / f"out/train/labels/t{n}.tif") == 1).any() for n in range(6)]
    assert built == [True, False] * 3
    only = prepare(folder, "negative", split="all", labels="drawn/t1.gpkg", classes=classes)
    assert only.exit_code == 0


def test_a_file_of_one_image_that_misses_it_is_warned_of(folder: Path) -> None:
    (folder / "drawn").mkdir()
    for n in range(6):
        west = 500_000 + 100 * n + 500 * (n == 3)
        box = shapely.box(west, 5_399_980, west + 9, 5_399_995)
        drawn = geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32632")
        drawn.to_file(folder / f"drawn/t{n}.gpkg")
    report = prepare(folder, split="all", labels="drawn", classes=["background", "building"])
    (warning,) = report.data["warnings"]
    assert re.search(r"t3.gpkg: none of its 1 polygon lies on .*t3_image.tif; check both", warning)


def test_a_layer_is_chosen_by_its_name(folder: Path) -> None:
    path = folder / "town.gpkg"
    for layer, east in (("houses", 10), ("roads", 20)):
        box = shapely.box(500_000, 5_399_980, 500_000 + east, 5_399_990)
        geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32632").to_file(path, layer=layer)
    chosen = {"split": "all", "labels": "town.gpkg", "classes": ["background", "house"]}
    with pytest.raises(ConfigError, match=r"town.gpkg: holds 2 layers \(houses, roads\); name one"):
        prepare(folder, **chosen)
    for layer, east in (("houses", 10), ("roads", 20)):
        prepare(folder, layer, layer=layer, **chosen)
        labels = read(folder.parent / layer / "train/labels/t0.tif")
        assert (labels == 1).sum() == 20 * 2 * east
    with pytest.raises(ConfigError, match="has no layer 'trees'; choose one of houses, roads"):
        prepare(folder, layer="trees", **chosen)
    with pytest.raises(ConfigError, match="--layer a: goes with polygons, and the labels are rast"):
        prepare(folder, layer="a")
    with pytest.raises(OutputError, match="--overwrite removes it"):
        prepare(folder, "houses", layer="roads", **chosen)


@pytest.mark.parametrize("name", ["a.zip", "a.kml", "a.parquet", "a.osm.pbf", "drawn/a.kmz"])
def test_polygons_in_other_formats_say_what_to_do(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("anything")
    for labels in {name, name.split("/")[0]}:
        with pytest.raises(GeosegError, match=f"{name}: .* is not read; .*(unpack|-f GPKG labels)"):
            prepare(folder, labels=labels, classes=["background", "house"])


def test_polygons_that_lie_elsewhere_are_refused(folder: Path) -> None:
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    far.to_file(folder / "far.gpkg")
    with pytest.raises(
        ConfigError,
        match=r"none of its polygons lies on .* or any other image; check both coordinate",
    ):
        prepare(folder, labels="far.gpkg", classes=["background", "building"])


def test_folders_called_like_parts_are_the_parts(folder: Path) -> None:
    for number in range(6):
        part = folder / ("val" if number > 4 else "train")
        part.mkdir(exist_ok=True)
        for kind in ("image", "label"):
            (folder / f"t{number}_{kind}.tif").rename(part / f"t{number}_{kind}.tif")
    report = prepare(folder, images="*/*_image.tif", labels="*/*_label.tif")
    assert report.data["split"] == "folders"
    assert {part: facts["tiles"] for part, facts in report.data["parts"].items()} == {
        "train": 5,
        "val": 1,
    }


# Again.


def test_a_second_run_changes_nothing(folder: Path, tree: Tree) -> None:
    first = prepare(folder, patch=32, stride=16)
    before = tree(folder.parent / "out")
    assert set(before) == {path for path in before if path.endswith(".tif")} | {
        "classes.yaml",
        "manifest.json",
    }
    again = prepare(folder, patch=32, stride=16)
    assert tree(folder.parent / "out") == before
    assert (first.data["made"], first.data["kept"], again.data["made"], again.data["kept"]) == (
        6,
        0,
        0,
        6,
    )
    assert first.data["parts"] == again.data["parts"]


def test_a_stopped_run_continues_and_gives_the_same(
    folder: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(folder, "whole", split="tiles")
    prepare_tile = preparation.prepare_tile
    made = [
        entry["tile"]
        for entry in json.loads((folder.parent / "whole/manifest.json").read_text())["tiles"][:2]
    ]

    def stop_at_the_third(plan: Any, *rest: Any) -> Any:
        if plan.tile not in made:
            raise KeyboardInterrupt
        return prepare_tile(plan, *rest)

    monkeypatch.setattr(preparation, "prepare_tile", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare(folder, split="tiles")
    monkeypatch.undo()
    assert not list((folder.parent / "out").glob(".staging*")), "what was made ahead is dropped"
    with (folder.parent / "out/.manifest.jsonl").open("a") as journal:
        journal.write('{"tile": "cut sh')  # killed while it wrote
    (folder.parent / "out" / "train" / "images" / f"{made[0]}.tif").unlink(missing_ok=True)
    (folder.parent / "out" / "val" / "images" / f"{made[0]}.tif").unlink(missing_ok=True)
    assert prepare(folder, split="tiles").data["kept"] == 1
    assert tree(folder.parent / "out") == tree(folder.parent / "whole")


def test_images_are_prepared_at_once_and_give_what_one_after_the_other_gives(
    folder: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    one = prepare(folder, "one", split="tiles")
    prepare_tile, two = preparation.prepare_tile, threading.Barrier(2)

    def wait_for_another(*arguments: Any) -> Any:
        two.wait(30)
        return prepare_tile(*arguments)

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(preparation, "prepare_tile", wait_for_another)
    assert prepare(folder, "two", split="tiles").data["made"] == one.data["made"] == 6
    assert tree(folder.parent / "one") == tree(folder.parent / "two")


def test_what_was_made_from_something_else_is_refused_and_removed_on_request(
    folder: Path, tree: Tree
) -> None:
    prepare(folder, split="tiles")
    out = folder.parent / "out"
    with pytest.raises(
        OutputError,
        match=r"tile t0 exists there and was made from other files or with other options; --over",
    ):
        prepare(folder, split="all")
    shutil.move(folder / "t3_image.tif", folder / "t3.away")
    with pytest.raises(OutputError, match="tile t3 exists there and is not wanted now"):
        prepare(folder, split="tiles")
    shutil.move(folder / "t3.away", folder / "t3_image.tif")
    prepare(folder, split="all", overwrite=True)
    prepare(folder, "fresh", split="all")
    assert tree(out) == tree(folder.parent / "fresh")
    changed = out / "train/labels/t1.tif"
    changed.write_bytes(changed.read_bytes() + b"x")
    with pytest.raises(
        OutputError,
        match=r"t1.tif: is not what was written there; --overwrite removes it, another folder",
    ):
        prepare(folder, split="all")
    prepare(folder, split="all", overwrite=True)
    assert tree(out) == tree(folder.parent / "fresh")


def test_files_that_are_not_geosegs_are_never_touched(folder: Path) -> None:
    foreign = folder.parent / "out/train/images/mine.tif"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("mine")
    with pytest.raises(
        OutputError,
        match=r"mine.tif: was not written by geoseg and would be trained on; move it away",
    ):
        prepare(folder, overwrite=True)
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize("name", ["manifest.json", "classes.yaml", "train/images/a.tif"])
def test_a_folder_in_the_place_of_a_file_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "out" / name).mkdir(parents=True)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=f"{name} is a folder, .* choose another DST"):
            prepare(folder, overwrite=overwrite)


def test_torch_is_not_needed(folder: Path) -> None:
    """It takes more memory than the images do."""
    code = (
        "import sys; from geoseg.commands.prepare import run;"
        f"run('folder', {str(folder)!r}, {str(folder.parent / 'out')!r}, images='*_image.tif', "
        "labels='*_label.tif', "
        f"classes={str(folder.parent / 'classes.yaml')!r}); print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"


def test_two_runs_into_one_folder_are_kept_apart(folder: Path) -> None:
    class Second(Progress):
        tried = False

        def begin(self, what: str, total: int) -> None:
            with pytest.raises(
                OutputError,
                match=r"another run writes into .*out; wait until it ends or choose another DST",
            ):
                prepare(folder, split="all")
            self.tried = True

    second = Second()
    assert prepare(folder, split="all", progress=second).data["made"] == 6
    assert second.tried
    assert not (folder.parent / "out/.geoseg").exists()


# Bad input.


def test_images_and_labels_of_which_no_two_belong_together_are_named(folder: Path) -> None:
    (folder / "more").mkdir()
    for number in range(6):
        (folder / f"t{number}_label.tif").rename(folder / f"more/s{number}_label.tif")
    with pytest.raises(
        ConfigError,
        match=r"no image has labels; the images are of t0, t1, .*, the labels of s0, s1, .*: give "
        r"two patterns",
    ) as error:
        prepare(folder, labels="more/*_label.tif")
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(
        ConfigError, match=r"no image has labels; .* whose stars match the same text"
    ):
        prepare(folder, labels="more")


def test_a_validation_part_without_a_usable_image_is_reported(folder: Path) -> None:
    for number in range(6):
        part = folder / ("val" if number > 4 else "train")
        part.mkdir(exist_ok=True)
        for kind in ("image", "label"):
            (folder / f"t{number}_{kind}.tif").rename(part / f"t{number}_{kind}.tif")
    patterns = {"images": "*/*_image.tif", "labels": "*/*_label.tif"}
    (folder / "val/t5_label.tif").write_text("broken")
    report = prepare(folder, **patterns)
    assert report.exit_code == 1
    assert report.data["failures"][1:] == [
        "val: is empty, as none of its images can be used; correct them, or choose another --split"
    ]
    shutil.rmtree(folder / "val")
    report = prepare(folder, **patterns)
    assert (report.exit_code, report.data["warnings"]) == (
        0,
        ["val: is empty, as no image is in a folder called val; --split tiles or blocks makes one"],
    )


def test_unpaired_files_are_named_and_the_others_continue(folder: Path) -> None:
    (folder / "t1_label.tif").unlink()
    (folder / "t2_image.tif").unlink()
    report = prepare(folder, split="tiles")
    assert report.exit_code == 1
    assert report.data["failures"] == [
        f"image without a label under {folder}/*_label.tif: {folder / 't1_image.tif'}; add the "
        "label, "
        "or leave the tile out",
        f"label without an image under {folder}/*_image.tif: {folder / 't2_label.tif'}; add the "
        "image, or leave the tile out",
    ]
    assert len(pairs(folder.parent / "out", "train")) == 3


def test_bad_labels_and_images_are_named_and_the_others_continue(folder: Path) -> None:
    sample_datasets.write(folder / "t1_label.tif", np.full((1, 48, 63), 10, np.uint8))
    sample_datasets.write(folder / "t2_label.tif", np.full((1, 48, 64), 77, np.uint8))
    sample_datasets.write(folder / "t3_label.tif", np.zeros((1, 48, 64), np.uint8))
    sample_datasets.write(folder / "t4_image.tif", np.zeros((4, 48, 64), np.uint16))
    report = prepare(folder, split="all")
    assert report.exit_code == 1
    lines = "\n".join(report.data["failures"])
    assert len(report.data["failures"]) == 4
    assert "t1_label.tif: 48 x 63 pixels without georeferencing do not lie on t1_image.tif" in lines
    assert (
        "t2_label.tif: value 77 (3,072 pixels), which no class has and which is not ignored"
        in lines
    )
    assert "t3_label.tif: no pixel of t3_image.tif is labelled" in lines
    assert (
        "t4_image.tif: has 4 band(s) of uint16, t0_image.tif has 3 of uint8; prepare them "
        "separately" in lines
    )
    assert {image.name for image, _ in pairs(folder.parent / "out", "train")} == {
        "t0.tif",
        "t5.tif",
    }


def test_an_image_in_the_place_of_labels_is_reported_in_a_short_line(folder: Path) -> None:
    colours = np.arange(3072).reshape(48, 64)
    sample_datasets.write(
        folder / "t1_label.tif",
        np.stack([colours >> 8, colours & 255, colours * 0 + 7]).astype(np.uint8),
    )
    report = prepare(folder, split="all")
    assert report.data["failures"] == [
        f"{folder / 't1_label.tif'}: holds 3,072 colours that no class has, as an image does; give "
        "its labels"
    ]


def test_a_class_that_never_occurs_is_reported(folder: Path) -> None:
    for number in range(6):
        sample_datasets.write(folder / f"t{number}_label.tif", np.full((1, 48, 64), 10, np.uint8))
    report = prepare(folder, split="all")
    assert report.data["warnings"] == [
        "train: class 'bright' never occurs, and cannot be learned or scored there"
    ]
    classes = {
        "classes": [
            {"id": 9, "name": "grey"},
            {"id": 10, "name": "dark"},
            {"id": 20, "name": "bright"},
        ]
    }
    assert prepare(folder, "three", split="all", classes=classes).data["warnings"] == [
        "train: classes 'grey', 'bright' never occur, and cannot be learned or scored there"
    ]


def test_a_part_that_becomes_empty_is_reported(folder: Path) -> None:
    labels = np.zeros((1, 48, 64), np.uint8)
    labels[0, :24] = 10  # the upper half; the lower block is to validate on
    sample_datasets.write(folder / "t0_label.tif", labels)
    report = run(
        "folder", folder, folder.parent / "out", images="t0_image.tif", labels="t0_label.tif",
        classes=folder.parent / "classes.yaml", split="blocks", block=32, gap=0,
    )  # fmt: skip
    assert report.exit_code == 1
    assert report.data["failures"] == [
        "val: is empty, as nothing of it is labelled; choose another --split or other labels"
    ]


def test_what_was_written_is_never_read(folder: Path) -> None:
    run(
        "folder",
        folder,
        folder,
        images="*_image.tif",
        labels="*_label.tif",
        classes=folder.parent / "classes.yaml",
    )
    with pytest.raises(
        ConfigError,
        match=r"lies where .*src gets its files; give other --images, or another folder",
    ):
        run(
            "folder",
            folder,
            folder,
            images="train/images",
            labels="train/labels",
            classes=["dark", "bright"],
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": None}, "--classes: is missing; give a classes file, isprs or cityscapes"),
        (
            {"split": "geoseg"},
            "--split geoseg: folder has no such split; choose tiles, blocks, folders, all",
        ),
        (
            {"split": "folders"},
            r"--split folders: part train is empty \(in no folder called train, val, test",
        ),
        ({"stride": 8}, "--stride 8: goes with --patch; give both"),
        ({"edge": "pad"}, "--edge pad: goes with --patch; give both"),
        (
            {"images": "*_photo.tif"},
            r"_photo.tif: no rasters there; give a file, a folder, or a pattern",
        ),
        (
            {"labels": "houses.gpkg"},
            r"houses.gpkg: no such file; give polygons, or label rasters",
        ),
        (
            {"labels": "masks"},
            r"masks: no such file or folder; give a file, a folder, or a pattern",
        ),
        (
            {"images": None},
            r"src: no images there \(looked for images\); say where they are by --images PATTERN",
        ),
        (
            {"labels": "*_image.tif"},
            r"t0_image.tif: is named by --images and by --labels; give patterns that distinguish",
        ),
        (
            {"attribute": "kind"},
            "--attribute kind: goes with polygons, and the labels are rasters; leave it out",
        ),
        (
            {"block": 32},
            "--block 32: goes with --split blocks, not tiles; give both, or leave it out",
        ),
        ({"gap": 64}, "--gap 64: goes with --split blocks, not tiles; give both, or leave it out"),
        ({"classes": "nothing.yaml"}, "nothing.yaml: no such classes file"),
        ({"crs": "EPSG:0"}, None),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    folder: Path, options: dict[str, Any], message: str | None
) -> None:
    if message is None:
        for path in folder.glob("*_image.tif"):
            sample_datasets.write(path, read(path))
        message = "--crs EPSG:0: not a coordinate system"
    with pytest.raises(ConfigError, match=message):
        prepare(folder, **options)
    assert not (folder.parent / "out").exists()


def test_nothing_usable_is_exit_code_2_and_some_failures_1(folder: Path) -> None:
    words = [
        "prepare",
        "folder",
        folder,
        folder.parent / "out",
        "--images",
        "*_image.tif",
        "--labels",
        "*_label.tif",
    ]
    call = [*map(str, words), "--classes", str(folder.parent / "classes.yaml")]
    for number in range(5):
        (folder / f"t{number}_label.tif").write_text("broken")
    some = CliRunner().invoke(cli, [*call, "--json", "--split", "all"])
    assert some.exit_code == 1
    assert json.loads(some.stdout)["made"] == 1
    assert sum(line.startswith("geoseg: ") for line in some.stderr.splitlines()) == 5
    (folder / "t5_label.tif").write_text("broken")
    none = CliRunner().invoke(cli, [*call, "--split", "all"])
    assert none.exit_code == 2
    assert len(none.stderr.strip().splitlines()) == 6
    assert CliRunner().invoke(cli, ["prepare", "folder", str(folder / "no"), "x"]).exit_code == 2


def test_a_classes_file_of_another_origin_is_replaced_only_if_that_is_wanted(folder: Path) -> None:
    out = folder.parent / "out"
    out.mkdir()
    (out / "classes.yaml").write_text("# the user's own")
    with pytest.raises(OutputError, match=r"out/classes\.yaml: is not what would be written there"):
        prepare(folder)
    assert [path.name for path in out.iterdir()] == ["classes.yaml"]
    prepare(folder, overwrite=True)
    (out / "classes.yaml").write_text("# edited")
    with pytest.raises(OutputError, match=r"classes\.yaml: is not what would be written there"):
        prepare(folder)


def test_statistics_that_a_viewer_has_added_change_nothing(folder: Path) -> None:
    out = folder.parent / "out"
    made = prepare(folder).data["made"]
    image = next(out.glob("*/images/*.tif"))
    with rasterio.open(image) as file:
        file.stats(approx=False)
    beside = image.with_name(f"{image.name}.aux.xml")
    beside.write_text("<PAMDataset/>")
    assert prepare(folder).data["kept"] == made
    image.unlink()
    assert prepare(folder).data["made"] == 1
    assert not beside.exists(), "it described the older file"


def test_what_metadata_says_about_images_is_named(folder: Path) -> None:
    add_page(declare_scale(folder / "t0_image.tif", 0.5, 1.0))
    lines = prepare(folder).data["warnings"]
    assert any("t0_image.tif: declares scale 0.5, offset 1.0" in line for line in lines)
    assert any("t0_image.tif: holds 2 pages" in line for line in lines)


def test_an_image_of_palette_indices_is_refused_and_the_others_continue(folder: Path) -> None:
    with rasterio.open(folder / "t0_image.tif") as file:
        profile, pixels = file.profile, file.read(1)
    profile |= {"count": 1, "photometric": "PALETTE"}
    with rasterio.open(folder / "t0_image.tif", "w", **profile) as file:
        file.write(pixels, 1)
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    report = prepare(folder)
    assert report.exit_code == 1
    assert any("palette indices" in line for line in report.data["failures"])
    assert report.data["made"] == 5


def test_undeclared_nodata_of_an_image_is_warned_of_and_the_option_declares_it(
    folder: Path, tmp_path: Path
) -> None:
    for path in folder.glob("*_image.tif"):
        with rasterio.open(path) as file:
            profile, pixels = file.profile, file.read().astype(np.float32) / 255
        pixels[:, 10:14], pixels[:, 30:40, 3:9] = -9999, -32768
        profile.update(dtype="float32", nodata=None)
        with rasterio.open(path, "w", **profile) as file:
            file.write(pixels)
    options = {"split": "all", "classes": tmp_path / "classes.yaml"}
    images = {"images": "*_image.tif", "labels": "*_label.tif"}
    report = run("folder", folder, tmp_path / "plain", **options, **images)
    lines = [line for line in report.data["warnings"] if "far from all others" in line]
    assert len(lines) == 6
    found = re.search(
        r"if they mean no data, give --nodata (\S+); if they are measured, leave", lines[0]
    )
    assert found is not None
    command = ["prepare", "folder", str(folder), str(tmp_path / "out"), "--split", "all"]
    command += ["--classes", str(options["classes"]), "--images", "*_image.tif"]
    command += ["--labels", "*_label.tif", "--nodata", found[1]]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "far from all others" not in result.output
    for image, _ in pairs(tmp_path / "out", "train"):
        with rasterio.open(image) as file:
            np.testing.assert_array_equal(file.dataset_mask() > 0, file.read(1) >= 0)


def test_a_nodata_value_that_is_no_number_is_refused(folder: Path, tmp_path: Path) -> None:
    command = ["prepare", "folder", str(folder), str(tmp_path / "out"), "--nodata", "x"]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 2
    assert "'x': give numbers separated by commas" in result.output


def test_polygons_that_reach_around_the_world_or_over_180_degrees_become_labels(
    folder: Path,
) -> None:
    """The image lies on the 180th meridian, where a box ends 10 m beyond it and one begins."""
    to_utm = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32660", always_xy=True)
    x, y = to_utm.transform(180, 0)
    place = rasterio.transform.from_origin(x - 16, y + 12, 0.5, 0.5)
    image = np.random.default_rng(0).integers(1, 255, (3, 48, 64)).astype(np.uint8)
    sample_datasets.write(folder / "sea_image.tif", image, crs="EPSG:32660", transform=place)
    cols, rows = np.meshgrid(np.arange(64), np.arange(48))
    lon, _ = to_utm.transform(*(place @ (cols + 0.5, rows + 0.5)), direction="INVERSE")
    beyond = 180 + 10 / 111_320
    for name, box, expected in (
        ("world", shapely.box(-180, -85, 180, 85), np.ones((48, 64), bool)),
        ("over", shapely.box(179, -1, beyond, 1), (lon % 360 > 179) & (lon % 360 < beyond)),
        ("west", shapely.box(-180, -1, -179, 1), lon < 0),
    ):
        frame = geopandas.GeoDataFrame(geometry=[box], crs="EPSG:4326")
        frame.to_file(folder / f"{name}.gpkg")
        options = {"split": "all", "images": "sea_image.tif", "labels": f"{name}.gpkg"}
        assert prepare(folder, name, classes=["background", "land"], **options).exit_code == 0
        labels = read(folder.parent / name / "train/labels/sea.tif")[0]
        np.testing.assert_array_equal(labels == 1, expected)


def test_labels_with_a_height_system_lie_where_those_without_one_do(folder: Path) -> None:
    """Of rasters and of polygons: WGS 84 / UTM 32N, alone and with heights above EGM2008."""
    label, image = folder / "t0_label.tif", folder / "t0_image.tif"
    with rasterio.open(image) as file:
        place = file.transform
    values = read(label)
    box = shapely.box(500_004, 5_399_980, 500_020, 5_399_990)
    made = {}
    for name, crs in (("flat", "EPSG:32632"), ("high", "EPSG:32632+3855")):
        sample_datasets.write(label, values, crs=crs, transform=place)
        options = {"split": "all", "images": image.name}
        assert prepare(folder, name, labels=label.name, **options).exit_code == 0
        frame = geopandas.GeoDataFrame(geometry=[box], crs=crs)
        frame.to_file(folder / f"{name}.gpkg")
        options |= {"labels": f"{name}.gpkg", "classes": ["background", "house"]}
        assert prepare(folder, f"{name}_drawn", **options).exit_code == 0
        outs = (folder.parent / part / "train/labels" for part in (name, f"{name}_drawn"))
        made[name] = [read(next(out.iterdir())) for out in outs]
    np.testing.assert_array_equal(made["high"], made["flat"])
    assert (made["flat"][1] == 1).sum() == 32 * 20
