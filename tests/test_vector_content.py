import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely

from geoseg.errors import VectorError
from geoseg.foreign import allow_remote
from geoseg.vector.read import read_features
from geoseg.vector_content import vector_name
from tests.fixtures.server import Server

COLLECTION = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"href": "https://example.org", "url": 1},
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
        }
    ],
}
LINK = {"type": "link", "properties": {"href": "{}/crs", "type": "ogcwkt"}}


def geojson(path: Path, **more: Any) -> Path:
    path.write_text(json.dumps(more | COLLECTION))
    return path


@pytest.mark.parametrize(
    ("suffix", "driver"),
    [(".gpkg", "GPKG"), (".shp", "ESRI Shapefile"), (".fgb", "FlatGeobuf"), (".json", "GeoJSON")],
)
def test_polygons_of_the_formats_are_read(tmp_path: Path, suffix: str, driver: str) -> None:
    path = tmp_path / f"a{suffix}"
    box = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))], object)
    pyogrio.raw.write(
        path, box, [], [], geometry_type="Polygon", crs="EPSG:4326", driver=driver, layer="a"
    )
    assert vector_name(path).removeprefix("GeoJSON:") == str(path)
    assert len(read_features(path).polygons) == 1


def test_geojson_with_links_among_its_values_is_read(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    path = geojson(tmp_path / "a.geojson", crs=crs, links=[{"type": "link", "href": "x"}])
    assert len(read_features(path).polygons) == 1


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (
            ".geojson",
            '<OGRVRTDataSource><OGRVRTLayer name="a"><SrcDataSource>/vsicurl/{}/x</SrcDataSource>'
            "</OGRVRTLayer></OGRVRTDataSource>",
        ),
        (".gpkg", "<OGRWFSDataSource><URL>{}/wfs</URL></OGRWFSDataSource>"),
        (".json", '{{"type": "gdal_streamed_alg", "command_line": "gdal vector info {}/x"}}'),
        (".json", '{{"crs": {{"type": "URL", "properties": {{"url": "{}/x"}}}}, '),
        (".shp", "{}/x"),
        (".fgb", "CARTO:{}/x"),
    ],
)
def test_what_is_none_of_the_formats_is_refused_and_no_server_asked(
    tmp_path: Path, server: Server, suffix: str, text: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text(text.format(server.url))
    with pytest.raises(VectorError, match=rf"^{path}: "):
        read_features(path)
    assert not server.was_asked()


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("kind", ["link", "URL"])
@pytest.mark.parametrize("key", ["href", "URL"])
def test_a_linked_coordinate_system_is_fetched_with_leave_only(
    tmp_path: Path, server: Server, escaped: bool, kind: str, key: str
) -> None:
    crs = {"type": kind, "properties": {key: f"{server.url}/crs", "type": "ogcwkt"}}
    path = geojson(tmp_path / "a.geojson", crs=crs)
    if escaped:
        letters = "".join(f"\\u00{ord(letter):02X}" for letter in key)
        path.write_text(path.read_text().replace(f'"{key}"', f'"{letters}"').replace('"href"', "1"))
        path.write_text(path.read_text().replace('1: "https', '"h": "https'))
    with pytest.raises(VectorError, match=r"link to a server.*--allow-remote|not readable JSON"):
        read_features(path)
    assert not server.was_asked()
    with allow_remote():
        read_features(path)
    assert server.was_asked()
