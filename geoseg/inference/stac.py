"""STAC documents of what a run has made: an item a sheet, and a collection over them.

STAC 1.1 (https://github.com/radiantearth/stac-spec) with its extensions for projections, rasters,
classifications, processing and files. Links are relative, so that the folder can be moved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import shapely
from rasterio.crs import CRS

import geoseg
from geoseg.classes import NODATA, UNCERTAIN, ClassScheme
from geoseg.coordinate_systems import crs_name, projjson
from geoseg.raster import Layer
from geoseg.styles import hex_of

VERSION = "1.1.0"
COLLECTION_ID = "geoseg"
_SCHEMA = "https://stac-extensions.github.io/{}/schema.json"
_EXTENSIONS = [
    _SCHEMA.format(name)
    for name in (
        "projection/v2.0.0",
        "raster/v2.0.0",
        "classification/v2.0.0",
        "processing/v1.2.0",
        "file/v2.1.0",
    )
]
MEDIA_TYPES = {
    "tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    "vrt": "application/x-gdal-vrt+xml",
    "png": "image/png",
    "gpkg": "application/geopackage+sqlite3",
    "shp": "application/vnd.shp",
    "fgb": "application/vnd.flatgeobuf",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
    "geojsonl": "application/geo+json-seq",
}
"""By the endings of files."""
_SHA256 = "1220"
"""How a multihash of SHA-256 begins."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of an item."""

    href: str
    """Relative to the item."""
    title: str
    role: str
    size: int
    """Bytes."""
    sha256: str
    layer: Layer | None = None
    """What the pixels of a raster mean."""

    def to_json(self) -> dict[str, Any]:
        """The asset object."""
        described: dict[str, Any] = {
            "href": self.href,
            "title": self.title,
            "type": MEDIA_TYPES[self.href.rpartition(".")[2]],
            "roles": [self.role],
            "file:size": self.size,
            "file:checksum": _SHA256 + self.sha256,
        }
        return described if self.layer is None else {**described, "bands": _bands(self.layer)}


def _bands(layer: Layer) -> list[dict[str, Any]]:
    bands = []
    for name in layer.bands:
        band: dict[str, Any] = {"name": name, "data_type": "uint8"}
        if layer.nodata is not None:
            band["nodata"] = layer.nodata
        if layer.scale is not None:
            band |= {"raster:scale": layer.scale, "raster:offset": 0}
        if layer.classes is not None:
            band["classification:classes"] = classification(layer.classes)
        bands.append(band)
    return bands


def classification(classes: ClassScheme) -> list[dict[str, Any]]:
    """The values of a class raster, as the extension has them."""
    named = [
        {"value": value, "name": _plain(name), "title": name, "color_hint": _hint(color)}
        for value, (name, color) in enumerate(zip(classes.names, classes.colors, strict=True))
    ]
    return [
        *named,
        {"value": UNCERTAIN, "name": "uncertain", "title": "uncertain", "color_hint": "808080"},
        {"value": NODATA, "name": "no-data", "title": "no data", "nodata": True},
    ]


def _plain(name: str) -> str:
    """Letters, digits, minus and underscore."""
    return re.sub(r"[^0-9A-Za-z_-]+", "-", name).strip("-") or "class"


def _hint(color: tuple[int, int, int]) -> str:
    return hex_of(color).removeprefix("#").upper()


@dataclass(frozen=True, slots=True)
class Item:
    """A sheet."""

    id: str
    path: str
    """Of its document, relative to the collection."""
    footprint: shapely.Polygon | None
    """In longitude and latitude; None without a place."""
    time: datetime
    """Of the imagery, with a time zone."""
    crs: CRS | None
    shape: tuple[int, int]
    transform: Sequence[float]
    """The first six terms."""
    sources: Sequence[str]
    """The imagery, relative to the item."""
    assets: Mapping[str, Asset]

    def to_json(self, model: str) -> dict[str, Any]:
        """The item object.

        Args:
            model: the digest of the model file.
        """
        above = "../" * self.path.count("/") or "./"
        collection = {"href": f"{above}collection.json", "type": "application/json"}
        links = [{"rel": rel, **collection} for rel in ("root", "parent", "collection")]
        links += [{"rel": "derived_from", "href": source} for source in self.sources]
        document: dict[str, Any] = {
            "type": "Feature",
            "stac_version": VERSION,
            "stac_extensions": _EXTENSIONS,
            "id": self.id,
            "collection": COLLECTION_ID,
            "geometry": None,
            "properties": {**self._properties(), **_processing(model)},
            "links": links,
            "assets": {name: asset.to_json() for name, asset in self.assets.items()},
        }
        if self.footprint is not None:
            document["geometry"] = shapely.geometry.mapping(self.footprint)
            document["bbox"] = list(self.footprint.bounds)
        return document

    def _properties(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "datetime": _text_of(self.time),
            "proj:shape": list(self.shape),
            "proj:code": None,
        }
        if self.crs is not None:
            name = crs_name(self.crs)
            found["proj:code"] = name if ":" in name else None
            found["proj:projjson"] = projjson(self.crs)
            found["proj:transform"] = list(self.transform)
        return found


def _processing(model: str) -> dict[str, Any]:
    return {
        "processing:software": {"geoseg": geoseg.__version__},
        "processing:lineage": f"classes predicted from imagery by the model of SHA-256 {model}",
    }


def _text_of(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def collection_of(items: Sequence[Item], model: str) -> dict[str, Any]:
    """The collection over some items.

    Args:
        items: at least one.
        model: the digest of the model file.
    """
    boxes = [item.footprint.bounds for item in items if item.footprint is not None]
    whole = shapely.total_bounds([shapely.box(*box) for box in boxes]).tolist() if boxes else None
    times = [item.time for item in items]
    codes = {crs_name(item.crs) for item in items if item.crs is not None}
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "stac_extensions": _EXTENSIONS,
        "id": COLLECTION_ID,
        "description": "Classes that geoseg has predicted from orthophotos",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [whole or [-180.0, -90.0, 180.0, 90.0]]},
            "temporal": {"interval": [[_text_of(min(times)), _text_of(max(times))]]},
        },
        "summaries": {
            "proj:code": sorted(code for code in codes if ":" in code),
            "processing:software": [_processing(model)["processing:software"]],
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *(
                {"rel": "item", "href": f"./{item.path}", "type": "application/geo+json"}
                for item in items
            ),
        ],
    }
