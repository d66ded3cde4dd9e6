from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.vector import Layer, Regions, write_layers
from geoseg.vector.style import qml_of, sld_of

CLASSES = ClassScheme.from_names(
    ['a "road" & <path>', "Dach", "tree"], [(255, 0, 16), (0, 200, 0), (1, 2, 3)]
)
OGC = "{http://www.opengis.net/ogc}"
SLD = "{http://www.opengis.net/sld}"


def layer(name: str, *class_ids: int, legend: tuple[int, ...] = ()) -> Layer:
    count = len(class_ids)
    boxes = shapely.box(2 * np.arange(count), 0, 2 * np.arange(count) + 1, 1)
    regions = Regions(boxes, np.array(class_ids, np.uint8), np.ones(count, np.int64), None)
    grid = Affine.translation(500_000, 5_400_000) @ Affine.scale(0.5, -0.5)
    return Layer(name, [regions], 4, 40, grid, CRS.from_epsg(32632), CLASSES, legend)


def names_of(qml: str) -> list[str | None]:
    return [each.get("value") for each in ET.fromstring(qml).iter("category")]


def test_a_category_a_class_with_its_colour_and_name() -> None:
    root = ET.fromstring(qml_of(CLASSES, [0, 2]))
    (renderer,) = root.iter("renderer-v2")
    assert renderer.get("attr") == "class"
    for category, number in zip(root.iter("category"), (0, 2), strict=True):
        assert category.get("value") == category.get("label") == CLASSES.names[number]
        (symbol,) = root.findall(f".//symbol[@name='{category.get('symbol')}']")
        color = symbol.find(".//Option[@name='color']").get("value")
        assert tuple(map(int, color.split(",")))[:3] == CLASSES.colors[number]


def test_a_rule_a_class_in_sld() -> None:
    rules = list(ET.fromstring(sld_of("a & b", CLASSES, [1, 0])).iter(f"{SLD}Rule"))
    assert [rule.findtext(f".//{OGC}Literal") for rule in rules] == ["Dach", 'a "road" & <path>']
    assert [rule.findtext(f".//{SLD}Fill/{SLD}CssParameter") for rule in rules] == [
        "#00c800",
        "#ff0010",
    ]


def test_a_geopackage_holds_a_default_style_of_each_layer(tmp_path: Path) -> None:
    path = tmp_path / "towns.gpkg"
    write_layers([layer("east", 2, 0, 2), layer("west", legend=(0, 1))], {path: "k"})
    assert pyogrio.list_layers(path)[:, 0].tolist() == ["east", "west", "layer_styles"]
    assert [file.name for file in tmp_path.iterdir()] == ["towns.gpkg"]
    with closing(sqlite3.connect(path)) as file:
        rows = file.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML, update_time "
            "FROM layer_styles"
        ).fetchall()
        (changed,) = file.execute("SELECT max(last_change) FROM gpkg_contents").fetchone()
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [row[:3] for row in rows] == [("east", "geom", 1), ("west", "geom", 1)]
    assert [names_of(row[3]) for row in rows] == [
        [CLASSES.names[0], "tree"],
        [CLASSES.names[0], "Dach"],
    ]
    assert rows[1][4] == changed


@pytest.mark.parametrize("mine", [False, True])
def test_styles_go_with_a_shapefile_unless_they_are_somebodys_own(
    tmp_path: Path, mine: bool
) -> None:
    path, qml = tmp_path / "a!b.shp", tmp_path / "a!b.qml"
    write_layers([layer("a", 0)], {path: "k"})
    if mine:
        qml.write_text("<qgis/>")
    write_layers([layer("a", 1)], {path: "k"})
    assert names_of(qml.read_text()) == ([] if mine else ["Dach"])
    assert "Dach" in path.with_suffix(".sld").read_text()
