"""Finished bands on disk: one folder per raster, named by the key of what decides its pixels.

    DIR/.geoseg/<folder of the source>/<stem>-<part key>/
        plan.json               blocks, batch, precision, key, checksum: a resumed run keeps them
        0000-00003-classes.tif  block 0, lattice row 3; written after confidence and probabilities
        0000.json               the bands of block 0 that are finished: place, bytes of each file

A part exists under its name only when it is whole. A block's list is replaced after each band, so
that a run is resumed without a look into its parts: one that is listed, and has as many bytes, is
taken for finished. In a bucket the list alone counts, as each look would take a trip to the server.
A part has a checksum of its pixels too, which is compared whenever it is read; where that fails, it
is made anew. A list or a plan that does not verify counts as none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SourceError
from geoseg.inference.band import Band
from geoseg.inference.coming import Coming
from geoseg.inference.verified import read_verified, write_verified
from geoseg.locks import WORK_FOLDER
from geoseg.places import AnyPath, asked, file_sizes, remove_tree
from geoseg.raster import Part, Source, part_is_whole, write_part
from geoseg.stores import StorePath
from geoseg.tiling import Block, TileGrid, Window
from geoseg.unwritable import naming_file

PLAN = "plan.json"
_LONG = 1.0
"""Seconds: a worker that is frozen no longer is not given up, so its run goes on."""


@dataclass(frozen=True, slots=True)
class PartFolder:
    """The parts of one raster."""

    path: AnyPath
    key: str
    """Of the run, from `geoseg.inference.keys.part_key`."""
    source: Source
    classes: int
    confidence: bool
    """Parts also hold the confidence."""
    probabilities: bool
    """Parts also hold the probabilities of all classes."""
    coming: Coming | None = None
    """Which parts are yet to come, for tasks of this process that wait for them."""
    held: dict[str, NDArray[np.uint8]] | None = None
    """By kind, the pixels of a small raster's only band, for tasks of this process: there is
    nothing of it that could be resumed. None: parts are files."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What a part holds, in the order of writing."""
        extra = (("probabilities", self.probabilities), ("confidence", self.confidence))
        return (*(kind for kind, held in extra if held), "classes")

    def part(self, number: int, lattice_row: int, band: Window, kind: str) -> Part:
        """The part of one band of block `number`."""
        path = self.path / f"{number:04d}-{lattice_row:05d}-{kind}.tif"
        wait = None if self.coming is None else partial(self.coming.wait, band)
        held = None if self.held is None else self.held.get(kind)
        return Part(path, band.row, band.col, band.height, band.width, self.key, wait, held)

    def parts(self, blocks: Sequence[Block], kind: str, area: Window | None = None) -> list[Part]:
        """The parts of one kind, in the order of blocks and bands.

        Args:
            blocks: all of the raster.
            kind: of `kinds`.
            area: what they lie in, at least partly; None: the raster.
        """
        return [
            self.part(number, lattice_row, band, kind)
            for number, block in enumerate(blocks)
            if area is None or block.area.intersect(area)
            for lattice_row, band in block.bands()
            if area is None or band.intersect(area)
        ]

    def missing_rows(self, number: int, block: Block) -> Sequence[int]:
        """Lattice rows of a block whose parts are not listed, are gone, or have other sizes."""
        listed = self._finished(number)
        if not listed:  # a large raster may have millions
            return block.band_rows
        return tuple(
            lattice_row
            for lattice_row, band in block.bands()
            if not self._is_finished(number, lattice_row, band, listed.get(str(lattice_row), []))
        )

    def all_missing_rows(self, blocks: Sequence[Block]) -> tuple[Sequence[int], ...]:
        """Those of each block."""
        numbered = enumerate(blocks)
        return tuple(asked(lambda each: self.missing_rows(*each), numbered, self.path))

    def _is_finished(
        self, number: int, lattice_row: int, band: Window, entry: Sequence[int]
    ) -> bool:
        place, sizes = entry[:4], entry[4:]
        if place != _place(band):
            return False
        paths = [self.part(number, lattice_row, band, kind).path for kind in self.kinds]
        return isinstance(self.path, StorePath) or file_sizes(paths) == sizes

    def write(self, number: int, lattice_row: int, band: Band) -> None:
        """Write one band; its classes come last, and then the list of its block.

        Of two processes that write bands of one block at once, one may drop what the other has
        listed; such a band counts as missing.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        if self.held is not None:
            for kind in self.kinds:
                planes = band.labels if kind == "classes" else getattr(band, kind)
                self.held[kind] = planes.reshape(-1, *band.labels.shape)
            return
        parts = [self.part(number, lattice_row, band.area, kind) for kind in self.kinds]
        sizes = [
            write_part(part, band.labels if kind == "classes" else getattr(band, kind))
            for kind, part in zip(self.kinds, parts, strict=True)
        ]
        finished = self._finished(number)
        finished[str(lattice_row)] = [*_place(band.area), *sizes]
        self._write_list(number, finished)
        if self.coming is not None:
            self.coming.came(band.area)

    def remove_damaged(self, number: int, block: Block) -> None:
        """Decode the parts of a block; those that do not verify are removed, and listed no more.

        Raises:
            OutputError: one cannot be removed.
        """
        finished = self._finished(number)
        for lattice_row, band in block.bands():
            for kind in self.kinds:
                part = self.part(number, lattice_row, band, kind)
                if not part_is_whole(part, self.classes if kind == "probabilities" else 1):
                    finished.pop(str(lattice_row), None)
                    with naming_file(part.path):
                        part.path.unlink(missing_ok=True)
        self._write_list(number, finished)

    def _write_list(self, number: int, finished: dict[str, list[int]]) -> None:
        document = {"key": self.key, **self._held, "finished": finished}
        write_verified(self._list_path(number), document, sync=False)

    def _finished(self, number: int) -> dict[str, list[int]]:
        """By lattice row, place and sizes of a block's parts; empty where no list verifies."""
        document = read_verified(self._list_path(number), self.key) or {}
        held = {name: document.get(name) for name in self._held}
        return document["finished"] if held == self._held else {}

    @property
    def _held(self) -> dict[str, Any]:
        """What the entries of a list are about."""
        return {"kinds": list(self.kinds), "classes": self.classes}

    def _list_path(self, number: int) -> AnyPath:
        return self.path / f"{number:04d}.json"

    def read_plan(self, grid: TileGrid) -> tuple[list[Block], int | None] | None:
        """Blocks and batch of the run that began here.

        None where none did, or where the file is damaged or another run's: a new plan is made.
        """
        if self.held is not None:
            return [Block(grid, self.source.extent)], None
        document = read_verified(self._plan_path, self.key)
        if document is None:
            return None
        blocks = [Block(grid, Window(*area)) for area in document["blocks"]]
        begun = self.coming is not None or any(
            self._list_path(number).exists() for number in range(len(blocks))
        )
        return (blocks, document["batch"]) if begun else None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write into the folder, unless its run has ended, or was never begun.

        Others may have finished what a worker held that was frozen: it is to leave nothing behind,
        also where it was frozen in the middle of this.

        Raises:
            SourceError: the plan is gone.
        """
        if self._has_ended():
            raise SourceError(
                f"{self.path}: the plan of this raster is gone, as its run has ended; "
                "run the command again, which makes what is missing"
            )
        began = time.monotonic()
        try:
            yield
        finally:
            # Not after each: in a bucket, a look takes a trip to the server.
            if time.monotonic() - began > _LONG and self._has_ended():
                self.remove()

    def _has_ended(self) -> bool:
        return self.held is None and not self._plan_path.exists()

    def write_plan(self, blocks: Sequence[Block], batch: int | None, precision: str) -> None:
        """Start a run: record what a later one must keep (precision is only informative).

        Raises:
            OutputError: the folder cannot be written.
        """
        if self.held is not None:
            return
        document = {
            "key": self.key,
            "source": str(self.source.path.absolute()),
            "precision": precision,
            "batch": batch,
            "blocks": [_place(block.area) for block in blocks],
        }
        # Of a single band, a power cut takes nothing with the plan that could be continued.
        bands = sum(len(block.band_rows) for block in blocks)
        write_verified(self._plan_path, document, sync=bands > 1)

    @property
    def _plan_path(self) -> AnyPath:
        return self.path / PLAN

    def remove(self) -> None:
        """Remove the folder and what is in it, and the folders above it that are left empty."""
        remove_tree(self.path)
        for folder in self.path.parents if isinstance(self.path, Path) else ():
            if folder.name == WORK_FOLDER or not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()


def _place(area: Window) -> list[int]:
    return [area.row, area.col, area.height, area.width]
