from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from geoseg.classes import ClassScheme
from geoseg.datasets.crops import PatchOptions, SpatialSplit
from geoseg.datasets.layouts import find_layout
from geoseg.datasets.manifest import PreparedTile
from geoseg.datasets.pairing import Pair
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.preparation import (
    PrepareOptions,
    TilePlan,
    count_files,
    plan_tiles,
    prepare_tile,
)
from geoseg.errors import ConfigError, SourceError
from geoseg.raster import fingerprint, open_raster

Make = Callable[..., Path]
SCHEME = ClassScheme(("background", "road"), ((0, 0, 0), (9, 9, 9)), ((0,), (7,)))
OPTIONS = PrepareOptions(find_layout("folder"), SCHEME, None, None, None, None, SpatialSplit(20, 2))


@pytest.fixture
def pair(make_raster: Make) -> Pair:
    labels = np.random.default_rng(0).choice([0, 7, 255], (1, 64, 80)).astype(np.uint8)
    labels[:, :32, :32] = 255
    return Pair("t", make_raster(), make_raster("gt.tif", data=labels, crs=None))


def plan(pair: Pair, part: str = "train", **options: Any) -> TilePlan:
    plans, failures = plan_tiles({"t": pair}, {"t": part}, replace(OPTIONS, **options))
    assert failures == []
    return plans[0]


def polygons(path: Path, x: float = 500_010) -> Path:
    box = shapely.box(x, 5_399_980, x + 20, 5_399_996)
    frame = geopandas.GeoDataFrame({"kind": ["road"]}, geometry=[box], crs="EPSG:32632")
    frame.to_file(path)
    return path


def test_training_images_alone_are_cut_into_patches(pair: Pair) -> None:
    patches = PatchOptions(32, 32)
    assert [crop.suffix for crop in plan(pair).crops] == [""]
    assert len(plan(pair, patches=patches).crops) == 6
    assert len(plan(pair, "val", patches=patches).crops) == 1
    divided = plan(pair, "blocks", patches=PatchOptions(10, 10))
    sides = {part: {c.height for c in divided.crops if c.part == part} for part in ("train", "val")}
    assert sides["train"] == {10}
    assert min(sides["val"]) > 10
    counts = {part: count_files([divided, divided], part) for part in ("train", "val", "test")}
    assert counts["train"] + counts["val"] == 2 * len(divided.crops)
    assert counts["test"] == 0


def prepare(pair: Pair, staging: Path, **options: Any) -> PreparedTile:
    planned = plan(pair, **options)
    return prepare_tile(planned, staging)


def test_crops_with_a_label_are_written_and_counted(pair: Pair, tmp_path: Path) -> None:
    planned = plan(pair, patches=PatchOptions(32, 32))
    made = prepare_tile(planned, tmp_path / "staging")
    names = [entry.images for entry in made.pairs]
    assert "train/images/t_00000_00000.tif" not in names  # no pixel of it is labelled
    assert len(names) == 5
    assert sorted(path.name for path in (tmp_path / "staging").rglob("*.tif")) == sorted(
        2 * [Path(name).name for name in names]
    )
    with rasterio.open(pair.labels) as file:
        values = file.read(1)
    patched = np.concatenate(  # columns 48 to 63 lie in two patches
        [values[:, columns] for columns in (slice(0, 32), slice(32, 64), slice(48, 80))]
    )
    expected = tuple(int((patched == value).sum()) for value in (0, 7))
    assert made.statistics["train"].class_pixels == expected
    assert [(entry.row, entry.col) for entry in made.pairs[:2]] == [(0, 32), (0, 48)]
    assert (made.tile, made.image, made.labels) == ("t", str(pair.raster), str(pair.labels))
    assert made.key == planned.key()
    assert made.warning is None


def test_a_few_unknown_values_are_a_warning_and_many_a_failure(
    pair: Pair, make_raster: Make, tmp_path: Path
) -> None:
    values = np.zeros((1, 64, 80), np.uint8)
    values[0, 0, :3] = 99
    few = replace(pair, labels=make_raster("few.tif", data=values))
    warning = prepare(few, tmp_path / "a").warning
    assert str(warning).endswith(
        "value 99 (3 pixels) belongs to no class; these pixels are left unlabelled"
    )
    many = replace(pair, labels=make_raster("many.tif", data=values + 99))
    with pytest.raises(
        SourceError, match=r"many.tif: value 99 \(5,117 pixels\), .* which no class has"
    ):
        prepare(many, tmp_path / "b")


def test_nothing_to_write_is_refused(pair: Pair, make_raster: Make, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"scene.tif: 64 x 80 pixels hold no whole patch; give a"):
        prepare(pair, tmp_path / "a", patches=PatchOptions(100, 100, "drop"))
    blank = replace(pair, labels=make_raster("b.tif", data=np.full((1, 64, 80), 255, np.uint8)))
    with pytest.raises(SourceError, match=r"b.tif: no pixel of scene.tif is labelled; give other"):
        prepare(blank, tmp_path / "b")


def test_a_source_that_changes_meanwhile_is_refused(
    pair: Pair, make_raster: Make, tmp_path: Path
) -> None:
    planned = plan(pair)
    make_raster("gt.tif", data=np.full((1, 64, 80), 7, np.uint8), crs=None)
    with pytest.raises(SourceError, match=r"gt.tif: changed while it was prepared; leave it"):
        prepare_tile(planned, tmp_path / "a")


def test_image_and_labels_are_opened_once_to_plan_and_once_to_write(
    pair: Pair, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setattr(fingerprint, "_SETTLED", 0)  # what was written just now is read again
    planned = plan(pair)
    assert sorted(opened) == ["gt.tif", "scene.tif"]
    prepare_tile(planned, staging)
    assert sorted(opened) == ["gt.tif", "gt.tif", "scene.tif", "scene.tif", "t.tif", "t.tif"]


def test_the_key_changes_with_whatever_the_files_depend_on(
    pair: Pair, make_raster: Make, tmp_path: Path
) -> None:
    key = plan(pair).key()
    assert plan(pair).key() == key
    by_attribute = replace(pair, labels=polygons(tmp_path / "p.gpkg"))
    scheme = ClassScheme(("background", "way"), SCHEME.colors, SCHEME.values)
    variants = [
        plan(pair, "val"),
        plan(pair, patches=PatchOptions(32, 32)),
        plan(pair, scheme=scheme),
        plan(replace(pair, labels=make_raster("other.tif", bands=1))),
        plan(replace(pair, raster=make_raster("again.tif", seed=1))),
        plan(by_attribute),
    ]
    bare = replace(pair, raster=make_raster("bare.tif", crs=None))
    variants += [plan(bare), plan(bare, crs="EPSG:32633")]
    keys = {key, *(variant.key() for variant in variants)}
    assert len(keys) == 1 + len(variants)
    before = plan(by_attribute).key()
    os.utime(by_attribute.labels, (1, 1))
    assert plan(by_attribute).key() == before  # polygons count by their content
    polygons(tmp_path / "p.gpkg", x=500_011)
    assert plan(by_attribute).key() != before


def test_all_files_of_a_shapefile_count(pair: Pair, tmp_path: Path) -> None:
    drawn = replace(pair, labels=polygons(tmp_path / "p.shp"))
    keys = [plan(drawn, attribute="kind").key()]
    polygons(tmp_path / "q.shp", x=500_020)
    (tmp_path / "q.shp").rename(tmp_path / "p.shp")
    keys.append(plan(drawn, attribute="kind").key())
    (tmp_path / "p.dbf").write_bytes((tmp_path / "p.dbf").read_bytes().replace(b"road", b"0   "))
    keys.append(plan(drawn, attribute="kind").key())
    assert len(set(keys)) == 3


def test_polygons_that_lie_on_no_image_are_refused_and_on_some_accepted(
    pair: Pair, make_raster: Make, tmp_path: Path
) -> None:
    away = replace(pair, labels=polygons(tmp_path / "away.gpkg", x=600_000))
    with pytest.raises(
        ConfigError, match=r"away.gpkg: none of its polygons lies on scene.tif; check"
    ):
        plan(away)
    here = replace(pair, labels=polygons(tmp_path / "here.gpkg"))
    both = {"a": away, "b": here}
    plans, failures = plan_tiles(both, {"a": "train", "b": "val"}, OPTIONS)
    assert [(len(plans), failures)] == [(2, [])]
    with pytest.raises(ConfigError, match=r"lies on scene.tif or any other image; check both"):
        plan_tiles({"a": away, "b": away}, {"a": "train", "b": "val"}, OPTIONS)


def test_an_attribute_goes_to_polygons_alone(pair: Pair, tmp_path: Path) -> None:
    drawn = replace(pair, labels=polygons(tmp_path / "p.gpkg"))
    assert plan(drawn, attribute="kind").labels == Polygons(drawn.labels, "kind")
    assert plan(pair, attribute="kind").labels == open_raster(pair.labels)


def test_images_that_cannot_be_used_are_named_and_the_others_continue(
    pair: Pair, make_raster: Make
) -> None:
    pairs = {
        "small": replace(pair, labels=make_raster("small.tif", bands=1, width=79)),
        "t": pair,
        "deep": replace(pair, raster=make_raster("deep.tif", dtype="uint16")),
        "four": replace(pair, raster=make_raster("four.tif", bands=4, photometric="MINISBLACK")),
        "away": pair,
    }
    parts = {name: "train" for name in pairs if name != "away"}
    plans, failures = plan_tiles(pairs, parts, OPTIONS)
    assert [each.tile for each in plans] == ["t"]
    assert "small.tif: 64 x 79 pixels" in failures[0]
    assert [line.partition(": ")[2] for line in failures[1:]] == [
        "has 3 band(s) of uint16, scene.tif has 3 of uint8; prepare them separately",
        "has 4 band(s) of uint8, scene.tif has 3 of uint8; prepare them separately",
    ]
    with pytest.raises(ConfigError, match="--block 300: 64 x 80 pixels are one block"):
        plan(pair, "blocks", spatial_split=SpatialSplit(300))


def test_known_bands_are_imagery_and_a_coordinate_system_fills_a_gap(
    pair: Pair, make_raster: Make
) -> None:
    potsdam = find_layout("potsdam")
    image = make_raster(
        "t_RGBIR.tif", bands=4, photometric="RGB"
    )  # the fourth one is alpha to GDAL
    with rasterio.open(image, "r+") as file:
        file.colorinterp = [
            rasterio.enums.ColorInterp[name] for name in ("red", "green", "blue", "alpha")
        ]
    planned = plan(replace(pair, raster=image), layout=potsdam, crs="EPSG:32633")
    assert planned.profile.image.bands == (1, 2, 3, 4)
    assert planned.profile.band_names == ("red", "green", "blue", "near-infrared")
    assert planned.profile.image.crs.to_epsg() == 32632
    bare = replace(pair, raster=make_raster("bare.tif", crs=None))
    assert plan(bare, crs="EPSG:32633").profile.image.crs.to_epsg() == 32633
