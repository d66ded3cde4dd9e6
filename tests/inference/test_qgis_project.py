from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import shapely
from rasterio.crs import CRS

from geoseg.classes import ClassScheme
from geoseg.errors import OutputError
from geoseg.inference.qgis_project import ProjectLayer, refuse_foreign_project, write_project
from geoseg.raster import class_layer, raster_style
from geoseg.vector import polygon_style

UTM = CRS.from_epsg(32632)
CLASSES = ClassScheme.from_names(["a & b", "c"])
EXTENT = shapely.box(1.5, 2, 3, 4)


def layers(folder: Path, *names: str) -> list[ProjectLayer]:
    style = raster_style(class_layer(CLASSES))
    rasters = [
        ProjectLayer("classes", name, folder / f"out/{name}_classes.tif", UTM, style, opacity=0.6)
        for name in names
    ]
    polygons = polygon_style(CLASSES)
    above = ProjectLayer("polygons", "x", folder / "x.gpkg", UTM, polygons, True, shown=False)
    return [above, *rasters]


def document(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as file:
        (name,) = file.namelist()
        assert name == f"{path.stem}.qgs"
        return ET.fromstring(file.read(name))


def test_paths_are_relative_and_sheets_of_a_kind_form_a_group(tmp_path: Path) -> None:
    path = tmp_path / "out/map.qgz"
    write_project(path, layers(tmp_path, "a", "b"), EXTENT)
    root = document(path)
    assert [each.text for each in root.iter("datasource")] == [
        "../x.gpkg",
        "./a_classes.tif",
        "./b_classes.tif",
    ]
    (tree,) = root.findall("layer-tree-group")
    (group,) = tree.findall("layer-tree-group")
    assert group.get("name") == "classes"
    assert [each.get("name") for each in group] == ["a", "b"]
    assert [each.get("name") for each in tree] == ["polygons", "classes"]
    ids = [each.get("id") for each in tree.iter("layer-tree-layer")]
    assert ids == [each.text for each in root.iter("id")]
    assert [each.get("opacity") for each in root.iter("rasterrenderer")] == ["0.6", "0.6"]
    assert root.findtext(".//Paths/Absolute") == "false"
    assert [each.text for each in root.iter("authid")] == ["EPSG:32632"] * 6


def test_the_same_layers_give_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "map.qgz"
    write_project(path, layers(tmp_path, "a"), EXTENT)
    before = path.read_bytes()
    write_project(path, layers(tmp_path, "a"), EXTENT)
    assert path.read_bytes() == before


def test_a_project_that_another_program_has_saved_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.qgz"
    refuse_foreign_project(path)
    write_project(path, layers(tmp_path, "a"), EXTENT)
    refuse_foreign_project(path)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("map.qgs", "<qgis/>")
    with pytest.raises(OutputError, match=r"saved by another program; use --overwrite"):
        refuse_foreign_project(path)
    path.write_text("text")
    with pytest.raises(OutputError, match="saved by another program"):
        refuse_foreign_project(path)
