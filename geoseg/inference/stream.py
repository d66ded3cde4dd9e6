"""One block as a stream: a reader one lattice row ahead, finished bands out.

    reader thread   | row i+1 |          one lattice row ahead, into the buffer that is free
    caller's thread | row i   | forward, stitch -> Band i -> yielded

Two buffers go round, so that memory is what the plan says and the heap does not fragment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import DeviceError, ModelError
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from geoseg.inference.stitching import Band, classify, make_stitcher
from geoseg.models import Model
from geoseg.prefetch import prefetch
from geoseg.raster import Source
from geoseg.raster.undeclared import PREDICT, refuse_impossible
from geoseg.tiling import Block, TileGrid, Window
from geoseg.tiling.grid import Stitch


@dataclass(slots=True)
class _Strip:
    """The pixels under one lattice row of a block."""

    lattice_row: int
    area: Window
    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    """The valid pixels that get a class."""


def predict_bands(
    model: Model,
    source: Source,
    *,
    window: int | None = None,
    overlap: int | None = None,
    stitch: Stitch = "blend",
    batch: int | None = 1,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    scales: tuple[float, ...] = (1.0,),
    flip: bool = False,
    source_range: tuple[float, float] | None = None,
) -> Iterator[Band]:
    """Predict a raster in this process, yielding whole-width bands from top to bottom.

    Memory is bounded by the raster's width; nothing is written. Validation and notebooks use it.

    Args:
        model: the model.
        source: the raster, bands in the model's order.
        window: side of the windows, pixels; None: the card's.
        overlap: pixels that windows share; None: the card's.
        stitch: ``blend`` or ``crop``.
        batch: windows per forward; None: as many as suit the device.
        device: ``cpu`` or ``cuda[:N]``.
        precision: what the network computes in.
        scales: sizes at which each window is run.
        flip: run each also mirrored.
        source_range: the source's values that mean the card's value range.
    """
    card = model.card
    grid = TileGrid(
        source.height,
        source.width,
        card.window if window is None else window,
        card.overlap if overlap is None else overlap,
        stitch,
    )
    predictor = Predictor(
        model, ForwardOptions(device, precision, scales, flip, source_range), batch
    )
    block = Block(grid, Window(0, 0, source.height, source.width))
    for _, band in stream_block(block, source, predictor):
        yield band


def stream_block(
    block: Block,
    source: Source,
    predictor: Predictor,
    *,
    min_confidence: float = 0.0,
    probabilities: bool = False,
    wanted: Collection[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_window: Callable[[int], None] = lambda _: None,
) -> Generator[tuple[int, Band], None, None]:
    """Predict one block, yielding ``(lattice row, band)`` from top to bottom.

    Args:
        block: the area and its windows.
        source: the raster, bands in the model's order.
        predictor: the model, ready to run.
        min_confidence: valid pixels whose probability is below it get 254.
        probabilities: bands also carry the probabilities of all classes.
        wanted: lattice rows whose bands are needed, None for all; only windows that touch them run.
        stopped: asked before each forward; True ends the stream with KeyboardInterrupt.
        on_window: called with the number of windows that were run or found empty.

    Raises:
        SourceError: the raster cannot be read, or holds values that nobody can have measured.
        ModelError: the network does not fit into memory or gives NaN.
    """
    bands = {row: band for row, band in block.bands() if wanted is None or row in wanted}
    rows = sorted({row for band in bands.values() for row in block.rows_for(band)})
    stitcher = make_stitcher(block, predictor.classes)
    strips = _strips(block, source, rows, predictor.value_range)
    for strip in prefetch(strips, 1, "geoseg-reader"):
        for passed, columns in _batches(block, strip, predictor.batch):
            if stopped():
                raise KeyboardInterrupt
            if columns:
                windows = _probabilities(block, source, strip, columns, predictor)
                for column, window in zip(columns, windows, strict=True):
                    stitcher.add(strip.lattice_row, column, window)
            on_window(passed)
        band = bands.get(strip.lattice_row)
        if band is not None:
            scores, totals = stitcher.finish(band)
            finished = classify(
                band,
                scores,
                totals,
                strip.wanted[band.slices(strip.area.row, strip.area.col)],
                min_confidence=min_confidence,
                probabilities=probabilities,
            )
            yield strip.lattice_row, finished


def _probabilities(
    block: Block, source: Source, strip: _Strip, columns: list[int], predictor: Predictor
) -> NDArray[np.float32]:
    """The probabilities of some windows, with the place of those that fail."""
    pixels, valid = _windows_of(block, strip, columns)
    try:
        return predictor.probabilities(pixels, valid)
    except DeviceError:
        raise
    except ModelError as error:
        left = block.grid.window_at(strip.lattice_row, columns[0]).col
        values = np.moveaxis(pixels, 1, 0)[:, valid]
        raise ModelError(
            f"{source.path}: window at row {strip.area.row}, column {left}, "
            f"values {values.min():g} to {values.max():g}: {error}"
        ) from error


def _batches(block: Block, strip: _Strip, size: int) -> Iterator[tuple[int, list[int]]]:
    """Lattice columns in batches, with the number of columns that each passes.

    Columns whose window has no valid pixel that is wanted are in no batch, but count as passed.
    """
    passed = 0
    group: list[int] = []
    for column in block.lattice_cols:
        window = block.grid.window_at(strip.lattice_row, column)
        passed += 1
        if strip.wanted[window.slices(strip.area.row, strip.area.col)].any():
            group.append(column)
        if len(group) == size:
            yield passed, group
            passed, group = 0, []
    if passed:
        yield passed, group


def _windows_of(
    block: Block, strip: _Strip, columns: list[int]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Windows cut from a strip, smaller where the raster is: the network pads what it needs.

    Returns:
        Pixels ``(n, bands, height, width)`` and validity ``(n, height, width)``.
    """
    pixels, valid = [], []
    for column in columns:
        window = block.grid.window_at(strip.lattice_row, column)
        rows, cols = window.slices(strip.area.row, strip.area.col)
        pixels.append(strip.pixels[:, rows, cols])
        valid.append(strip.valid[rows, cols])
    return np.stack(pixels), np.stack(valid)


def _strips(
    block: Block, source: Source, rows: list[int], value_range: tuple[float, float] | None
) -> Iterator[_Strip]:
    """The strips of these lattice rows, in two buffers that go round.

    While the caller holds one strip, the next is read into the other buffer: see `prefetch`. Values
    that cannot lie in the range are refused, for they would spoil all windows that they touch.
    """
    first = block.grid.window_at(0, block.lattice_cols[0])
    last = block.grid.window_at(0, block.lattice_cols[-1])
    left, width, height = first.col, last.col_end - first.col, first.height
    buffers = [
        (
            np.empty((len(source.bands), height, width), source.dtype),
            np.empty((height, width), np.bool_),
        )
        for _ in range(2)
    ]
    before: _Strip | None = None
    with source.open() as reader:
        for row, (pixels, valid) in zip(rows, itertools.cycle(buffers), strict=False):
            area = Window(block.grid.row_starts[row], left, height, width)
            strip = _Strip(row, area, pixels, valid, valid)
            known = _keep_overlap(before, strip)
            if known < height:
                place = (strip.area.row + known, left)
                fresh = reader.read(*place, height - known, width)
                if value_range is not None:
                    refuse_impossible(source, *fresh, value_range, PREDICT, place)
                pixels[:, known:], valid[known:] = fresh
            strip.wanted = source.wanted(valid, area)
            yield strip
            before = strip


def _keep_overlap(before: _Strip | None, strip: _Strip) -> int:
    """Copy the rows that the strip shares with the one before; how many these are.

    before  |-----------------|
    strip             |-----------------|
                      | shared |  read  |      each pixel of the source is read once a block
    """
    shared = 0 if before is None else max(0, before.area.row_end - strip.area.row)
    if before is not None and shared:
        strip.pixels[:, :shared] = before.pixels[:, -shared:]
        strip.valid[:shared] = before.valid[-shared:]
    return shared
