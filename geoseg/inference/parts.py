"""Finished bands on disk: one folder a raster, named by the key of what decides its pixels.

    DIR/.geoseg/<stem>-<part key>/
        plan.json               blocks, batch, precision: a resumed run keeps them
        0000-00003-classes.tif  block 0, lattice row 3; renamed last, so that it vouches for the others

A part stands under its name only when it is whole. Parts that do not verify count as missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError
from geoseg.inference.blocks import Band
from geoseg.raster import Part, Source, part_is_whole, write_part
from geoseg.tiling import Block, TileGrid, Window

WORK_FOLDER = ".geoseg"
"""Where parts live until the outputs stand, inside the output folder."""


def key_of(facts: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change when any of these facts does."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PartFolder:
    """The parts of one raster."""

    path: Path
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
        """The part of one band."""
        name = f"{number:04d}-{lattice_row:05d}-{kind}.tif"
        return Part(self.path / name, band.row, band.col, band.height, band.width)

    def parts(self, blocks: list[Block], kind: str) -> list[Part]:
        """All parts of one kind, in the order of blocks and bands."""
        return [
            self.part(number, lattice_row, band, kind)
            for number, block in enumerate(blocks)
            for lattice_row, band in block.bands()
        ]

    def missing(self, number: int, block: Block) -> list[int]:
        """Lattice rows of a block whose parts are not there or not whole."""
        return [
            lattice_row
            for lattice_row, band in block.bands()
            if not all(
                part_is_whole(
                    self.part(number, lattice_row, band, kind), self.classes if kind == "probabilities" else 1
                )
                for kind in reversed(self.kinds)
            )
        ]

    def write(self, number: int, lattice_row: int, band: Band) -> None:
        """Write one band; its classes come last.

        Raises:
            OutputError: the disk is full or the folder cannot be written.
        """
        for kind in self.kinds:
            data = getattr(band, "labels" if kind == "classes" else kind)
            write_part(self.part(number, lattice_row, band.area, kind), data)

    def keep_plan(self, blocks: list[Block], batch: int | None) -> tuple[list[Block], int | None, bool]:
        """Blocks and batch to run: those of the run that began here, else the given ones, which are noted.

        Returns:
            ``(blocks, batch, resumed)``.
        """
        path = self.path / "plan.json"
        grid = blocks[0].grid
        if path.is_file():
            known = _read_plan(path, grid)
            if known is not None and any(self.path.glob("*-classes.tif")):
                return *known, True
        document = {
            "batch": batch,
            "blocks": [[block.area.row, block.area.col, block.area.height, block.area.width] for block in blocks],
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(document))
            os.replace(temporary, path)
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}; choose another --out or free the disk"
            ) from error
        return blocks, batch, False

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _read_plan(path: Path, grid: TileGrid) -> tuple[list[Block], int | None] | None:
    """The noted blocks and batch; None where the file is damaged, so that the plan is made anew."""
    try:
        document = json.loads(path.read_text())
        blocks = [Block(grid, Window(*area)) for area in document["blocks"]]
        batch = document["batch"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (
        (blocks, batch)
        if sum(block.area.height * block.area.width for block in blocks) == grid.height * grid.width
        else None
    )
