"""The table of what each class covers, on each sheet and on all of them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutputError
from geoseg.files import write_text
from geoseg.places import AnyPath, existing_files, path_below

AREAS = "areas.csv"
_COLUMNS = ("sheet", "class", "pixels", "m2", "ha", "share")
_TOTAL = "total"


@dataclass(frozen=True, slots=True)
class ClassAreas:
    """What each class covers on a sheet, or on several, and last what is uncertain."""

    raster: AnyPath | None
    """The class raster; None: several."""
    pixels: NDArray[np.int64]
    metres: NDArray[np.float64]
    """Square metres; NaN without CRS."""

    def rows(self, sheet: str, names: Sequence[str]) -> list[list[Any]]:
        """A row a class, and one of what is uncertain where anything is.

        Args:
            sheet: what the first column says.
            names: of the classes.
        """
        known = not np.isnan(self.metres).any()
        measured = self.metres if known else self.pixels.astype(np.float64)
        shares = measured / max(measured.sum(), np.finfo(np.float64).tiny)
        listed = [*names, "uncertain"] if self.pixels[-1] else names
        rows = []
        for index, name in enumerate(listed):
            metres, share = float(self.metres[index]), float(shares[index])
            sizes = [round(metres, 4), round(metres / 1e4, 8)] if known else ["", ""]
            rows.append([sheet, name, int(self.pixels[index]), *sizes, round(share, 6)])
        return rows

    def of_classes(self, names: Sequence[str]) -> dict[str, float | None]:
        """Square metres of each class by its name; None where they are not known."""
        known = (None if math.isnan(each) else round(each, 4) for each in self.metres[:-1].tolist())
        return dict(zip(names, known, strict=True))


def total_areas(areas: Iterable[ClassAreas]) -> ClassAreas:
    """All sheets together: what several of them show counts as often."""
    listed = list(areas)
    pixels = np.sum([each.pixels for each in listed], axis=0)
    metres = np.sum([each.metres for each in listed], axis=0)
    return ClassAreas(None, pixels, metres)


def refuse_foreign_areas(folder: AnyPath, *, overwrite: bool) -> None:
    """Refuse to replace a table of this name that geoseg has not written, unless that is wanted.

    Raises:
        OutputError: there is one.
    """
    path = folder / AREAS
    if overwrite or not existing_files(path):
        return
    head = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    if head.strip() != ",".join(_COLUMNS):
        raise OutputError(
            f"{path} exists and was not written by geoseg predict; use --overwrite to replace it, "
            "or choose another --out"
        )


def write_areas(folder: AnyPath, areas: Sequence[ClassAreas], names: Sequence[str]) -> None:
    """Write the table: a row a class of each sheet, then of all together.

    Args:
        folder: of the outputs; the names of sheets are paths below it.
        areas: of each sheet.
        names: of the classes.

    Raises:
        OutputError: it cannot be written.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for each in areas:
        if each.raster is not None:
            below = path_below(folder, each.raster).with_suffix("").as_posix()
            table.writerows(each.rows(below.removesuffix("_classes"), names))
    table.writerows(total_areas(areas).rows(_TOTAL, names))
    write_text(folder / AREAS, text.getvalue())
