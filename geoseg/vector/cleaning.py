"""How polygons are to be cleaned: the options, and what they mean on one raster."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoseg.errors import ConfigError, SourceError, shown
from geoseg.geodesy import extent
from geoseg.report import shorten
from geoseg.tiling import Window
from geoseg.vector.cells import CELL, Drawing
from geoseg.vector.pixel_areas import PixelAreas
from geoseg.vector.regularize import RightAngles
from geoseg.vector.simplify import Metric

Given = str | float | None
"""A size as a user gives it: 20, "20" or "50px"."""

_ANGLES_WITHIN = 6
"""Times what `simplify` allows: a corner that a network has rounded off is some pixels farther out
than the border."""

_SIZE = re.compile(r"\s*(?P<number>[^\s]+?)\s*(?P<pixels>px)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Size:
    """An area or a length."""

    value: float
    in_pixels: bool
    """Else in square metres, or metres."""

    @property
    def text(self) -> str:
        """As a user gives it."""
        return f"{self.value:g}px" if self.in_pixels else f"{self.value:g}"

    @classmethod
    def of(cls, name: str, given: str | float, unit: str) -> Size:
        """What a user means by 20, "20" or "50px".

        Args:
            name: of the option, for the message.
            given: by the user.
            unit: that a bare number has.

        Raises:
            ConfigError: it is no positive number.
        """
        match = _SIZE.fullmatch(str(given))
        try:
            value = float(match["number"]) if match else math.nan
        except ValueError:
            value = math.nan
        if match is None or isinstance(given, bool) or not 0 < value < math.inf:
            raise ConfigError(
                f"{name} {given!r}: give {unit} above 0, such as 20, or pixels, such as 50px"
            )
        return cls(value, match["pixels"] is not None)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The options that clean polygons, checked once; all off by default."""

    min_area: Size | None = None
    """Smaller regions go to their neighbours."""
    keep: tuple[str, ...] = ()
    """Classes whose regions do not vanish."""
    simplify: Size | None = None
    """How far borders may move."""
    smooth: bool = False
    """Whether their corners are cut off then."""
    regularize: tuple[str, ...] = ()
    """Classes whose regions get right angles."""
    regularize_tolerance: Size | None = None
    """How far their borders may move for that in all; None: six times as far as others."""

    def __post_init__(self) -> None:
        self._check_regularize()
        if self.smooth and self.simplify is None:
            raise ConfigError("smooth: cuts corners of simplified borders; give simplify too")
        if self.keep and self.min_area is None:
            raise ConfigError(
                f"keep {','.join(self.keep)}: says what min_area leaves alone; give min_area too"
            )

    def _check_regularize(self) -> None:
        simplify, tolerance = self.simplify, self.regularize_tolerance
        if self.regularize and simplify is None:
            raise ConfigError(
                f"regularize {','.join(self.regularize)}: straightens simplified borders; give "
                "simplify too, such as 1px"
            )
        if tolerance is not None and not self.regularize:
            raise ConfigError(
                f"regularize_tolerance {tolerance.text}: says how far borders may move for right "
                "angles; give regularize too"
            )
        if tolerance is None or simplify is None:
            return
        if tolerance.in_pixels != simplify.in_pixels or tolerance.value <= simplify.value:
            raise ConfigError(
                f"regularize_tolerance {tolerance.text}: what simplify {simplify.text} moves is "
                "part of it; give more than that, in the same unit"
            )

    @classmethod
    def from_options(
        cls,
        *,
        min_area: Given = None,
        keep: str | Iterable[str] = (),
        simplify: Given = None,
        smooth: bool = False,
        regularize: str | Iterable[str] = (),
        regularize_tolerance: Given = None,
    ) -> Cleaning:
        """From what users give.

        Raises:
            ConfigError: an option has no sense.
        """
        return cls(
            None if min_area is None else Size.of("min_area", min_area, "square metres"),
            class_names("keep", keep),
            None if simplify is None else Size.of("simplify", simplify, "metres"),
            smooth,
            class_names("regularize", regularize),
            None
            if regularize_tolerance is None
            else Size.of("regularize_tolerance", regularize_tolerance, "metres"),
        )

    def facts(self) -> dict[str, Any]:
        """What decides the polygons; empty where nothing is cleaned."""
        lines: dict[str, Any] = {}
        if self.simplify is not None:
            lines = {"simplify": str(self.simplify), "smooth": self.smooth}
        if self.regularize:
            lines |= {"regularize": self.regularize, "by": str(self._angles_within)}
        return self.facts_of_areas() | lines

    def facts_of_areas(self) -> dict[str, Any]:
        """What decides a class raster that follows."""
        return {} if self.min_area is None else {"min_area": str(self.min_area), "keep": self.keep}

    def refuse_unknown(self, names: Sequence[str]) -> None:
        """Refuse classes that are not among those of a model or raster.

        Raises:
            ConfigError: one is not.
        """
        for option in ("keep", "regularize"):
            for name in getattr(self, option):
                if name not in names:
                    known = shorten(names, 20)
                    raise ConfigError(f"{option} {name!r} is no class; the classes are {known}")

    def refuse_unmeasurable(self, path: Any, crs: Any | None) -> None:
        """Refuse metres where the raster says of no pixel how large it is.

        Raises:
            SourceError: it does not.
        """
        for name in ("min_area", "simplify"):
            size: Size | None = getattr(self, name)
            if crs is None and size is not None and not size.in_pixels:
                unit = "square metres" if name == "min_area" else "metres"
                raise SourceError(
                    f"{path}: has no coordinate system, and {name} {size.value:g} is in {unit}; "
                    f"give pixels, such as {size.value:g}px"
                )

    def limit(
        self, names: Sequence[str], transform: Affine, crs: Any | None, height: int, width: int
    ) -> AreaLimit:
        """What is too small on a raster: nothing without `min_area`.

        Args:
            names: of its classes.
            transform: pixel corner to CRS.
            crs: a rasterio CRS, or None.
            height: of the raster, in pixels.
            width: likewise.
        """
        least = self.min_area or Size(0.0, in_pixels=True)
        kept = tuple(number for number, name in enumerate(names) if name in self.keep)
        areas = None if least.in_pixels else PixelAreas.of(transform, crs, height, width)
        return AreaLimit(least.value, kept, areas)

    @property
    def in_cells(self) -> bool:
        """Whether regions side by side are to have the same vertices on their border."""
        return self.min_area is not None or self.simplify is not None

    @property
    def cell(self) -> int:
        """Side of the cells in which they are made then; 0 where they are not."""
        return CELL if self.in_cells else 0

    @property
    def _angles_within(self) -> Size | None:
        """How far right angles may be from where borders were."""
        if self.regularize_tolerance is not None or self.simplify is None:
            return self.regularize_tolerance
        return replace(self.simplify, value=_ANGLES_WITHIN * self.simplify.value)

    def drawing(
        self, names: Sequence[str], transform: Affine, crs: Any | None, height: int, width: int
    ) -> Drawing:
        """How the borders on a raster are drawn.

        Metres are those along the raster's middle row and column. Takes what `limit` takes.
        """
        tolerance, within = self.simplify, self._angles_within
        if tolerance is None or within is None:
            return Drawing()
        metres = None if tolerance.in_pixels else extent(transform, crs, height, width)
        across, down = (1.0, 1.0) if metres is None else (metres[0] / width, metres[1] / height)
        metric = Metric(across / tolerance.value, down / tolerance.value)
        classes = tuple(names.index(name) for name in self.regularize)
        left = within.value - tolerance.value
        angles = RightAngles(classes, Metric(across / left, down / left)) if classes else None
        return Drawing(metric, self.smooth, angles)


@dataclass(frozen=True, slots=True)
class AreaLimit:
    """Which regions of a raster never vanish."""

    least: float
    """Square metres, or pixels where `areas` is None."""
    kept: tuple[int, ...]
    """Classes of which none does."""
    areas: PixelAreas | None

    def __call__(self, class_id: NDArray[np.uint8], area: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether regions of these classes and areas (in units of `weights`) stay for good."""
        unit = 1.0 if self.areas is None else self.areas.unit
        large: NDArray[np.bool_] = unit * area >= self.least
        return large | np.isin(class_id, self.kept)

    def weights(self, window: Window) -> NDArray[np.int64] | None:
        """What each pixel adds to a region's area; None: 1."""
        return None if self.areas is None else self.areas.weights(window)


def class_names(name: str, given: str | Iterable[str]) -> tuple[str, ...]:
    """Class names from a list of them, or from text with commas.

    Raises:
        ConfigError: it is neither.
    """
    if not isinstance(given, Iterable):
        raise ConfigError(f"{name} {shown(given)}: give class names, such as building,road")
    names = given.split(",") if isinstance(given, str) else given
    return tuple(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))
