from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geoseg.classes import ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.datasets.crops import whole_raster
from geoseg.datasets.manifest import PreparedPair, PreparedTile
from geoseg.datasets.polygon_labels import Polygons
from geoseg.datasets.preparation import TilePlan
from geoseg.datasets.splits import Division
from geoseg.datasets.statistics import Statistics
from geoseg.datasets.summary import Summary, classes_text, summary_text
from geoseg.datasets.writer import OutputProfile
from geoseg.raster import open_raster

SCHEME = ClassScheme(("a", "b"), ((1, 2, 3), (4, 5, 6)), ((10,), (20,)), (0,))


def statistics(first: int, second: int) -> Statistics:
    ids = np.array([[0] * first + [1] * second], np.uint8)
    pixels = np.stack([ids + 1, 2 * ids])
    return Statistics.from_window(pixels, ids < 9, ids, 2)


def tile(name: str, part: str, found: Statistics, warning: str | None = None) -> PreparedTile:
    pair = PreparedPair(part, "i", "l", "", "", 0, 0)
    return PreparedTile(name, "image", "labels", "key", (pair, pair), {part: found}, warning)


@pytest.fixture
def plans(make_raster: Callable[..., Path]) -> dict[str, TilePlan]:
    """Of two images with polygons."""
    image = open_raster(make_raster(bands=2))
    profile = OutputProfile(image, ("red", "nir"), SCHEME)
    labels = Polygons(Path("a.gpkg"))
    return {
        part: TilePlan(part, profile, labels, (whole_raster(part, 64, 80),), ())
        for part in ("train", "val")
    }


def summary(plans: dict[str, TilePlan], *tiles: PreparedTile, split: str = "tiles") -> Summary:
    division = Division(split, {part: part for part in plans})
    return Summary("folder", division, list(plans.values()), tiles)


def test_the_manifest_begins_with_classes_parts_and_bands_of_training(
    plans: dict[str, TilePlan],
) -> None:
    made = summary(
        plans,
        tile("x", "train", statistics(3, 1)),
        tile("y", "train", statistics(0, 4)),
        tile("z", "val", statistics(50, 50)),
    )
    facts = made.facts()
    assert list(facts) == ["geoseg", "dataset", "split", "classes", "parts", "bands"]
    assert (facts["dataset"], facts["split"], facts["classes"]) == ("folder", "tiles", ["a", "b"])
    assert facts["parts"] == {
        "train": {"tiles": 2, "files": 4, "class_pixels": {"a": 3, "b": 5}},
        "val": {"tiles": 1, "files": 2, "class_pixels": {"a": 50, "b": 50}},
    }
    assert [(band["name"], band["mean"], band["max"]) for band in facts["bands"]] == [
        ("red", 1 + 5 / 8, 2),
        ("nir", 2 * 5 / 8, 2),
    ]
    assert made.empty_parts() == []
    assert made.warnings() == []
    assert summary(plans, tile("z", "val", statistics(1, 1))).facts()["bands"] == []


def test_parts_without_a_file_are_named_with_the_reason(plans: dict[str, TilePlan]) -> None:
    train = tile("x", "train", statistics(1, 1))
    assert summary(plans, train).empty_parts() == [
        "val: is empty, as nothing of it is labelled; choose another --split or other labels"
    ]
    only = {"train": plans["train"]}
    division = Division("isprs", {"train": "train", "gone": "test"})
    assert Summary("folder", division, list(only.values()), [train]).empty_parts() == [
        "test: is empty, as none of its images can be used; correct them, or choose another --split"
    ]
    blocks = Division("blocks", {"train": "blocks"})
    assert [
        line[:14] for line in Summary("folder", blocks, list(only.values()), [train]).empty_parts()
    ] == ["val: is empty,"]


def test_warnings_say_what_cannot_be_learned_scored_or_placed(
    plans: dict[str, TilePlan], make_raster: Callable[..., Path]
) -> None:
    found = summary(
        plans,
        tile("x", "train", statistics(0, 4), warning="x: is odd"),
        tile("y", "val", statistics(1, 0)),
    )
    assert found.warnings() == [
        "x: is odd",
        "train: class 'a' never occurs, and cannot be learned or scored there",
        "val: class 'b' never occurs, and cannot be learned or scored there",
    ]
    some = tile("x", "train", statistics(1, 1))
    folders = {"train": plans["train"]}
    assert summary(folders, some, split="folders").warnings() == [
        "val: is empty, as no image is in a folder called val; --split tiles or blocks makes one"
    ]
    assert summary(plans, some, split="folders").warnings() == []
    nodata = open_raster(make_raster("gt.tif", bands=1, nodata=20))
    profiles: dict[str, Any] = {
        name: OutputProfile(open_raster(make_raster(f"{name}.tif", crs=None)), ("x",), SCHEME)
        for name in ("one", "two")
    }
    unplaced = {name: TilePlan(name, profile, nodata, (), ()) for name, profile in profiles.items()}
    lines = summary(unplaced, some).warnings()
    assert "declares 20 as nodata (and so do 1 more), which is class 'b'" in lines[0]
    assert lines[1].endswith(
        "one.tif: has no coordinate system, like 1 more; --crs EPSG:N gives it one"
    )
    del unplaced["two"]
    assert summary(unplaced, some).warnings()[1].endswith("system; --crs EPSG:N gives it one")


def test_the_classes_file_means_the_ids_themselves(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text(classes_text(SCHEME))
    read = read_classes(str(tmp_path / "classes.yaml"))
    assert (read.names, read.colors) == (SCHEME.names, SCHEME.colors)
    assert (read.values, read.ignore) == (((0,), (1,)), (255,))


def test_the_text_shows_files_shares_and_bands() -> None:
    data = {
        "folder": "out",
        "classes": ["a", "long"],
        "parts": {
            "train": {"tiles": 1, "files": 1200, "class_pixels": {"a": 1500, "long": 500}},
            "val": {"tiles": 2, "files": 2, "class_pixels": {"a": 0, "long": 9}},
        },
        "bands": [{"name": "red", "mean": 1.23456, "std": 2.5}],
        "left_out": ["tile 7_10: its annotations are wrong"],
        "label_files": [
            {"burnt": 1200, "clipped": 3, "outside": 4, "dropped": {"Point": 2, "empty": 1}},
            {"burnt": 1, "clipped": 0, "outside": 0, "dropped": {}},
        ],
        "split": "tiles",
        "made": 2,
        "kept": 1000,
        "seconds": 3.14,
        "classes_file": "out/classes.yaml",
    }
    assert summary_text(data).splitlines() == [
        "out/train: 1 image in 1,200 files, 2,000 labelled pixels",
        "out/val: 2 images in 2 files, 9 labelled pixels",
        "           train       val",
        "  a       75.00%     0.00%",
        "  long    25.00%   100.00%",
        "  red: mean 1.235, deviation 2.5",
        "1,201 polygon features of 2 files burnt, 3 of them clipped; 4 outside the images, "
        "3 without an area",
        "left out: tile 7_10: its annotations are wrong",
        "split tiles; 2 images made, 1,000 kept (3.1 s); classes in out/classes.yaml",
    ]
