"""STAC items, as pystac and pyarrow write them, stand for their images."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import pytest

from geoseg.errors import ConfigError
from geoseg.raster import find_sources
from geoseg.raster.item_list import is_item_list, read_item_list

Make = Callable[..., Path]


def item(name: str, **assets: pystac.Asset) -> pystac.Item:
    found = pystac.Item(name, None, None, datetime(2024, 5, 1, tzinfo=UTC), {})
    for key, asset in assets.items():
        found.add_asset(key, asset)
    return found


def items() -> pystac.ItemCollection:
    data = pystac.Asset("a b.tif", media_type=pystac.MediaType.COG, roles=["data"])
    mask = pystac.Asset("mask.tif", media_type=pystac.MediaType.COG)
    small = pystac.Asset("small.png", media_type="image/png", roles=["thumbnail"])
    other = pystac.Asset("sub/b", media_type=pystac.MediaType.COG)
    return pystac.ItemCollection([item("a", data=data, mask=mask), item("b", v=other, t=small)])


def write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_each_item_stands_for_its_image(make_raster: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "items.json", items().to_dict())
    images = [tmp_path / "a b.tif", tmp_path / "sub/b"]
    assert read_item_list(path) == images
    make_raster("a b.tif")
    (tmp_path / "sub").mkdir()
    make_raster("c.tif").rename(images[1])
    assert [each.path for each in find_sources([path]).sources] == images
    single = write(tmp_path / "item.json", items().items[0].to_dict())
    assert read_item_list(single) == images[:1]


def test_geoparquet_names_the_same(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = [{"id": each.id, "assets": each.to_dict()["assets"]} for each in items().items]
    parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / "items.parquet")
    json_path = write(tmp_path / "items.json", items().to_dict())
    assert read_item_list(tmp_path / "items.parquet") == read_item_list(json_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"bad\.parquet: no STAC items that can be read"):
        read_item_list(tmp_path / "bad.parquet")


def test_what_is_no_list_of_items_is_taken_for_none_or_refused(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.geojson", {"type": "FeatureCollection", "features": []})
    assert not is_item_list(plain)
    assert not is_item_list(tmp_path / "missing.json")
    for document, words in (
        ({"features": [{"assets": 3}]}, "an item without assets"),
        ({"x": '"assets"', "features": [{"assets": {}, "id": "n"}]}, r"item n has not one .*none"),
    ):
        path = write(tmp_path / "bad.json", document)
        with pytest.raises(ConfigError, match=words):
            read_item_list(path)
    data = {name: {"href": f"{name}.tif", "roles": ["data"]} for name in ("red", "green")}
    path = write(tmp_path / "bad.json", {"features": [{"id": "s2", "assets": data}]})
    with pytest.raises(ConfigError, match=r"item s2 has not one image .*\(red, green\); write the"):
        read_item_list(path)


def test_an_asset_on_a_server_is_named_and_not_asked_for(tmp_path: Path) -> None:
    asset = {"href": "https://example.com/a.tif", "type": "image/tiff"}
    path = write(tmp_path / "far.json", {"features": [{"id": "f", "assets": {"v": asset}}]})
    found = find_sources([path])
    assert not found.sources
    assert "example.com" in next(iter(found.failures.values()))
