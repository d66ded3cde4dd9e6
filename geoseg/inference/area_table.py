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
from geoseg.places import AnyPath, existing_files, path_below, refuse_folders

AREAS, ZONES = "areas.csv", "zones.csv"
_COLUMNS = ("class", "pixels", "m2", "ha", "share")
"""After the one that says where."""
_TOTAL = "total"


@dataclass(frozen=True, slots=True)
class ClassAreas:
    """What each class covers on a sheet, or on several, and last what is uncertain."""

    raster: AnyPath | None
    """The class raster; None: several."""
    pixels: NDArray[Any]
    """Whole ones; parts of them in a zone."""
    metres: NDArray[np.float64]
    """Square metres; NaN without CRS."""
    zone: int | None = None
    """The polygon that is measured, if one is."""

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
            pixels = round(self.pixels[index].item(), 4)
            rows.append([sheet, name, pixels, *sizes, round(share, 6)])
        return rows

    def of_classes(self, names: Sequence[str]) -> dict[str, float | None]:
        """Square metres of each class by its name; None where they are not known."""
        known = (None if math.isnan(each) else round(each, 4) for each in self.metres[:-1].tolist())
        return dict(zip(names, known, strict=True))


def total_areas(areas: Iterable[ClassAreas]) -> ClassAreas:
    """All sheets, or zones, together: what several of them show counts as often."""
    listed = list(areas)
    pixels = np.sum([each.pixels for each in listed], axis=0)
    metres = np.sum([each.metres for each in listed], axis=0)
    return ClassAreas(None, pixels, metres)


def areas_of_sheets(areas: Iterable[ClassAreas], names: Sequence[str]) -> dict[str, float | None]:
    """Square metres of each class on all sheets together; see `ClassAreas.of_classes`."""
    sheets = [each for each in areas if each.zone is None]
    return total_areas(sheets).of_classes(names) if sheets else {}


def areas_of_zones(areas: Iterable[ClassAreas], names: Sequence[str]) -> list[dict[str, Any]]:
    """Pixels and square metres of each class in each zone that is seen, in their order."""
    found = []
    for zone, parts in _by_zone(areas).items():
        total = total_areas(parts)
        pixels = [round(count, 4) for count in total.pixels.tolist()]
        found.append(
            {
                "zone": zone,
                "pixels": dict(zip(names, pixels, strict=False)),
                "uncertain_pixels": pixels[-1],
                "areas_m2": total.of_classes(names),
            }
        )
    return found


def is_own_table(path: AnyPath, column: str) -> bool:
    """Whether there is a table of geoseg's, which begins with this column."""
    if not existing_files(path):
        return False
    head = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return head.strip() == ",".join((column, *_COLUMNS))


def refuse_foreign_areas(folder: AnyPath, *, overwrite: bool) -> None:
    """Refuse to replace a table of this name that geoseg has not written, unless that is wanted.

    Raises:
        OutputError: there is one; or a folder of its name.
    """
    for name, column in ((AREAS, "sheet"), (ZONES, "zone")):
        path = folder / name
        refuse_folders([path])
        if not overwrite and existing_files(path) and not is_own_table(path, column):
            raise OutputError(
                f"{path} exists and was not written by geoseg predict; use --overwrite to replace "
                "it, or choose another --out"
            )


def write_areas(
    folder: AnyPath, areas: Sequence[ClassAreas], names: Sequence[str], *, zones: bool = False
) -> None:
    """Write the tables: a row a class of each sheet, then of all; likewise of zones.

    Args:
        folder: of the outputs; the names of sheets are paths below it.
        areas: of each sheet, and of zones on each of them.
        names: of the classes.
        zones: whether zones were measured, of which there may be none on the sheets.

    Raises:
        OutputError: it cannot be written.
    """
    sheets = [each for each in areas if each.zone is None]
    rows = []
    for each in sheets:
        if each.raster is not None:
            below = path_below(folder, each.raster).with_suffix("").as_posix()
            rows += each.rows(below.removesuffix("_classes"), names)
    rows += total_areas(sheets).rows(_TOTAL, names)
    _write(folder / AREAS, "sheet", rows)
    if zones:
        parts = [(str(zone), total_areas(found)) for zone, found in _by_zone(areas).items()]
        rows = [row for zone, found in parts for row in found.rows(zone, names)]
        _write(folder / ZONES, "zone", rows)


def _by_zone(areas: Iterable[ClassAreas]) -> dict[int, list[ClassAreas]]:
    """What lies on each sheet of each zone, by the zone's number."""
    zones: dict[int, list[ClassAreas]] = {}
    for each in areas:
        if each.zone is not None:
            zones.setdefault(each.zone, []).append(each)
    return dict(sorted(zones.items()))


def _write(path: AnyPath, first_column: str, rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((first_column, *_COLUMNS))
    table.writerows(rows)
    write_text(path, text.getvalue())
