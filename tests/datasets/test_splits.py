from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoseg.datasets.layouts import Layout, Preset
from geoseg.datasets.pairing import Pair
from geoseg.datasets.splits import divide, part_of_folders, split_by_name
from geoseg.errors import ConfigError

ROOT = Path("src")
LAYOUT = Layout(
    "benchmark",
    ("images",),
    ("labels",),
    re.compile(r"(\d+)"),
    splits={
        "known": Preset(("1", "2", "3"), ("4",), excluded={"9": "it is wrong"}),
        "trained": Preset(("1",)),
    },
    split="known",
)
FOLDER = Layout("folder", ("images",), ("labels",), re.compile(r"(?!)"))


def pairs(*paths: str) -> dict[str, Pair]:
    files = [ROOT / path for path in paths]
    return {path.stem: Pair(path.stem, path, path.with_suffix(".png")) for path in files}


def test_a_preset_gives_parts_and_says_what_is_missing_or_left_out() -> None:
    found = pairs("t1.tif", "t3.tif", "t04.tif", "t9.tif", "t7.tif")
    division = divide(LAYOUT, found, None, ROOT)
    assert division.split == "known"
    assert division.parts == {"t1": "train", "t3": "train", "t04": "val"}
    assert division.failures == ["train: 1 of 3 tiles lack image or labels: 2"]
    assert division.left_out == ["tile 9: it is wrong", "not in split known: 7"]
    assert divide(LAYOUT, found, "trained", ROOT).parts == {"t1": "train"}


@pytest.mark.parametrize(
    ("layout", "split", "message"),
    [
        (
            LAYOUT,
            "known",
            r"^--split known: part val is empty \(train: 2 of 3 .*: 2, 3; val: 1 of 1 tiles lack "
            r"image "
            r"or labels: 4\); add its files, or choose another --split$",
        ),
        (
            LAYOUT,
            "mine",
            "benchmark has no such split; choose known, trained, tiles, blocks, folders",
        ),
        (
            FOLDER,
            "known",
            "^--split known: folder has no such split; choose tiles, blocks, folders, all$",
        ),
        (
            FOLDER,
            "folders",
            r"part train is empty \(in no folder called train, val, test: src/t1.tif, "
            r"src/t9.tif\); add its "
            r"files",
        ),
    ],
)
def test_an_unknown_split_or_an_empty_part_is_refused(
    layout: Layout, split: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        divide(layout, pairs("t1.tif", "t9.tif"), split, ROOT)


def test_the_files_suggest_the_split() -> None:
    in_folders = pairs("train/a.tif", "Val/b.tif")
    division = divide(FOLDER, in_folders, None, ROOT)
    assert (division.split, division.parts) == ("folders", {"a": "train", "b": "val"})
    assert divide(FOLDER, pairs("train/a.tif", "b.tif"), None, ROOT).split == "tiles"
    one = divide(FOLDER, pairs("a.tif"), None, ROOT)
    assert (one.split, one.parts) == ("blocks", {"a": "blocks"})
    assert divide(FOLDER, pairs("a.tif"), "all", ROOT).parts == {"a": "train"}
    assert divide(FOLDER, pairs("train/a.tif"), None, ROOT / "train").split == "blocks"


def test_images_in_other_folders_are_left_out() -> None:
    division = divide(FOLDER, pairs("train/a.tif", "b.tif", "more/c.tif"), "folders", ROOT)
    assert division.parts == {"a": "train"}
    assert division.left_out == ["in no folder called train, val, test: src/b.tif, src/more/c.tif"]


def test_a_fifth_is_drawn_by_name_whatever_the_order() -> None:
    tiles = [f"t{n}" for n in range(23)]
    parts = split_by_name(tiles)
    assert parts == split_by_name(reversed(tiles))
    assert sum(part == "val" for part in parts.values()) == 4
    assert sorted(split_by_name(["a", "b"]).values()) == ["train", "val"]
    with pytest.raises(
        ConfigError, match="1 labelled image cannot be divided; use --split blocks, or all"
    ):
        split_by_name(["a"])


def test_folders_name_the_part() -> None:
    assert part_of_folders(Path("d"), Path("d/leftImg8bit/Val/lindau/a.png")) == "val"
    assert part_of_folders(Path("d"), Path("d/trainings/x/train")) is None
