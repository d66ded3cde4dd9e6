"""The options of ``geoseg predict`` on what is read of the inputs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from geoseg.errors import ConfigError
from geoseg.given import path_text
from geoseg.inference.option_values import (
    Reader,
    bands,
    flag,
    numbers_of,
    or_none,
    value_range,
)
from geoseg.raster import OVERLAP_RULES, OverlapRule
from geoseg.raster.companions import given_patterns

SOURCE_READERS: dict[str, Reader] = {
    "bands": or_none(bands),
    "value_range": or_none(value_range),
    "nodata": or_none(numbers_of(float)),
    "stack": given_patterns,
    "aoi": or_none(path_text),
    "crop": flag,
    "merge": flag,
    "resample": flag,
}


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What becomes of the inputs before windows are cut from them."""

    stack: tuple[str, ...] = ()
    """Patterns of files that hold more bands of an input: see `geoseg.raster.companions`."""
    aoi: str | None = None
    """A vector file: what lies outside of its polygons is neither predicted nor shown."""
    aoi_layer: str | None = None
    """Of that file; None: the only one that has geometries."""
    crop: bool = True
    """Whether outputs end at the extent of that area."""
    mosaic: Literal["sheets", "one"] | None = None
    """Take all inputs for one raster, and write class rasters by sheet, or one; None: do not."""
    overlap_rule: OverlapRule = "first"
    """Which of two sheets is on top: by path, by date, or by ground sampling."""
    merge: bool = False
    """Make the polygons of all inputs one layer."""
    resample: bool = False
    """Bring sources to the model's ground sampling, and sheets to one grid."""
    output_grid: Literal["source", "model"] = "source"
    """Whose pixels the rasters have that are written: the source's, or those of the model."""

    @classmethod
    def of(cls, options: Any) -> SourceOptions:
        """Those among the options of ``geoseg predict``."""
        return cls(**{option.name: getattr(options, option.name) for option in fields(cls)})

    def __post_init__(self) -> None:
        if self.aoi is None and (self.aoi_layer is not None or not self.crop):
            raise ConfigError("aoi_layer and no_crop are about an area of interest; give aoi too")
        if self.mosaic not in (None, "sheets", "one"):
            raise ConfigError(f"mosaic {self.mosaic!r}: give sheets or one")
        if self.overlap_rule not in OVERLAP_RULES:
            raise ConfigError(f"overlap_rule {self.overlap_rule!r}: use {', '.join(OVERLAP_RULES)}")
        if self.mosaic is None and not self.merge and self.overlap_rule != "first":
            raise ConfigError(
                "overlap_rule is about the sheets of a mosaic; give mosaic, or merge, too"
            )
        if self.mosaic is not None and self.merge:
            raise ConfigError("merge: the polygons of a mosaic are one layer; leave merge out")
        if self.output_grid not in ("source", "model"):
            raise ConfigError(f"output_grid {self.output_grid!r}: give source or model")
        if self.output_grid == "model" and not self.resample:
            raise ConfigError("output_grid model is about resampled sources; give resample too")
