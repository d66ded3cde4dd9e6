"""Collections of STAC items in a file, JSON or GeoParquet: the one image of each item.

The format is STAC 1.0 and 1.1 (ItemCollection, Item), and stac-geoparquet 1.0. Nothing is searched
and no server is asked: an asset elsewhere is passed on as it is named, for the rules of files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from geoseg.errors import ConfigError, one_line_reason
from geoseg.foreign import read_head
from geoseg.raster.path_list import SUFFIXES
from geoseg.remote import path_beside
from geoseg.report import shorten

_LARGEST = 512 * 2**20
"""Bytes of JSON; 100,000 items."""
_HEAD = 64 * 1024
_NO_IMAGES = {"thumbnail", "overview", "metadata"}
"""Roles of assets that are not the image itself."""


def is_item_list(path: Path) -> bool:
    """Whether a file holds items: ``.parquet``, or JSON that names assets near its beginning."""
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".geoparquet"):
        return path.is_file()
    is_json = suffix in (".json", ".geojson") and path.is_file()
    return is_json and b'"assets"' in read_head(path, _HEAD)


def read_item_list(path: Path) -> list[Path]:
    """The images of the items, in order, relative ones in the folder of the file.

    Raises:
        ConfigError: the file cannot be read, or an item does not have one image.
    """
    items = _parquet_items(path) if path.suffix.lower().endswith("parquet") else _json_items(path)
    return [_place(path, _image(path, str(item.get("id")), item["assets"])) for item in items]


def _json_items(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MB")
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        items = document.get("features", [document])
        if not all(isinstance(item["assets"], dict) for item in items):
            raise ValueError("an item without assets")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _unreadable(path, error) from error
    return list(items)


def _parquet_items(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise ConfigError(
            f"{path}: reading items from Parquet needs pyarrow; "
            'pip install "geoseg[parquet]", or give the items as JSON'
        ) from None
    try:
        needed = ("id", "assets")
        if missing := set(needed) - set(parquet.read_schema(path).names):
            raise ValueError(f"it has no column {' and '.join(sorted(missing))}")
        return list(parquet.read_table(path, columns=list(needed)).to_pylist())
    except (ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path}: no STAC items that can be read ({one_line_reason(error)}); give an "
        "ItemCollection, or a text file with one path a line"
    )


def _image(path: Path, item: str, assets: Mapping[str, Any]) -> str:
    """The address of the one asset that is an image."""
    images = dict(_images(assets))
    data = {name: each for name, each in images.items() if "data" in (each.get("roles") or ())}
    chosen = data or images
    if len(chosen) != 1:
        names = shorten(chosen, 20) or "none"
        raise ConfigError(
            f"{path}: item {item} has not one image among its assets ({names}); write the paths "
            "of those that you mean into a text file"
        )
    return str(next(iter(chosen.values()))["href"])


def _images(assets: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, asset in assets.items():
        if not asset or not asset.get("href"):  # Parquet has a place for what other items have
            continue
        kind = (asset.get("type") or "").split(";")[0].strip()
        is_image = Path(urlsplit(asset["href"]).path).suffix.lower() in SUFFIXES
        if not _NO_IMAGES & set(asset.get("roles") or ()) and (
            is_image or kind in ("image/tiff", "image/jp2")
        ):
            yield name, asset


def _place(path: Path, href: str) -> Path:
    """A file, or an address as it is."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return path_beside(path.parent, href if parts.scheme else unquote(href))
