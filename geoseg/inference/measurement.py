"""What this machine takes now for a window of a raster, and for work of a known size: measured."""

from __future__ import annotations

import statistics
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geoseg.errors import ModelError, SourceError
from geoseg.inference.decision import Asked
from geoseg.inference.predictor import NAN, Predictor
from geoseg.inference.probe import Probe, peak_memory
from geoseg.inference.stitching import Scores, make_stitcher
from geoseg.memory import held_memory, trim_heap
from geoseg.models.context.base import Maps
from geoseg.raster import Source
from geoseg.tiling import Block, Cells, TileGrid, Window
from geoseg.vector import polygonize_part
from geoseg.vector.components import find_components
from geoseg.vector.outlines import find_corners

_MOST_SECONDS, _SHARE = 0.5, 0.01
"""For forwards that are measured: seconds, and what of the time of the run's own."""
PATTERN_SECONDS = 0.0065
"""CPU time of polygonizing `_pattern` once, where the plan's seconds were measured."""


def probe_forward(
    predictor: Predictor, source: Source, grid: TileGrid, forwards: int | None = None
) -> Probe:
    """Measure the window in the raster's middle, and the cell where windows share.

    The first time also chooses kernels and allocates, and does not count; of one or more, as many
    as half a second has room for, or a hundredth of the run, the median does: other work slows down
    the run too, but no single hitch.

    Args:
        predictor: the network.
        source: the raster.
        grid: its lattice.
        forwards: windows that are left to run; None: many.
    """
    # In a thread, as blocks run: what kernels keep for a thread goes with it, and beside the main
    # thread's pool another pool of OpenMP does not spin, which on a busy machine makes a difference
    # of ten times.
    with ThreadPoolExecutor(1, "geoseg-probe") as thread:
        found = thread.submit(_measured, predictor, source, grid, forwards).result()
    peak = peak_memory()
    trim_heap()
    held = held_memory()
    labels = found.labels
    components = find_components(labels, None)
    started = time.thread_time()  # a thousandth of a second: too short to meet other load
    zlib.compress(labels.tobytes())
    deflated = time.thread_time() - started
    return Probe(
        found.seconds / predictor.batch,
        peak,
        components.class_id.size / labels.size,
        find_corners(components).region.size / labels.size,
        deflated / labels.size,
        _slowness(),
        found.cell_seconds,
        found.map_bytes,
        predictor.at_once,
        held,
        4 * predictor.classes * labels.size,
    )


class _Measured(NamedTuple):
    labels: NDArray[Any]
    """``(height, width)`` classes of the window."""
    seconds: float
    """Of a batch."""
    cell_seconds: float
    map_bytes: float
    """Of a cell, as `_encode_cell` finds them."""


def _measured(
    predictor: Predictor, source: Source, grid: TileGrid, forwards: int | None
) -> _Measured:
    """Run the window in the raster's middle, and the cell; see `probe_forward`."""
    pixels, valid = _read_middle(source, grid.window)
    x = _normalized(predictor, pixels, valid).expand(predictor.batch, -1, -1, -1)
    given = x if grid.cells is None else _repeated(predictor.encode(x[:1]), predictor.batch)
    # A cell may take seconds, so it is run once: kernels were chosen for the window.
    cell = _encode_cell(predictor, source, grid.cells)
    labels = _predict(predictor, given, valid)
    seconds: list[float] = []
    most = _MOST_SECONDS
    while not seconds or (sum(seconds) < most and len(seconds) < 20):
        started = time.perf_counter()
        _predict(predictor, given, valid)
        seconds.append(time.perf_counter() - started)
        if forwards is not None:
            most = min(most, _SHARE * forwards * seconds[0] / predictor.batch)
    return _Measured(labels, statistics.median(seconds), *cell)


def _read_middle(source: Source, window: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels and validity of the window in the raster's middle."""
    height, width = min(window, source.height), min(window, source.width)
    pixels = np.zeros((len(source.bands), height, width), source.dtype)
    valid = np.zeros((height, width), np.bool_)
    # Damaged pixels fail the raster in its own run; here zeros do for them.
    with suppress(SourceError), source.open() as reader:
        place = ((source.height - height) // 2, (source.width - width) // 2, height, width)
        pixels[:], valid[:] = reader.read(*place)
    return pixels, valid


def _encode_cell(predictor: Predictor, source: Source, cells: Cells | None) -> tuple[float, float]:
    """Seconds that a cell takes, and bytes a pixel of its maps; nothing where there is none."""
    if cells is None:
        return 0.0, 0.0
    x = _normalized(predictor, *_read_middle(source, cells.size + 2 * cells.halo))
    started = time.perf_counter()
    maps = predictor.encode(x)
    check = [float(each.sum()) for each in maps.values()]  # waits for the device
    seconds = time.perf_counter() - started
    if not np.isfinite(check).all():
        raise ModelError(NAN)
    size = sum(each[0, :, 0, 0].numel() * each.element_size() for each in maps.values())
    return seconds, size / predictor.pitch**2


def _repeated(maps: Maps, count: int) -> Maps:
    return {name: x.expand(count, -1, -1, -1) for name, x in maps.items()}


def _normalized(predictor: Predictor, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> Tensor:
    there, known = (torch.from_numpy(array)[None].to(predictor.device) for array in (pixels, valid))
    return predictor.normalize(there, known)


def _predict(predictor: Predictor, given: Tensor | Maps, valid: NDArray[np.bool_]) -> NDArray[Any]:
    """``(height, width)`` classes of a batch of equal windows, made as a block makes them."""
    height, width = valid.shape
    area = Window(0, 0, height, width)
    grid = TileGrid(height, width, max(height, width), 0)
    known = torch.from_numpy(valid).to(predictor.device)
    stitcher = make_stitcher(Block(grid, area), predictor.classes, predictor.device, Asked())
    run = predictor.scores if isinstance(given, Tensor) else predictor.context_scores
    values, logits = run(given)  # type: ignore[arg-type]  # which one it is goes with it
    for each in values:
        if not stitcher.add(0, 0, Scores(each[:, :height, :width], logits)).isfinite():
            raise ModelError(NAN)
        decision = stitcher.decide(area, known)
    return decision.labels.cpu().numpy()


def _slowness() -> float:
    """How many times longer than its CPU time elsewhere the same work takes here and now."""
    pattern = _pattern()
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < 0.1:
        started = time.perf_counter()
        polygonize_part(pattern, pattern, 0, 0)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:]) / PATTERN_SECONDS


def _pattern() -> NDArray[np.uint8]:
    """Squares of random classes: some thousand small polygons."""
    cells = np.random.default_rng(0).integers(0, 6, (64, 64), np.uint8)
    return cells.repeat(2, 0).repeat(2, 1)
