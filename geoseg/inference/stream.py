"""One block as a stream: rows are read ahead, finished bands come out.

    reader thread   | row i+1 |          read ahead, sent to the device
    caller's thread | row i   | forward, stitch, decide on the device -> band i -> yielded

A batch holds windows of one lattice row on a CPU, whose bits it might change otherwise; on a GPU
those of several, and the copy of a band is not waited for before the next forward is queued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from geoseg.errors import DeviceError, ModelError
from geoseg.inference.band import Band
from geoseg.inference.decision import Asked
from geoseg.inference.encode_options import Encode, EncodeOptions, make_grid
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import NAN, Predictor, lost_device
from geoseg.inference.stitching import Scores, make_stitcher
from geoseg.inference.transfers import Fetched, Fetcher
from geoseg.inference.windows import make_windows
from geoseg.models import Model
from geoseg.raster import Source
from geoseg.tiling import Block, Window
from geoseg.tiling.grid import Stitch
from geoseg.value_ranges import ValueRange


def predict_bands(
    model: Model,
    source: Source,
    *,
    window: int | None = None,
    overlap: int | None = None,
    stitch: Stitch = "blend",
    batch: int | None = None,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    scales: tuple[float, ...] = (1.0,),
    flip: bool = False,
    source_range: ValueRange | None = None,
    encode: Encode = "auto",
    cell: int | None = None,
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
        encode: ``shared``: each pixel once; see `EncodeOptions`, also for the next.
        cell: side of the cells; None: the encoder family's.
    """
    card = model.card
    augmented = scales != (1.0,) or flip
    shared = EncodeOptions(encode, cell).sharing(
        card, window=window, overlap=overlap, augmented=augmented
    )
    grid = make_grid(
        source.height,
        source.width,
        card.window if window is None else window,
        card.overlap if overlap is None else overlap,
        stitch,
        shared,
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
    asked: Asked | None = None,
    wanted: Collection[int] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    on_window: Callable[[int], None] = lambda _: None,
) -> Generator[tuple[int, Band], None, None]:
    """Predict one block, yielding ``(lattice row, band)`` from top to bottom.

    Args:
        block: the area and its windows.
        source: the raster, bands in the model's order.
        predictor: the model, ready to run.
        asked: what bands hold besides classes; None: their confidence.
        wanted: lattice rows whose bands are needed, None for all; only windows that touch them run.
        stopped: asked before each forward; True ends the stream with KeyboardInterrupt.
        on_window: called with the number of windows that were run or found empty.

    Raises:
        SourceError: the raster cannot be read, or holds values that nobody can have measured.
        ModelError: the network does not fit into memory or gives NaN.
    """
    with lost_device(predictor.device):
        stream = _Stream(block, source, predictor, wanted, asked or Asked())
        yield from stream.bands(stopped, on_window)


@dataclass(slots=True)
class _Batch:
    """Windows that are run together, and lattice rows that are complete with them."""

    passed: int = 0
    """Windows of the lattice, also those without a pixel that is wanted, which are not run."""
    places: list[tuple[int, int]] = field(default_factory=list)
    """Lattice row and column of each window, row-major."""
    given: list[Any] = field(default_factory=list)
    """What the network takes of each window."""
    complete: list[tuple[int, Tensor]] = field(default_factory=list)
    """Lattice rows that finish a band, and which of its pixels get a class."""


@dataclass(frozen=True, slots=True)
class _Finished:
    """A band on its way from the device."""

    lattice_row: int
    area: Window
    decision: Fetched
    """Labels, and what else is asked for."""
    asked: Asked
    windows: list[Window]
    """That were added since the band before."""
    checks: Fetched
    """Of each of them, a number that is finite where its probabilities are."""

    def band(self, source: Source) -> tuple[int, Band]:
        """The band, as soon as it is there.

        Raises:
            ModelError: the network has given NaN; with the place and the values of the window.
        """
        held = iter(self.decision.arrays())
        labels = next(held)
        confidence = next(held) if self.asked.confidence else None
        probabilities = next(held) if self.asked.probabilities else None
        (checks,) = self.checks.arrays()
        if not np.isfinite(checks).all():
            window = self.windows[int(np.isfinite(checks).argmin())]
            with source.open() as reader:
                pixels, valid = reader.read(window.row, window.col, window.height, window.width)
            values = pixels[:, valid]
            raise ModelError(
                f"{source.path}: window at row {window.row}, column {window.col}, "
                f"values {values.min():g} to {values.max():g}: {NAN}"
            )
        return self.lattice_row, Band(self.area, labels, confidence, probabilities)


class _Stream:
    """The state of one block that runs."""

    def __init__(
        self,
        block: Block,
        source: Source,
        predictor: Predictor,
        wanted: Collection[int] | None,
        asked: Asked,
    ) -> None:
        self._block, self._source, self._predictor = block, source, predictor
        self._wanted = {row: band for row, band in block.bands() if wanted is None or row in wanted}
        self._asked = asked
        self._stitcher = make_stitcher(block, predictor.classes, predictor.device, asked)
        self._windows = make_windows(block, source, predictor)
        self._fetcher = Fetcher(predictor.device)
        self._added: list[Window] = []
        # One tensor for all of them: a small one made after each window would keep the heap from
        # using the room of its scores for the next window's.
        most = len(block.lattice_rows) * len(block.lattice_cols)
        self._checks = torch.empty(most, device=predictor.device)

    def bands(
        self, stopped: Callable[[], bool], on_window: Callable[[int], None]
    ) -> Generator[tuple[int, Band]]:
        """``(lattice row, band)`` from top to bottom; see `stream_block`."""
        waiting: deque[_Finished] = deque()
        for batch in self._batches():
            if batch.passed and stopped():
                raise KeyboardInterrupt
            with torch.inference_mode():
                waiting.extend(self._run(batch))
            if batch.passed:
                on_window(batch.passed)
            while len(waiting) > self._predictor.ahead:
                yield waiting.popleft().band(self._source)
        for finished in waiting:
            yield finished.band(self._source)

    def _batches(self) -> Iterator[_Batch]:
        """The windows of the lattice that touch wanted bands, row-major."""
        block, windows, predictor = self._block, self._windows, self._predictor
        needed = sorted({row for band in self._wanted.values() for row in block.rows_for(band)})
        batch = _Batch()
        for row in windows.rows(needed):
            for column in block.lattice_cols:
                window = block.grid.window_at(row, column)
                batch.passed += 1
                if windows.has_wanted(window):
                    batch.places.append((row, column))
                    batch.given.append(windows.given(window))
                if len(batch.places) >= predictor.batch:
                    yield batch
                    batch = _Batch()
            if row in self._wanted:
                wanted = windows.wanted(self._wanted[row])
                # What stays on the device while the windows roll on is a copy.
                batch.complete.append((row, wanted.clone() if predictor.across else wanted))
            if not (predictor.across and batch.places):
                yield batch
                batch = _Batch()
        yield batch

    def _run(self, batch: _Batch) -> Iterator[_Finished]:
        """Run and stitch the windows; the bands that are finished with them."""
        complete = deque(batch.complete)
        values = self._scores(batch) if batch.places else ()
        for (row, column), scores in zip(batch.places, values, strict=True):
            while complete and complete[0][0] < row:
                yield self._finish(*complete.popleft())
            window = self._block.grid.window_at(row, column)
            # At the far edges of the raster what the network says may reach beyond it.
            inside = Scores(scores.values[:, : window.height, : window.width], scores.logits)
            self._checks[len(self._added)] = self._stitcher.add(row, column, inside)
            self._added.append(window)
        for row, valid in complete:
            yield self._finish(row, valid)

    def _scores(self, batch: _Batch) -> Iterator[Scores]:
        try:
            values, logits = self._windows.scores(batch.given)
        except DeviceError:
            raise
        except ModelError as error:
            raise ModelError(f"{self._source.path}: {error}") from error
        return (Scores(each, logits) for each in values)

    def _finish(self, lattice_row: int, valid: Tensor) -> _Finished:
        area = self._wanted[lattice_row]
        decision = self._stitcher.decide(area, valid)
        windows, self._added = self._added, []
        checks = self._checks[: len(windows)].clone()
        there = [each for each in decision if each is not None]
        fetch = self._fetcher.fetch
        return _Finished(lattice_row, area, fetch(there), self._asked, windows, fetch([checks]))
