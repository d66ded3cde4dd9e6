"""The options of ``geoseg predict`` on what is read of the inputs."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What becomes of the inputs before windows are cut from them."""

    aoi: str | None = None
    """A vector file: what lies outside of its polygons is neither predicted nor shown."""
    aoi_layer: str | None = None
    """Of that file; None: the only one that has geometries."""
    crop: bool = True
    """Whether outputs end at the extent of that area."""

    def __post_init__(self) -> None:
        if self.aoi is None and (self.aoi_layer is not None or not self.crop):
            raise ConfigError("aoi_layer and no_crop are about an area of interest; give aoi too")
