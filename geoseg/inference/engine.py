"""The tasks of a raster, for any process that sees the sources and the output folder.

    predict_block   windows that touch missing rows -> parts
        reader thread -> forward, stitch (the calling thread) -> writer thread
    verify_block    parts -> those that are whole
    make_raster     parts -> one Cloud-Optimized GeoTIFF
    make_index      those of a raster that is cut into squares -> the index over them
    make_preview    class raster, imagery -> picture

Those of its polygons are in `geoseg.inference.polygons`.

Each is idempotent: it can be run again, elsewhere, or twice at once; what it leaves is the same.
Parts on disk are the only state, so a task is small: it names what it needs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.classes import ClassScheme
from geoseg.errors import SourceError
from geoseg.inference.band import Band
from geoseg.inference.decision import Asked
from geoseg.inference.finished_classes import classes_at_hand, count_classes
from geoseg.inference.measurement import probe_forward
from geoseg.inference.outputs import (
    Output,
    write_raster,
    write_raster_index,
)
from geoseg.inference.parts import PartFolder
from geoseg.inference.predictor import Predictor
from geoseg.inference.probe import Probe, peak_memory
from geoseg.inference.stream import stream_block
from geoseg.places import AnyPath
from geoseg.raster import GDAL_CACHE_BYTES, Source, has_fingerprint, place_of, write_preview
from geoseg.tiling import Block, TileGrid, Window
from geoseg.vector import AreaLimit, Cleaning, Drawing


@dataclass(frozen=True, slots=True)
class Process:
    """What a process holds for all tasks that run in it."""

    predictor: Predictor
    classes: ClassScheme
    threads: int
    """That a task may use besides its own."""
    on_window: Callable[[int], None]
    """Called with the number of windows that were run or found empty."""
    stopped: Callable[[], bool] = lambda: False
    """Asked now and then; True ends a task with KeyboardInterrupt."""
    forward: AbstractContextManager[Any] = field(default_factory=threading.Lock)
    """Held while a block runs: one at a time, whatever threads there are."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the tasks of one raster share."""

    folder: PartFolder
    grid: TileGrid
    min_confidence: float
    batch: int | None
    """Windows per forward; None where geoseg chooses."""
    cleaning: Cleaning = field(default_factory=Cleaning)
    """Of its polygons."""
    attributes: tuple[str, ...] = ()
    """Of these, beside those that all have."""
    area: int | None = None
    """Pixels whose polygons a task makes at most, unless a part has more; None: as usual."""

    @property
    def labels_kind(self) -> str:
        """The kind of the parts that its polygons are made from."""
        return "classes" if self.cleaning.min_area is None else "cleaned"

    def limit(self, classes: ClassScheme) -> AreaLimit:
        """What is too small in it, where anything is."""
        return self.cleaning.limit(classes.names, *self._place)

    def drawing(self, classes: ClassScheme) -> Drawing:
        """How the borders of cleaned polygons are drawn."""
        return self.cleaning.drawing(classes.names, *self._place)

    @property
    def _place(self) -> tuple[Affine, Any, int, int]:
        source, shown = self.folder.source, self.folder.source.extent
        return place_of(source.transform, shown), source.crs, shown.height, shown.width

    @property
    def origin(self) -> tuple[int, int]:
        """The corner of what is shown of the source, from which its polygons are counted."""
        return self.folder.source.extent.row, self.folder.source.extent.col

    def on_extent(self, area: Window) -> Window:
        """An area of the source's grid, counted from the corner of what is shown of it."""
        row, col = self.origin
        return area.moved(-row, -col)

    def area_file(self, level: int, index: int, what: str) -> AnyPath:
        """What a task leaves of an area of `area_tree` for others."""
        return self.folder.path / f"polygons-{level}-{index:05d}-{what}.zip"

    def blocks(self) -> list[Block]:
        """As the plan of the raster's run has them.

        Raises:
            SourceError: the plan is gone or damaged.
        """
        known = self.folder.read_plan(self.grid)
        if known is None:
            raise SourceError(
                f"{self.folder.path}: the plan of this raster is missing or damaged; "
                "run the command again, which makes a new one"
            )
        return known[0]


class BlockResult(NamedTuple):
    """What a block took."""

    forwards: int
    """Windows that were run."""
    forward_seconds: float
    """Time spent in them."""
    peak_memory: int
    """Peak memory of the process so far, bytes."""
    cells: int = 0
    """That were encoded, where windows share."""


def predict_block(
    process: Process, sheet: Sheet, number: int, area: Window, missing: bytes
) -> BlockResult:
    """Write the missing parts of one block.

    Args:
        process: where it runs.
        sheet: the raster.
        number: of the block among those of its raster.
        area: what it covers.
        missing: lattice rows whose bands are to be written, from `pack_rows`.

    Raises:
        SourceError: the raster cannot be read, or its run has ended meanwhile.
        OutputError: a part cannot be written.
        ModelError: the network does not fit into memory or gives NaN.
    """
    block = Block(sheet.grid, area)
    with process.forward:
        predictor = process.predictor.with_batch(sheet.batch)
        forwards, seconds, cells = predictor.forwards, predictor.seconds, predictor.encodings
        bands = stream_block(
            block,
            sheet.folder.source,
            predictor,
            asked=Asked(sheet.folder.confidence, sheet.folder.probabilities, sheet.min_confidence),
            wanted=frozenset(unpack_rows(missing, block)),
            stopped=process.stopped,
            on_window=process.on_window,
        )
        with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES), closing(bands):
            _write_bands(sheet.folder, number, bands)
        return BlockResult(
            predictor.forwards - forwards,
            predictor.seconds - seconds,
            peak_memory(),
            predictor.encodings - cells,
        )


def measure(process: Process, source: Source, grid: TileGrid) -> Probe:
    """What one window of a raster takes in this process.

    Raises:
        ModelError: the network does not fit into memory or gives NaN.
    """
    with process.forward:
        return probe_forward(process.predictor, source, grid)


def pack_rows(rows: Iterable[int], block: Block) -> bytes:
    """Some of a block's `band_rows`, a bit each: a resumed block may lack any of thousands."""
    wanted = np.zeros(len(block.band_rows), np.bool_)
    wanted[[row - block.band_rows.start for row in rows]] = True
    return np.packbits(wanted).tobytes()


def unpack_rows(packed: bytes, block: Block) -> list[int]:
    """The rows that `pack_rows` was given, in order."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(block.band_rows))
    return (np.flatnonzero(bits) + block.band_rows.start).tolist()


def _write_bands(folder: PartFolder, number: int, bands: Iterator[tuple[int, Band]]) -> None:
    """Write each band in a thread while the next one is predicted."""
    if folder.held is not None:
        for lattice_row, band in bands:
            folder.write(number, lattice_row, band)
        return

    def write(lattice_row: int, band: Band) -> None:
        with folder.writing(), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
            folder.write(number, lattice_row, band)

    before: Future[None] | None = None
    with ThreadPoolExecutor(1, "geoseg-writer") as writer:
        for lattice_row, band in bands:
            if before is not None:
                before.result()  # raises what its writing raised
            before = writer.submit(write, lattice_row, band)
        if before is not None:
            before.result()


def verify_block(
    process: Process,  # noqa: ARG001
    sheet: Sheet,
    number: int,
    area: Window,
) -> None:
    """Remove the parts of one block that are damaged.

    Raises:
        OutputError: one cannot be removed.
    """
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        sheet.folder.remove_damaged(number, Block(sheet.grid, area))


def make_raster(process: Process, sheet: Sheet, output: Output, area: Window) -> NDArray[np.int64]:
    """Turn the parts into a file of an output raster; one that an earlier run has made is kept.

    Returns:
        The pixels of each value 0..255 of its first band: of the class raster, of each code.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        PartError: a part is missing or damaged, or its file is another part.
    """
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        if output.side and has_fingerprint(output.file(area), output.key):
            return count_classes(output.file(area))
        return write_raster(output, sheet.folder, sheet.blocks(), process.classes, area)


def make_index(process: Process, sheet: Sheet, output: Output) -> None:
    """Write the index over the files of a raster that is cut into squares.

    Raises:
        OutputError: the disk is full or the folder cannot be written.
        SourceError: a square is missing or damaged.
    """
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        write_raster_index(output, sheet.folder.source, process.classes)


def count_raster(process: Process, classes: AnyPath) -> NDArray[np.int64]:  # noqa: ARG001
    """Pixels of each code 0..255 of a class raster that exists already.

    Raises:
        SourceError: it cannot be read.
    """
    return count_classes(classes)


def make_preview(process: Process, sheet: Sheet, output: Output, classes: Output) -> None:
    """Draw the class raster and the imagery.

    Raises:
        OutputError: the picture cannot be written.
        SourceError: one of the two cannot be read.
    """
    source = sheet.folder.source
    with (
        rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES),
        classes_at_hand(classes, source, process.classes) as raster,
    ):
        write_preview(
            raster,
            output.path,
            classes=process.classes,
            fingerprint=output.key,
            source=source.target,
            area=output.shown,
        )
