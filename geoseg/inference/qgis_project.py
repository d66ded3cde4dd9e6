"""A QGIS project over the outputs of a run: what one opens to see the map, with nothing to set.

The project is a ZIP file of one XML document. Its layers are named by paths relative to it.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import shapely
from rasterio.crs import CRS

from geoseg.coordinate_systems import crs_name
from geoseg.errors import OutputError
from geoseg.files import replace_file
from geoseg.places import relative_name
from geoseg.remote import RemotePath

_MARK = b"made by geoseg"
"""The ZIP file's comment: QGIS does not keep it when it saves a project."""
_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_OLD = (1980, 1, 1, 0, 0, 0)
"""A time for the document, so that the same project is the same file."""
_CHECKED = {True: "Qt::Checked", False: "Qt::Unchecked"}


@dataclass(frozen=True, slots=True)
class ProjectLayer:
    """A layer of a map."""

    group: str
    """What the layers of all sheets of its kind are gathered under."""
    name: str
    path: Path
    crs: CRS | None
    style: str
    """QML."""
    is_vector: bool = False
    opacity: float = 1.0
    shown: bool = True
    """Whether it is drawn at first."""


def is_own_project(path: Path) -> bool:
    """Whether there is a project that geoseg has written, and that QGIS has not saved since."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.comment == _MARK
    except (OSError, zipfile.BadZipFile):
        return False


def refuse_foreign_project(path: Path) -> None:
    """Refuse to replace a project that geoseg has not written, or that QGIS has saved since.

    Raises:
        OutputError: there is one.
    """
    if os.path.lexists(path) and not is_own_project(path):
        raise OutputError(
            f"{path} exists and was saved by another program; use --overwrite to replace it, "
            "or leave --project out"
        )


def write_project(path: Path, layers: Sequence[ProjectLayer], extent: shapely.Polygon) -> None:
    """Write a project.

    Args:
        path: ``.qgz``; an older one is replaced.
        layers: in the order in which they lie, the uppermost first; those of a group follow one
            another. Groups of one layer are none.
        extent: what the map shows at first, in the CRS of the first layer.

    Raises:
        OutputError: it cannot be written.
    """
    document = _HEAD + ET.tostring(_project(path.parent, layers, extent), encoding="unicode")
    with replace_file(path) as built, zipfile.ZipFile(built, "w", zipfile.ZIP_DEFLATED) as file:
        file.comment = _MARK
        file.writestr(zipfile.ZipInfo(f"{path.stem}.qgs", _OLD), document)


def _project(folder: Path, layers: Sequence[ProjectLayer], extent: shapely.Polygon) -> ET.Element:
    root = ET.Element("qgis", version="3.22.0", projectname="geoseg")
    crs = layers[0].crs
    ET.SubElement(root, "projectCrs").extend(_crs(crs))
    tree = ET.SubElement(root, "layer-tree-group")
    groups: dict[str, list[tuple[str, ProjectLayer]]] = {}
    for number, layer in enumerate(layers):
        # QGIS takes no identifier of ten letters or less.
        groups.setdefault(layer.group, []).append((f"geoseg_layer_{number}", layer))
    for name, members in groups.items():
        shown = _CHECKED[members[0][1].shown]
        attributes = {"name": name, "checked": shown, "expanded": "0"}
        parent = ET.SubElement(tree, "layer-tree-group", attributes) if members[1:] else tree
        for key, layer in members:
            title = layer.name if members[1:] else name
            described = {"id": key, "name": title, "checked": shown, "expanded": "0"}
            ET.SubElement(parent, "layer-tree-layer", described)
    canvas = ET.SubElement(root, "mapcanvas", name="theMapCanvas")
    sides = list(zip(("xmin", "ymin", "xmax", "ymax"), extent.bounds, strict=True))
    box = ET.SubElement(canvas, "extent")
    for side, value in sides:
        ET.SubElement(box, side).text = repr(value)
    ET.SubElement(canvas, "destinationsrs").extend(_crs(crs))
    listed = ET.SubElement(root, "projectlayers")
    for members in groups.values():
        for key, layer in members:
            title = layer.name if members[1:] else layer.group
            listed.append(_map_layer(folder, key, title, layer))
    view = ET.SubElement(root, "ProjectViewSettings", UseProjectScales="0")
    ET.SubElement(view, "DefaultViewExtent", {side: repr(x) for side, x in sides}).extend(_crs(crs))
    properties = ET.SubElement(root, "properties")
    paths = ET.SubElement(properties, "Paths")
    ET.SubElement(paths, "Absolute", type="bool").text = "false"
    system = ET.SubElement(properties, "SpatialRefSys")
    ET.SubElement(system, "ProjectionsEnabled", type="int").text = "1"
    return root


def _map_layer(folder: Path, key: str, title: str, layer: ProjectLayer) -> ET.Element:
    style = ET.fromstring(layer.style)  # noqa: S314 - made by geoseg
    attributes = {"type": "vector" if layer.is_vector else "raster"}
    if layer.is_vector:
        attributes |= {"geometry": "Polygon", "labelsEnabled": style.get("labelsEnabled", "0")}
    found = ET.Element("maplayer", attributes)
    ET.SubElement(found, "id").text = key
    path = layer.path
    elsewhere = path.public if isinstance(path, RemotePath) else None
    ET.SubElement(found, "datasource").text = elsewhere or relative_name(path, folder)
    ET.SubElement(found, "layername").text = title
    ET.SubElement(found, "srs").extend(_crs(layer.crs))
    ET.SubElement(found, "provider").text = "ogr" if layer.is_vector else "gdal"
    for renderer in style.iter("rasterrenderer"):
        renderer.set("opacity", str(layer.opacity))
    found.extend(style)
    return found


def _crs(crs: CRS | None) -> Iterable[ET.Element]:
    if crs is None:
        return []
    system = ET.Element("spatialrefsys")
    ET.SubElement(system, "wkt").text = crs.to_wkt(version="WKT2_2019")
    name = crs_name(crs)
    ET.SubElement(system, "authid").text = name if ":" in name else ""
    return [system]
