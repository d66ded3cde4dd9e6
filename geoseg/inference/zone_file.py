"""Whether a file of zones can be used, found without anything that takes long to import."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from geoseg.errors import ConfigError, VectorError
from geoseg.vector import Features, read_features


def check_zones(path: str) -> Features:
    """The polygons of a file of zones.

    Raises:
        ConfigError: it has no polygons with a place, or exactextract is not installed.
    """
    if find_spec("exactextract") is None:
        raise ConfigError(
            "zones needs exactextract, which is not installed; pip install 'geoseg[zones]'"
        )
    try:
        features = read_features(Path(path))
    except VectorError as error:
        raise ConfigError(f"zones: {error}") from error
    if not features.polygons.size:
        raise ConfigError(f"zones: {path} holds no polygon; draw some, or leave zones out")
    if features.crs is None:
        raise ConfigError(f"zones: {path} has no coordinate system; save a GeoPackage with one")
    return features
