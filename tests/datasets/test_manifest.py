from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from geoseg.datasets.manifest import PreparedFolder, PreparedPair, PreparedTile, sha256_of
from geoseg.datasets.statistics import Statistics
from geoseg.errors import OutputError


def tile(
    name: str, key: str = "k", text: str = "x", suffixes: tuple[str, ...] = ("",)
) -> PreparedTile:
    digest = hashlib.sha256(text.encode()).hexdigest()
    pairs = [
        PreparedPair(
            "train",
            f"train/images/{name}{end}.tif",
            f"train/labels/{name}{end}.tif",
            digest,
            digest,
            3,
            5,
        )
        for end in suffixes
    ]
    return PreparedTile(
        name, "a.tif", "b.tif", key, tuple(pairs), {"train": Statistics((1, 2))}, "w"
    )


def stage(folder: Path, prepared: PreparedTile, text: str = "x") -> Path:
    for name, _ in prepared.files():
        path = folder / "staging" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "staging"


@pytest.fixture
def folder(tmp_path: Path) -> PreparedFolder:
    """With tiles a and b."""
    out = tmp_path / "out"
    out.mkdir()
    prepared = PreparedFolder(out)
    for each in (tile("b"), tile("a", suffixes=("_1", "_2"))):
        prepared.add(each, stage(tmp_path, each))
    return prepared


def test_a_tile_survives_json_under_the_names_of_the_manifest() -> None:
    document = json.loads(json.dumps(tile("a").to_json()))
    assert list(document) == ["tile", "image", "labels", "key", "warning", "tallies", "files"]
    assert list(document["files"][0]) == [
        *("part", "images", "labels", "images_sha256", "labels_sha256", "row", "col")
    ]
    assert (document["files"][0]["row"], document["files"][0]["col"]) == (3, 5)
    assert PreparedTile.from_json(document).to_json() == tile("a").to_json()


def test_files_get_their_names_and_the_journal_becomes_the_manifest(folder: PreparedFolder) -> None:
    journal = folder.path / ".manifest.jsonl"
    assert [json.loads(line)["tile"] for line in journal.read_text().splitlines()] == ["b", "a"]
    assert sorted(path.name for path in (folder.path / "train/labels").iterdir()) == [
        "a_1.tif",
        "a_2.tif",
        "b.tif",
    ]
    assert list(PreparedFolder(folder.path).tiles) == ["b", "a"]
    folder.finish({"geoseg": "0"}, "classes: [a]\n")
    assert not journal.exists()
    manifest = json.loads((folder.path / "manifest.json").read_text())
    assert manifest["geoseg"] == "0"
    assert [entry["tile"] for entry in manifest["tiles"]] == ["a", "b"]
    assert (folder.path / "classes.yaml").read_text() == "classes: [a]\n"
    assert list(PreparedFolder(folder.path).tiles) == ["a", "b"]


def test_what_is_unchanged_is_not_written_again(folder: PreparedFolder) -> None:
    folder.finish({"split": "x"}, "classes: [a]\n")
    paths = [folder.path / name for name in ("manifest.json", "classes.yaml")]
    before = [path.stat().st_ino for path in paths]
    folder.finish({"split": "x"}, "classes: [a]\n")
    assert [path.stat().st_ino for path in paths] == before
    folder.finish({"split": "y"}, "classes: [a]\n")
    after = [path.stat().st_ino for path in paths]
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


def test_a_line_that_was_cut_short_is_dropped(folder: PreparedFolder) -> None:
    journal = folder.path / ".manifest.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"tile": "cut')
    again = PreparedFolder(folder.path)
    assert list(again.tiles) == ["b", "a"]
    again.begin()
    assert journal.read_bytes() == whole
    journal.write_bytes(b'{"tile')
    PreparedFolder(folder.path).begin()
    assert journal.read_bytes() == b""


def test_a_tile_is_complete_with_all_its_files(folder: PreparedFolder) -> None:
    assert [folder.is_complete(name) for name in ("a", "b", "c")] == [True, True, False]
    (folder.path / "train/labels/a_2.tif").unlink()
    assert not folder.is_complete("a")


def test_what_is_not_as_wanted_is_reported_with_the_reason(folder: PreparedFolder) -> None:
    assert folder.changed_tiles({"a": "k", "b": "k", "c": "k"}) == {}
    out = folder.path
    assert folder.changed_tiles({"b": "k"}, {"a", "c"}) == {}
    assert folder.changed_tiles({"a": "other"}) == {
        "a": f"{out}: tile a exists there and was made from other files or with other options",
        "b": f"{out}: tile b exists there and is not wanted now",
    }
    (out / "train/labels/a_2.tif").write_text("changed")
    (out / "train/images/b.tif").unlink()
    assert folder.changed_tiles({"a": "k", "b": "k"}) == {
        "a": f"{out}/train/labels/a_2.tif: is not what was written there"
    }
    (out / "train/labels/b.tif").unlink()
    assert "b" not in folder.changed_tiles({"a": "k", "b": "other"})  # nothing of it exists


def test_only_the_files_of_a_tile_are_removed(folder: PreparedFolder) -> None:
    (folder.path / "train/labels/a_2.tif").unlink()
    folder.remove("a")
    assert sorted(path.name for path in folder.path.rglob("*.tif")) == ["b.tif", "b.tif"]
    assert list(folder.tiles) == ["b"]


@pytest.mark.parametrize(
    "name",
    [
        *("train/images/mine.tif", "val/labels/.hidden.tif", "test/images/a.tif"),
        *("train/labels/b.GPKG", "train/images/a.tif.msk"),
    ],
)
def test_foreign_files_where_prepared_ones_belong_are_refused(
    folder: PreparedFolder, name: str
) -> None:
    folder.refuse_foreign_files()
    (folder.path / "train/notes.txt").write_text("fine")
    folder.refuse_foreign_files()
    (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
    (folder.path / name).write_text("mine")
    with pytest.raises(
        OutputError,
        match=f"{name}: was not written by geoseg and would be trained on; move it away",
    ):
        folder.refuse_foreign_files()


@pytest.mark.parametrize(
    "name",
    [
        *("a.tif.aux.xml", "a.tif.ovr", "a.aux", "a.qml", "a.sld", "a.qmd", "project.qgz"),
        *("Thumbs.db", ".DS_Store"),
    ],
)
def test_what_viewers_put_beside_prepared_files_is_left_alone(
    folder: PreparedFolder, name: str
) -> None:
    beside = folder.path / "train/images" / name
    beside.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text("a viewer's")
    folder.refuse_foreign_files()
    assert beside.read_text() == "a viewer's"


@pytest.mark.parametrize("text", ["no json", "{}", '{"tiles": [{"tile": "a"}]}'])
def test_a_manifest_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(
        OutputError, match=r"its manifest cannot be read \(.*\); prepare into another folder"
    ):
        PreparedFolder(tmp_path)


def test_a_file_that_cannot_be_moved_is_one_line(folder: PreparedFolder, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"out: cannot be written \(.*\); choose another DST$"):
        folder.add(tile("c"), tmp_path / "nothing")
    assert "c" not in folder.tiles


def test_the_journal_is_written_before_files_get_their_names(
    folder: PreparedFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    replace, fsync = Path.replace, os.fsync

    def watch(self: Path, target: Path) -> Path:
        seen.append(json.loads((folder.path / ".manifest.jsonl").read_text().splitlines()[-1]))
        return replace(self, target)

    def watch_sync(descriptor: int) -> None:
        fsync(descriptor)
        size = (folder.path / ".manifest.jsonl").stat().st_size
        seen.append({"tile": "on the disk", "complete": os.fstat(descriptor).st_size == size})

    monkeypatch.setattr(Path, "replace", watch)
    monkeypatch.setattr(os, "fsync", watch_sync)
    folder.add(tile("c"), stage(tmp_path, tile("c")))
    assert [document["tile"] for document in seen] == ["on the disk", "c", "c"]


def test_checksums_are_those_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
