"""What became of the features of label files: how many were drawn, cut, and left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.report import counted
from geoseg.vector import Features, Placed

_COUNTS = ("burnt", "clipped", "outside")


@dataclass(frozen=True, slots=True)
class DrawnFeatures:
    """The features of one file on one raster."""

    path: Path
    """Of the file."""
    raster: Path
    count: int
    """Features in the file."""
    polygons: int
    """Those that hold polygons."""
    here: frozenset[int]
    """Those that lie on the raster, by their number."""
    clipped: frozenset[int]
    """Those of them that reach beyond it."""
    dropped: tuple[tuple[str, int], ...]
    """Geometries of the file that hold no area, by type."""
    warnings: tuple[str, ...]
    """About the file."""

    @classmethod
    def of(cls, features: Features, placed: Placed, raster: Path) -> DrawnFeatures:
        """Those of a file that was placed on a raster."""
        return cls(
            features.path,
            raster,
            features.count,
            features.with_polygons,
            frozenset(placed.feature.tolist()),
            frozenset(placed.feature[placed.beyond].tolist()),
            tuple(sorted(features.dropped.items())),
            features.warnings,
        )


def feature_counts(drawn: Iterable[DrawnFeatures]) -> list[dict[str, Any]]:
    """A row for each file over all its rasters, ready for JSON.

    ``burnt`` features lie on a raster, and ``clipped`` ones of them reach beyond its edge;
    ``outside`` ones lie on none; ``dropped`` geometries hold no area.
    """
    rows = []
    for path, found in _by_file(drawn).items():
        burnt = frozenset[int]().union(*(one.here for one in found))
        clipped = frozenset[int]().union(*(one.clipped for one in found))
        rows.append(
            {
                "file": str(path),
                "features": found[0].count,
                "burnt": len(burnt),
                "clipped": len(clipped),
                "outside": found[0].polygons - len(burnt),
                "dropped": dict(found[0].dropped),
            }
        )
    return rows


def describe_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `feature_counts` on one line for people."""
    burnt, clipped, outside = (sum(row[key] for row in rows) for key in _COUNTS)
    dropped = sum(sum(row["dropped"].values()) for row in rows)
    return (
        f"{counted(burnt, 'polygon feature')} of {counted(len(rows), 'file')} burnt, {clipped:,} "
        f"of them clipped; {outside:,} outside the images, {dropped:,} without an area"
    )


def feature_warnings(drawn: Iterable[DrawnFeatures]) -> list[str]:
    """Lines about what of the files was left out, and about files that miss their only raster."""
    lines: list[str] = []
    for path, found in _by_file(drawn).items():
        first = found[0]
        lines += first.warnings
        if len(found) == 1 and first.polygons and not first.here:
            lines.append(
                f"{path}: none of its {counted(first.polygons, 'polygon')} lies on {first.raster}; "
                "check both coordinate systems"
            )
    return lines


def _by_file(drawn: Iterable[DrawnFeatures]) -> dict[Path, list[DrawnFeatures]]:
    found: dict[Path, list[DrawnFeatures]] = {}
    for one in drawn:
        found.setdefault(one.path, []).append(one)
    return found
