from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.classes import ClassScheme
from geoseg.datasets.tiles import Tile, TileReader, open_tile
from geoseg.errors import RunError, SourceError
from geoseg.inference.fork_server import START_METHOD, fork_server
from geoseg.tiling import Window
from geoseg.training import patches as module
from geoseg.training.patches import Batch, Patches, batches
from geoseg.training.recipe import Augment, Recipe
from geoseg.training.sampling import Balanced

MakeTile = Callable[..., Tile]
SCHEME = ClassScheme.from_names([f"class {index}" for index in range(200)])
STILL = Augment(flip=False, turn=False)
RECIPE = Recipe(steps=6, batch=3, crop=16, seed=5)
RANGE = (0.0, 255.0)


@pytest.fixture(autouse=True, scope="module")
def _one_fork_server() -> Iterator[None]:
    """For all workers, as each would take seconds to import torch."""
    with fork_server([module.__name__]):
        yield


def coded_tile(
    make_tile: MakeTile, name: str = "a", height: int = 64, width: int = 80, first: int = 0
) -> Tile:
    """A tile whose pixels say what their label is."""
    ids = (np.arange(height * width).reshape(1, height, width) * 7 % 90 + first).astype(np.uint8)
    return make_tile(name, image=np.repeat(ids, 3, axis=0), labels=ids)


def equal(first: Batch, second: Batch) -> bool:
    return all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("cache", [0.0, 1.0])
def test_pixels_and_labels_come_from_the_same_place(make_tile: MakeTile, cache: float) -> None:
    patches = Patches([coded_tile(make_tile)], SCHEME, replace(RECIPE, cache=cache), RANGE)
    for number in range(20):
        pixels, valid, labels, place = patches[number]
        assert (pixels.shape, pixels.dtype) == ((3, 16, 16), torch.float32)
        assert (labels.dtype, place.dtype) == (torch.int64, torch.int64)
        assert (place[0], *place[3:]) == (0, 16, 16)
        np.testing.assert_array_equal(pixels[1], labels)
        assert valid.all()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_tiles_are_read_once_where_they_fit_into_memory_together(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    tile = coded_tile(make_tile)
    needed = tile.bytes * max(1, workers) / 2**30
    read = TileReader.read
    for share, times in ((1.0, 1), (0.99, 4)):
        windows: list[Window] = []

        def counting(reader: TileReader, window: Window, windows: list[Window] = windows) -> Any:
            windows.append(window)
            return read(reader, window)

        monkeypatch.setattr(TileReader, "read", counting)
        recipe = replace(RECIPE, workers=workers, cache=share * needed)
        patches = Patches([tile], SCHEME, recipe, RANGE)
        for number in range(4):
            patches[number]
        assert len(windows) == times


def test_a_patch_is_a_function_of_seed_and_number(make_tile: MakeTile) -> None:
    tiles = [coded_tile(make_tile)]
    one, other = (Patches(tiles, SCHEME, RECIPE, RANGE) for _ in range(2))
    for number in (4, 0, 9):
        np.testing.assert_array_equal(one[number][0], other[number][0])
    reseeded = Patches(tiles, SCHEME, replace(RECIPE, seed=6), RANGE)
    assert not np.array_equal(one[0][0], reseeded[0][0])
    assert not np.array_equal(one[0][0], one[1][0])


@pytest.mark.parametrize(
    ("workers", "start"),
    [(0, None), (2, START_METHOD), pytest.param(1, "spawn", marks=pytest.mark.slow)],
)
def test_batches_do_not_depend_on_workers_or_on_a_stop_in_between(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch, workers: int, start: str | None
) -> None:
    recipe = replace(
        RECIPE, cache=0, augment=Augment(scale=(0.5, 2.0), brightness=0.1, contrast=0.1)
    )
    tiles = [coded_tile(make_tile, "a"), coded_tile(make_tile, "b", 33, 40, first=90)]
    made = Patches(
        tiles, SCHEME, recipe, RANGE, Balanced([np.array([[0, 9, 9], [1, 30, 2]], np.int32)])
    )
    expected = list(batches(made, recipe))
    assert [len(batch.labels) for batch in expected] == [3] * 6
    started: list[str] = []
    if start is not None:
        context = multiprocessing.get_context(start)
        monkeypatch.setattr(module, "START_METHOD", start)
        real = context.Process.start
        monkeypatch.setattr(
            context.Process, "start", lambda process: (started.append(start), real(process))
        )
    # The same patches, whose files are open by now: workers must not read through them.
    rest = list(batches(made, replace(recipe, workers=workers), first_step=2))
    assert len(rest) == 4
    assert all(map(equal, expected[2:], rest))
    assert started == [start] * workers


def test_no_worker_is_forked_from_a_process_with_threads() -> None:
    """Else it may wait for ever for a lock that a thread of its parent held at that moment."""
    assert START_METHOD != "fork"


def test_processes_share_the_batches_out_between_them(make_tile: MakeTile) -> None:
    patches, recipe = (
        Patches([coded_tile(make_tile)], SCHEME, RECIPE, RANGE),
        replace(RECIPE, batch=4),
    )
    whole = list(batches(patches, recipe, 1))
    halves = [list(batches(patches, recipe, 1, rank=rank, processes=2)) for rank in range(2)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert equal(batch, Batch(*(torch.cat(pair) for pair in zip(first, second, strict=True))))


def test_a_batch_splits_into_parts_in_order(make_tile: MakeTile) -> None:
    batch = next(batches(Patches([coded_tile(make_tile)], SCHEME, RECIPE, RANGE), RECIPE))
    parts = list(batch.split(3))
    assert [len(part.labels) for part in parts] == [1, 1, 1]
    assert equal(batch, Batch(*(torch.cat(pieces) for pieces in zip(*parts, strict=True))))


def test_patches_may_be_wider_than_high(make_tile: MakeTile) -> None:
    recipe = replace(RECIPE, crop=(8, 24), augment=Augment(turn=False, scale=(0.5, 2.0)))
    patches = Patches([coded_tile(make_tile, height=20, width=30)], SCHEME, recipe, RANGE)
    for number in range(20):
        pixels, valid, labels, _ = patches[number]
        assert (pixels.shape, valid.shape, labels.shape) == ((3, 8, 24), (8, 24), (8, 24))


def test_the_place_says_where_a_patch_is_from(make_tile: MakeTile) -> None:
    tile = coded_tile(make_tile)
    patches = Patches([tile], SCHEME, replace(RECIPE, augment=STILL), RANGE)
    with TileReader(tile, SCHEME) as reader:
        for number in range(5):
            _, _, labels, place = patches[number]
            np.testing.assert_array_equal(labels, reader.read(Window(*map(int, place[1:]))).labels)


def test_large_tiles_are_seen_more_often(make_tile: MakeTile) -> None:
    tiles = [
        coded_tile(make_tile, "large", 64, 96),
        coded_tile(make_tile, "small", 32, 64, first=90),
    ]
    patches = Patches(tiles, SCHEME, RECIPE, RANGE)
    drawn = [patches[number][3][0] for number in range(400)]
    assert np.mean(drawn) == pytest.approx(0.25, abs=0.06)


def test_every_pixel_can_be_seen(make_tile: MakeTile) -> None:
    ids = np.arange(20 * 9, dtype=np.uint8).reshape(1, 20, 9)
    patches = Patches(
        [make_tile(image=ids.repeat(3, 0), labels=ids)], SCHEME, replace(RECIPE, crop=8), RANGE
    )
    seen = {value for number in range(200) for value in np.unique(patches[number][2])}
    assert seen == set(range(180))


def test_a_tile_smaller_than_the_crop_is_mirrored_without_labels(make_tile: MakeTile) -> None:
    tile = coded_tile(make_tile, height=5, width=30)
    recipe = replace(RECIPE, crop=16, augment=STILL)
    pixels, valid, labels, _ = Patches([tile], SCHEME, recipe, RANGE)[0]
    np.testing.assert_array_equal(
        pixels, np.pad(pixels[:, :5], ((0, 0), (0, 11), (0, 0)), mode="reflect")
    )
    assert valid.all()
    assert (labels[5:] == 255).all()
    assert (labels[:5] != 255).all()


def test_windows_without_a_label_are_drawn_again(make_tile: MakeTile) -> None:
    labels = np.full((1, 96, 96), 255, np.uint8)
    labels[0, :24, :24] = 1
    tile = make_tile(image=np.ones((3, 96, 96), np.uint8), labels=labels)
    patches = Patches([tile], SCHEME, RECIPE, RANGE)
    assert np.mean([(patches[number][2] != 255).any() for number in range(40)]) > 0.6


def test_files_are_closed_where_there_are_too_many(
    make_tile: MakeTile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OPEN_TILES", 2)
    tiles = [coded_tile(make_tile, f"t{n}", 32, 32) for n in range(4)]
    patches = Patches(tiles, SCHEME, replace(RECIPE, cache=0), RANGE)
    assert {int(patches[number][3][0]) for number in range(30)} == {0, 1, 2, 3}
    assert len(patches._readers) == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_in_the_middle_is_named_in_one_line(
    make_tile: MakeTile, make_raster: Callable[..., Path], workers: int
) -> None:
    rng = np.random.default_rng(0)
    blocks = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    image = make_raster(
        "torn.tif", data=rng.integers(1, 255, (3, 1024, 1024), dtype=np.uint8), **blocks
    )
    labels = make_raster("labels.tif", data=np.zeros((1, 1024, 1024), np.uint8))
    recipe = replace(RECIPE, workers=workers, cache=0, steps=2000)
    made = batches(Patches([open_tile(image, labels)], SCHEME, recipe, RANGE), recipe)
    next(made)
    os.truncate(image, image.stat().st_size // 2)
    with pytest.raises(SourceError, match=r"^[^\n]*torn\.tif[^\n]*$"):
        list(made)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_while_training_is_named_in_one_line(
    make_tile: MakeTile, workers: int
) -> None:
    tile = coded_tile(make_tile)
    recipe = replace(RECIPE, workers=workers, cache=0)
    made = batches(Patches([tile], SCHEME, recipe, RANGE), recipe)
    tile.image.path.write_bytes(b"torn")
    with pytest.raises(SourceError, match=r"^[^\n]*a\.tif[^\n]*$"):
        list(made)
    assert not multiprocessing.active_children()  # also before the collector of cycles has run


def test_a_worker_that_dies_is_told_in_one_line_with_what_to_do(
    make_tile: MakeTile,
) -> None:
    recipe = replace(RECIPE, workers=1, cache=0, steps=2000)
    made = batches(Patches([coded_tile(make_tile)], SCHEME, recipe, RANGE), recipe)
    next(made)
    (worker,) = multiprocessing.active_children()
    worker.kill()
    with pytest.raises(RunError, match=r"^[^\n]*worker process[^\n]*memory[^\n]*workers=0[^\n]*$"):
        list(made)


@pytest.mark.parametrize("error", [OSError, RuntimeError])
def test_what_a_worker_raises_is_no_death_of_it(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(_: object) -> None:
        raise error("Caught it in DataLoader worker process 0.\nOriginal Traceback ...")

    monkeypatch.setattr(module, "_batch", broken)
    with pytest.raises(error, match=r"^Caught it"):
        list(module._from_workers([()]))  # type: ignore[arg-type]


def test_the_thread_ends_when_the_caller_leaves_early(make_tile: MakeTile) -> None:
    made = batches(Patches([coded_tile(make_tile)], SCHEME, RECIPE, RANGE), RECIPE)
    next(made)
    made.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("geoseg") for thread in threading.enumerate())
