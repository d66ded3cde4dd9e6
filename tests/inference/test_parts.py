"""Parts on disk: what they hold, which are missing, and the plan that a resumed run keeps."""

from __future__ import annotations

import itertools
import json
import os
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError, SourceError
from geoseg.inference import parts as parts_module
from geoseg.inference.band import Band
from geoseg.inference.parts import PartFolder
from geoseg.raster import open_raster, read_part
from geoseg.tiling import Block, TileGrid, Window

GRID = TileGrid(64, 80, 16, 4)
BLOCKS = GRID.blocks(40)
NUMBERED = list(enumerate(BLOCKS))
KEY = "0123456789abcdef"
Make = Callable[..., PartFolder]


@pytest.fixture
def make_folder(make_raster: Callable[..., Path], tmp_path: Path) -> Make:
    def make(confidence: bool = False, probabilities: bool = False) -> PartFolder:
        path = tmp_path / "out/.geoseg/north/scene-0123"
        return PartFolder(path, KEY, open_raster(make_raster()), 3, confidence, probabilities)

    return make


def band_at(area: Window) -> Band:
    shape = (area.height, area.width)
    labels = np.full(shape, 1, np.uint8)
    return Band(area, labels, np.full(shape, 2, np.uint8), np.full((3, *shape), 3, np.uint8))


def fill(folder: PartFolder) -> None:
    for number, block in enumerate(BLOCKS):
        for lattice_row, band in block.bands():
            folder.write(number, lattice_row, band_at(band))


@pytest.mark.parametrize(
    ("held", "kinds"),
    [
        ({}, ("classes",)),
        ({"confidence": True}, ("confidence", "classes")),
        ({"probabilities": True}, ("probabilities", "classes")),
        (
            {"confidence": True, "probabilities": True},
            ("probabilities", "confidence", "classes"),
        ),
    ],
)
def test_classes_are_written_last(
    make_folder: Make, held: dict[str, bool], kinds: tuple[str, ...], monkeypatch: Any
) -> None:
    folder, written = make_folder(**held), []
    monkeypatch.setattr(
        parts_module, "write_part", lambda part, data: written.append((part.path.name, data.max()))
    )
    folder.write(2, 13, band_at(Window(0, 0, 4, 5)))
    values = {"classes": 1, "confidence": 2, "probabilities": 3}
    assert folder.kinds == kinds
    assert written == [(f"0002-00013-{kind}.tif", values[kind]) for kind in kinds]


def test_a_part_lies_where_its_band_does(make_folder: Make) -> None:
    folder = make_folder()
    folder.path.mkdir(parents=True)
    folder.write(1, 2, band_at(Window(3, 4, 5, 6)))
    part = folder.part(1, 2, Window(3, 4, 5, 6), "classes")
    assert (part.row, part.col, part.height, part.width) == (3, 4, 5, 6)
    assert part.path == folder.path / "0001-00002-classes.tif"
    np.testing.assert_array_equal(read_part(part)[0], np.ones((5, 6)))


def test_parts_tile_the_raster_in_the_order_of_blocks_and_bands(make_folder: Make) -> None:
    seen = np.zeros((64, 80), int)
    parts = make_folder().parts(BLOCKS, "confidence")
    for part in parts:
        seen[part.row : part.row + part.height, part.col : part.col + part.width] += 1
    assert (seen == 1).all()
    assert [part.path.name for part in parts] == sorted(part.path.name for part in parts)
    assert parts[0].path.name == "0000-00000-confidence.tif"


def test_what_is_absent_or_has_another_size_is_missing(make_folder: Make) -> None:
    folder = make_folder(confidence=True, probabilities=True)
    every = [tuple(row for row, _ in block.bands()) for block in BLOCKS]
    assert [tuple(folder.missing_rows(*each)) for each in enumerate(BLOCKS)] == every
    folder.path.mkdir(parents=True)
    fill(folder)
    assert [folder.missing_rows(*each) for each in enumerate(BLOCKS)] == [()] * len(BLOCKS)
    (folder.path / "0000-00001-confidence.tif").unlink()
    damaged = folder.path / "0000-00002-probabilities.tif"
    damaged.write_bytes(damaged.read_bytes()[:-40])
    (folder.path / "0001-00000-classes.tif").write_bytes(b"")
    assert folder.missing_rows(0, BLOCKS[0]) == (1, 2)
    assert folder.missing_rows(1, BLOCKS[1]) == (0,)


def test_no_part_is_opened_to_see_what_is_missing(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder(confidence=True, probabilities=True)
    fill(folder)
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: pytest.fail("a part was opened"))
    assert [folder.missing_rows(*each) for each in enumerate(BLOCKS)] == [()] * len(BLOCKS)


@pytest.mark.parametrize("kind", ["probabilities", "confidence", "classes"])
def test_damaged_parts_of_the_same_size_are_found_and_removed_on_demand(
    make_folder: Make, kind: str
) -> None:
    folder = make_folder(confidence=True, probabilities=True)
    fill(folder)
    band = dict(BLOCKS[1].bands())[2]
    damaged = folder.part(1, 2, band, kind).path
    content = bytearray(damaged.read_bytes())
    content[-20:] = bytes(20)
    damaged.write_bytes(content)
    assert folder.missing_rows(1, BLOCKS[1]) == (), "nobody has read it yet"
    for number, block in enumerate(BLOCKS):
        folder.remove_damaged(number, block)
    missing = {number: tuple(folder.missing_rows(number, each)) for number, each in NUMBERED}
    assert missing == {number: (2,) if number == 1 else () for number, _ in NUMBERED}
    assert not damaged.exists()


@pytest.mark.parametrize("removed", [0, 1])
def test_of_a_list_with_any_byte_changed_no_band_is_taken_that_is_not_there(
    make_folder: Make, removed: int
) -> None:
    folder = make_folder()
    fill(folder)
    (folder.path / "0000-00002-classes.tif").unlink()
    file = folder.path / "0000.json"
    text = file.read_bytes()
    rows = tuple(BLOCKS[0].band_rows)
    for place in range(len(text)):
        file.write_bytes(text[:place] + b"7" + text[place + removed :])
        assert folder.missing_rows(0, BLOCKS[0]) in ((2,), BLOCKS[0].band_rows), place
    file.unlink()
    assert tuple(folder.missing_rows(0, BLOCKS[0])) == rows


def test_a_list_is_replaced_whole_after_each_band(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed at any step leaves bands that are listed and there, or count as missing."""
    folder = make_folder(confidence=True)
    steps: list[str] = []
    replace_file = os.replace

    def replacing(built: Any, path: Any) -> None:
        steps.append(Path(path).name)
        replace_file(built, path)

    monkeypatch.setattr(os, "replace", replacing)
    for lattice_row, band in itertools.islice(BLOCKS[0].bands(), 2):
        folder.write(0, lattice_row, band_at(band))
    names = [[f"0000-{row:05d}-{kind}.tif" for kind in folder.kinds] for row in (0, 1)]
    assert steps == [*names[0], "0000.json", *names[1], "0000.json"]


def test_a_part_of_another_shape_is_missing(make_folder: Make) -> None:
    folder = make_folder(probabilities=True)
    folder.path.mkdir(parents=True)
    fill(folder)
    other = PartFolder(folder.path, KEY, folder.source, 4, confidence=False, probabilities=True)
    assert list(other.missing_rows(0, BLOCKS[0])) == [row for row, _ in BLOCKS[0].bands()]


@pytest.mark.parametrize("batch", [None, 3])
def test_a_resumed_run_finds_blocks_and_batch_as_they_were(
    make_folder: Make, batch: int | None
) -> None:
    folder = make_folder()
    folder.write_plan(BLOCKS, batch, "bf16")
    assert folder.read_plan(GRID) is None, "no part exists yet, so a new plan may be made"
    fill(folder)
    assert folder.read_plan(GRID) == (BLOCKS, batch)
    document = json.loads((folder.path / "plan.json").read_text())
    assert document["precision"] == "bf16"
    assert document["blocks"][1] == [0, 40, 40, 40]
    assert not [path for path in folder.path.iterdir() if path.name.startswith(".")]


def test_a_plan_is_on_the_disk_before_it_takes_its_name(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut must not leave parts beside an empty plan, from which another would be made."""
    folder, steps = make_folder(), list[str]()
    replace, fsync = os.replace, os.fsync

    def synced(number: int) -> None:
        fsync(number)
        steps.append(json.loads(os.pread(number, 10**6, 0))["precision"])

    def moved(built: Path, path: Path) -> None:
        replace(built, path)
        steps.append(path.name)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", moved)
    folder.write_plan(BLOCKS, 1, "bf16")
    assert steps == ["bf16", "plan.json"]
    steps.clear()
    alone = TileGrid(30, 40, 40, 0)
    folder.write_plan(alone.blocks("auto", classes=4), 1, "fp32")
    assert steps == ["plan.json"], "a raster of one band does not wait for the disk"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"batch": 1}',
        '{"blocks": [[0, 0, 64, 80]]}',
        '{"batch": 1, "blocks": [[0, 0, 64, 79]]}',
        '{"batch": 1, "blocks": [[0, 0, 64]]}',
        '{"batch": 1, "blocks": [[0, 0, 64, 80], [0, 0, 64, 80]]}',
        '{"batch": 1, "blocks": [[0, -1, 64, 80]]}',
    ],
)
def test_a_damaged_plan_is_made_anew(make_folder: Make, text: str) -> None:
    folder = make_folder()
    folder.write_plan(BLOCKS, 1, "fp32")
    fill(folder)
    (folder.path / "plan.json").write_text(text)
    assert folder.read_plan(GRID) is None


@pytest.mark.parametrize(
    "characters", ["7", pytest.param(string.printable + "\0é", marks=pytest.mark.slow)]
)
def test_a_plan_with_any_character_changed_is_no_plan_or_the_same(
    make_folder: Make, characters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each place: every character in place of the one there, before it, and none."""
    folder = make_folder()
    folder.write_plan(BLOCKS, 12, "fp32")
    fill(folder)
    text = (folder.path / "plan.json").read_text()
    changed = [
        text[:place] + new + text[place + removed :]
        for place in range(len(text) + 1)
        for removed, new in [(1, ""), *itertools.product((0, 1), characters)]
    ]
    refused = 0
    for other in changed:
        monkeypatch.setattr(Path, "read_text", lambda *_, other=other, **__: other)
        found = folder.read_plan(GRID)
        assert found in (None, (BLOCKS, 12)), other
        refused += found is None
    assert refused > 0.8 * len(changed)


def test_a_plan_of_another_run_is_none(make_folder: Make) -> None:
    folder = make_folder()
    folder.write_plan(BLOCKS, 1, "fp32")
    fill(folder)
    assert replace(folder, key="fedcba9876543210").read_plan(GRID) is None


def test_of_another_layout_only_parts_of_the_same_place_are_taken(make_folder: Make) -> None:
    """As where the plan is lost and the next run has other blocks: names meet, places do not."""
    folder = make_folder()
    fill(folder)
    places = {part.path.name: part for part in folder.parts(BLOCKS, "classes")}
    for size in (16, 28, 52, 64, 80):
        for number, block in enumerate(GRID.blocks(size)):
            bands = dict(block.bands())
            for lattice_row in bands.keys() - set(folder.missing_rows(number, block)):
                taken = folder.part(number, lattice_row, bands[lattice_row], "classes")
                assert places[taken.path.name] == taken


def test_parts_of_another_run_are_missing(make_folder: Make) -> None:
    folder = make_folder()
    fill(folder)
    other = replace(folder, key="fedcba9876543210")
    assert list(other.missing_rows(0, BLOCKS[0])) == [row for row, _ in BLOCKS[0].bands()]


def test_a_plan_of_one_block_is_read(make_folder: Make) -> None:
    folder = make_folder()
    whole = [Block(GRID, Window(0, 0, 64, 80))]
    folder.write_plan(whole, 1, "fp32")
    fill(folder)
    assert folder.read_plan(GRID) == (whole, 1)


def test_a_folder_that_cannot_be_written_is_named(make_folder: Make, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match=r"plan\.json: cannot be written"):
        make_folder().write_plan(BLOCKS, 1, "fp32")


def test_who_was_frozen_while_it_wrote_leaves_nothing_of_a_run_that_has_ended(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    folder.write_plan(BLOCKS, 3, "fp32")
    band = next(iter(BLOCKS[0].bands()))[1]
    frozen = 0.0
    monkeypatch.setattr(parts_module.time, "monotonic", lambda: frozen)
    with folder.writing():  # as long as the run goes on, what is late stays
        frozen += 60
        folder.write(0, 0, band_at(band))
    assert folder.part(0, 0, band, "classes").path.exists()
    with folder.writing():
        folder.remove()
        frozen += 60
        folder.write(0, 0, band_at(band))
    assert not folder.path.exists()
    with pytest.raises(SourceError, match="has ended"), folder.writing():
        pytest.fail("nothing is written")


def test_removing_takes_empty_folders_along_up_to_the_work_folder(make_folder: Make) -> None:
    folder = make_folder()
    folder.write_plan(BLOCKS, 1, "fp32")
    work = folder.path.parents[1]
    folder.remove()
    assert list(work.iterdir()) == []
    folder.write_plan(BLOCKS, 1, "fp32")
    other = folder.path.with_name("scene-4567")
    other.mkdir()
    folder.remove()
    assert list(work.rglob("*")) == [other.parent, other]
    folder.remove()  # twice does no harm
