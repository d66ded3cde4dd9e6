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
    """That a cell takes; 0 where windows share none."""
    map_bytes: float
    """A pixel of its maps takes; 0 likewise."""


def _measured(
    predictor: Predictor, source: Source, grid: TileGrid, forwards: int | None
) -> _Measured:
    """Run the window in the raster's middle, and the cell; see `probe_forward`."""
    pixels, valid = _read_middle(source, grid.window)
    x = _normalized(predictor, pixels, valid)
    given: Tensor | Maps = x.expand(predictor.batch, -1, -1, -1)
    cell_seconds = map_bytes = 0.0
    if grid.cells is not None:
        maps, cell_seconds = _encode_cell(predictor, source, grid.cells, x)
        size = sum(each[0, :, 0, 0].numel() * each.element_size() for each in maps.values())
        map_bytes = size / predictor.pitch**2
        given = _repeated(maps, predictor.batch)
    labels = _predict(predictor, given, valid)
    seconds: list[float] = []
    most = _MOST_SECONDS
    while not seconds or (sum(seconds) < most and len(seconds) < 20):
        started = time.perf_counter()
        _predict(predictor, given, valid)
        seconds.append(time.perf_counter() - started)
        if forwards is not None:
            most = min(most, _SHARE * forwards * seconds[0] / predictor.batch)
    return _Measured(labels, statistics.median(seconds), cell_seconds, map_bytes)


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


def _encode_cell(
    predictor: Predictor, source: Source, cells: Cells, window: Tensor
) -> tuple[Maps, float]:
    """Encode the cell in the raster's middle.

    One that takes long is encoded once: the choice of kernels is a small part of it.

    Args:
        predictor: the network.
        source: the raster.
        cells: in what it is encoded.
        window: the one in the raster's middle, ``(1, bands, height, width)``.

    Returns:
        The maps of the window, and the seconds that the cell takes.
    """
    x = _normalized(predictor, *_read_middle(source, cells.size + 2 * cells.halo))
    seconds = 0.0
    for _ in range(2):
        maps: Maps = {}  # two cells are never held at once
        started = time.perf_counter()
        maps = predictor.encode(x)
        check = [float(each.sum()) for each in maps.values()]  # waits for the device
        seconds = time.perf_counter() - started
        if not np.isfinite(check).all():
            raise ModelError(NAN)
        if seconds > _MOST_SECONDS:
            break
    return _middle_of(maps, window, predictor), seconds


def _middle_of(maps: Maps, window: Tensor, predictor: Predictor) -> Maps:
    """The maps of the window, cut from those of the cell around it unless that is smaller."""
    needed = [-(-side // predictor.pitch) for side in window.shape[2:]]
    there = next(iter(maps.values())).shape[2:]
    down, right = ((side - least) // 2 for side, least in zip(there, needed, strict=True))
    if min(down, right) < 0:
        return predictor.encode(window)
    rows, cols = slice(down, down + needed[0]), slice(right, right + needed[1])
    return {name: each[:, :, rows, cols].clone() for name, each in maps.items()}


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
