"""The time of a run against formulas written out by hand."""

from __future__ import annotations

import pytest

from geoseg.inference.choice import Choice
from geoseg.inference.duration import (
    CLUSTER_SECONDS,
    WORKER_SECONDS,
    gains_by_files_begun,
    quicker_by_workers,
    seconds_of,
)
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe

ALONE = Choice()
START = 0.75
FILES = START + 0.025 + 0.016
"""Seconds for libraries, for one raster, and for one plane of a million pixels."""


def plan(**changes: int) -> RasterPlan:
    given = {"pixels": 10**6, "windows": 9, "forwards": 12, "window_pixels": 400, "blocks": 1}
    return RasterPlan(**{**given, "memory": 0, "output": 0, **changes})


def test_workers_share_the_forwards_as_far_as_the_machine_has_room() -> None:
    probe = Probe(0.5, 10_000, at_once=2)
    assert seconds_of(plan(), probe, Choice(workers=0)) == pytest.approx(6.0 + FILES)
    one, two, three = (seconds_of(plan(), probe, Choice(workers=workers)) for workers in (1, 2, 3))
    assert one == pytest.approx(6.0 + FILES + CLUSTER_SECONDS + WORKER_SECONDS)
    assert two == pytest.approx(3.0 + FILES + CLUSTER_SECONDS + WORKER_SECONDS)
    assert three == pytest.approx(3.0 + FILES + CLUSTER_SECONDS + 1.5 * WORKER_SECONDS)


def test_workers_of_a_cluster_that_was_joined_need_no_start() -> None:
    probe = Probe(0.5, 10_000, at_once=100)
    joined = seconds_of(plan(), probe, Choice(workers=100), joined=True)
    assert joined == pytest.approx(6.0 / 100 + FILES)


def test_the_time_counts_planes_previews_and_polygons() -> None:
    probe = Probe(0.0, 10_000, regions_per_pixel=0.5, corners_per_pixel=2.0)
    assert seconds_of(plan(planes=8), probe, ALONE) == pytest.approx(FILES + 7 * 0.016)
    assert seconds_of(plan(), probe, ALONE, rasters=3) == pytest.approx(FILES + 2 * 0.025)
    shared = (3 * 0.025 + 0.016) / 2
    assert seconds_of(plan(), probe, Choice(2), rasters=3) == pytest.approx(START + shared)
    polygons = 0.015 + 0.01 + 500_000 * 5e-6 + 2_000_000 * 1.6e-6
    assert seconds_of(plan(polygonized=1), probe, ALONE) == pytest.approx(FILES + polygons)
    deflated = Probe(0.0, 10_000, deflate_seconds=1e-6)
    assert seconds_of(plan(), deflated, ALONE) == pytest.approx(FILES + 0.65)


def test_a_slow_or_busy_machine_takes_longer_for_files_too() -> None:
    assert seconds_of(plan(), Probe(0.5, 10_000, slowness=4.0), ALONE) == pytest.approx(
        6.0 + 4 * FILES
    )


def test_files_are_begun_early_where_they_take_more_than_a_fiftieth_of_the_network() -> None:
    least = (FILES - START) * 50 / 12
    assert gains_by_files_begun(plan(), Probe(least - 0.01, 10_000))
    assert not gains_by_files_begun(plan(), Probe(least + 0.01, 10_000))
    busy = Probe(least + 0.01, 10_000, slowness=1.1)
    assert gains_by_files_begun(plan(), busy)
    assert not gains_by_files_begun(plan(cells=3), Probe(0.0, 10_000, cell_seconds=6.0))


def test_workers_are_advised_for_many_small_rasters_that_threads_would_make() -> None:
    probe, threads = Probe(0.001, 10_000), Choice(2)
    small = plan(forwards=1000)
    (line,) = quicker_by_workers(small, probe, threads, 900)
    assert line == "      so many small rasters are made in less time with --workers 2"
    assert quicker_by_workers(small, probe, threads, 700) == []
    assert quicker_by_workers(small, Probe(0.1, 10_000), threads, 900) == []  # the network's time
    assert quicker_by_workers(small, probe, Choice(2, workers=2), 900) == []
    assert quicker_by_workers(small, probe, ALONE, 900) == []
