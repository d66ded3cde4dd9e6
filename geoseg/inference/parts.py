"""Finished bands on disk: one folder per raster, named by the key of what decides its pixels.

    DIR/.geoseg/<folder of the source>/<stem>-<part key>/
        plan.json               blocks, batch, precision, key, checksum: a resumed run keeps them
        0000-00003-classes.tif  block 0, lattice row 3; written after confidence and probabilities

A part exists under its name only when it is whole. Parts that do not verify count as missing, and
a plan that does not verify counts as none.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.files import write_text
from geoseg.inference.stitching import Band
from geoseg.locks import WORK_FOLDER
from geoseg.raster import Part, Source, part_is_whole, write_part
from geoseg.tiling import Block, TileGrid, Window

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class PartFolder:
    """The parts of one raster."""

    path: Path
    key: str
    """Of the run, from `geoseg.inference.keys.part_key`."""
    source: Source
    classes: int
    confidence: bool
    """Parts also hold the confidence."""
    probabilities: bool
    """Parts also hold the probabilities of all classes."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What a part holds, in the order of writing."""
        extra = (("probabilities", self.probabilities), ("confidence", self.confidence))
        return (*(kind for kind, held in extra if held), "classes")

    def part(self, number: int, lattice_row: int, band: Window, kind: str) -> Part:
        """The part of one band of block `number`."""
        name = f"{number:04d}-{lattice_row:05d}-{kind}.tif"
        return Part(self.path / name, band.row, band.col, band.height, band.width, self.key)

    def parts(self, blocks: Sequence[Block], kind: str) -> list[Part]:
        """All parts of one kind, in the order of blocks and bands."""
        return [
            self.part(number, lattice_row, band, kind)
            for number, block in enumerate(blocks)
            for lattice_row, band in block.bands()
        ]

    def missing_rows(self, number: int, block: Block) -> tuple[int, ...]:
        """Lattice rows of a block whose parts do not exist or are damaged; each part is decoded."""
        if not self.path.is_dir():  # a large raster may have millions
            return tuple(block.band_rows)
        return tuple(
            lattice_row
            for lattice_row, band in block.bands()
            if not self._is_whole(number, lattice_row, band)
        )

    def _is_whole(self, number: int, lattice_row: int, band: Window) -> bool:
        # Classes are written last: where they are missing, the others need no look.
        return all(
            part_is_whole(
                self.part(number, lattice_row, band, kind),
                self.classes if kind == "probabilities" else 1,
            )
            for kind in reversed(self.kinds)
        )

    def write(self, number: int, lattice_row: int, band: Band) -> None:
        """Write one band; its classes come last.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        for kind in self.kinds:
            data = band.labels if kind == "classes" else getattr(band, kind)
            write_part(self.part(number, lattice_row, band.area, kind), data)

    def read_plan(self, grid: TileGrid) -> tuple[list[Block], int | None] | None:
        """Blocks and batch of the run that began here.

        None where none did, or where the file is damaged or another run's: a new plan is made.
        """
        if not any(self.path.glob("*-classes.tif")):
            return None
        try:
            document = json.loads(self._plan_path.read_text(encoding="utf-8"))
            checksum = document.pop("checksum")
            verified = (document["key"], checksum) == (self.key, _checksum(document))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if not verified:
            return None
        blocks = [Block(grid, Window(*area)) for area in document["blocks"]]
        return blocks, document["batch"]

    def write_plan(self, blocks: Sequence[Block], batch: int | None, precision: str) -> None:
        """Start a run: record what a later one must keep (precision is only informative).

        Raises:
            OutputError: the folder cannot be written.
        """
        areas = [
            [block.area.row, block.area.col, block.area.height, block.area.width]
            for block in blocks
        ]
        document = {
            "key": self.key,
            "source": str(self.source.path.absolute()),
            "precision": precision,
            "batch": batch,
            "blocks": areas,
        }
        write_text(self._plan_path, json.dumps({**document, "checksum": _checksum(document)}))

    @property
    def _plan_path(self) -> Path:
        return self.path / PLAN

    def remove(self) -> None:
        """Remove the folder and what is in it, and the folders above it that are left empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        for folder in self.path.parents:
            if folder.name == WORK_FOLDER or not folder.is_dir() or any(folder.iterdir()):
                return
            folder.rmdir()


def _checksum(document: Mapping[str, Any]) -> str:
    """8 hexadecimal digits of a plan without its own checksum."""
    return f"{zlib.crc32(json.dumps(document, sort_keys=True).encode()):08x}"
