"""The peak of a run against sums that are written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from geoseg.inference.choice import Choice
from geoseg.inference.peak import peak_of
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe

GDAL = 64 * 2**20
LARGE = 2**33
"""Beside it all that a process holds anyway is small."""


def rasters_with(**held: Any) -> RasterPlan:
    sizes = {"pixels": 10**6, "windows": 9, "forwards": 12, "window_pixels": 400, "blocks": 1}
    return RasterPlan(**{**sizes, "memory": GDAL, "output": 0, **held})


PROBE = Probe(0.5, 3000, held_bytes=2000)
NOTHING = {rasters: peak_of(rasters_with(), PROBE, Choice(2), rasters) for rasters in (1, 2)}


def more(rasters: int = 1, choice: Choice | None = None, **held: Any) -> int:
    """Bytes beyond a run of nothing, on two threads unless another choice is given."""
    return (
        peak_of(rasters_with(**held), PROBE, choice or Choice(2), rasters)
        - NOTHING[min(2, rasters)]
    )


@pytest.mark.parametrize("what", ["drawing", "assembled"])
def test_of_one_raster_files_come_after_blocks_and_the_larger_counts(what: str) -> None:
    files = more(**{what: LARGE})
    assert files == pytest.approx(LARGE, rel=0.1)
    assert more(memory=LARGE) == pytest.approx(LARGE, rel=0.1)
    assert more(memory=LARGE, **{what: LARGE // 2}) == more(memory=LARGE)
    kept = more(memory=LARGE // 2, **{what: LARGE}) - files
    assert 0 < kept < LARGE / 10, "the heap may keep some of a block"


def test_files_of_one_raster_are_made_beside_the_blocks_of_the_next() -> None:
    both = {"memory": LARGE, "assembled": LARGE}
    assert more(2, **both) == pytest.approx(2 * LARGE, rel=0.05)
    assert more(2, Choice(2, beside=False), **both) < 1.2 * LARGE
    assert more(2, drawing=LARGE) == pytest.approx(2 * LARGE, rel=0.05), "two previews"
    assert more(9, drawing=LARGE) == more(2, drawing=LARGE)


def test_files_of_a_single_raster_are_begun_beside_its_blocks() -> None:
    both: dict[str, Any] = {"memory": LARGE, "assembled": LARGE, "files_begun": True}
    assert more(**both) == pytest.approx(2 * LARGE, rel=0.05)
    assert more(choice=Choice(2, begun=False), **both) < 1.2 * LARGE
    assert more(choice=Choice(2, beside=False), **both) < 1.2 * LARGE
    workers = [
        peak_of(rasters_with(**{**both, "files_begun": each}), PROBE, Choice(workers=2))
        for each in (True, False)
    ]
    assert workers[0] == workers[1]


def test_polygons_grow_with_pixels_regions_and_corners_and_with_the_tasks_at_once() -> None:
    probe = Probe(0.5, 3000, regions_per_pixel=0.25, corners_per_pixel=2.0)

    def polygons(choice: Choice, areas: int = 1, written: int = 0) -> int:
        of = rasters_with(polygonized=2**26, areas=areas, written=written)
        return peak_of(of, probe, choice) - peak_of(rasters_with(), probe, choice)

    one = int(2**26 * (20 + 260 / 4 + 100 * 2))
    assert polygons(Choice()) == pytest.approx(one, rel=0.02)
    assert polygons(Choice(2)) == pytest.approx(one, rel=0.02), "there is one area"
    assert polygons(Choice(2), areas=3) == pytest.approx(2 * one, rel=0.02)
    all_held = peak_of(rasters_with(regions=2**32), probe, Choice())
    assert all_held - peak_of(rasters_with(), probe, Choice()) == 2**30
    vanishing = rasters_with(polygonized=2**26, cleaned=2**40)
    decided = peak_of(vanishing, probe, Choice(2)) - peak_of(rasters_with(), probe, Choice(2))
    assert decided == pytest.approx(2**38, rel=0.02), "in one task, before polygons are made"
    assert polygons(Choice(), written=2**28) == pytest.approx(one + 2**28 * 2 * 33, rel=0.02)


def test_what_the_measured_window_was_stitched_in_counts_once() -> None:
    probe = Probe(0.5, LARGE, held_bytes=2000, stitched_bytes=2**30)
    alone = peak_of(rasters_with(memory=LARGE), Probe(0.5, LARGE, held_bytes=2000), Choice())
    assert peak_of(rasters_with(memory=LARGE), probe, Choice()) == alone - 2**30


def test_maps_and_whole_strips_of_a_source_are_held_by_blocks() -> None:
    probe = Probe(0.5, 3000, map_bytes=8.0)
    mapped = peak_of(rasters_with(mapped=2**28, memory=LARGE), probe, Choice())
    assert mapped - peak_of(rasters_with(memory=LARGE), probe, Choice()) == 2**31
    assert more(decoded=LARGE) == LARGE


def test_each_worker_holds_the_model_and_what_one_thing_takes_and_so_does_the_client() -> None:
    held = {"memory": LARGE, "assembled": LARGE}
    alone = peak_of(rasters_with(**held), PROBE, Choice())
    for workers in (1, 3):
        for rasters in (1, 5):
            peak = peak_of(rasters_with(**held), PROBE, Choice(workers=workers), rasters)
            assert peak == 3000 + workers * alone
