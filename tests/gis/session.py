"""What somebody does with files in QGIS; run by the Python that QGIS brings.

Usage: session.py STEPS FILE... The steps are letters: s statistics, histograms and styles; p
overviews beside rasters; e overviews in ERDAS's format; r a map; w polygons open for editing; c one
polygon changed and saved; x an end without tidying up, as after a crash.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRaster,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize

VECTORS = (".gpkg", ".shp")


def open_layer(path: str) -> Any:
    kind = QgsVectorLayer if path.endswith(VECTORS) else QgsRasterLayer
    layer = kind(path, Path(path).stem, "ogr" if kind is QgsVectorLayer else "gdal")
    if not layer.isValid():
        sys.exit(f"QGIS cannot open {path}")
    return layer


def describe(layer: Any) -> None:
    provider = layer.dataProvider()
    if isinstance(layer, QgsRasterLayer):
        for band in range(1, layer.bandCount() + 1):
            provider.bandStatistics(band)
            provider.histogram(band)
    else:
        list(layer.getFeatures())
        provider.createSpatialIndex()
        if layer.source().endswith(".gpkg"):
            layer.saveStyleToDatabase("style", "", True, "")
    layer.saveNamedStyle(str(Path(layer.source()).with_suffix(".qml")))
    layer.saveSldStyle(str(Path(layer.source()).with_suffix(".sld")))


def build_overviews(layer: Any, kind: int) -> None:
    provider = layer.dataProvider()
    levels = provider.buildPyramidList()
    for level in levels:
        level.setBuild(True)
    provider.buildPyramids(levels, "NEAREST", kind)


def render(layers: list[Any]) -> None:
    QgsProject.instance().addMapLayers(layers)
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setExtent(layers[0].extent())
    settings.setOutputSize(QSize(128, 128))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    if job.renderedImage().isNull():
        sys.exit("QGIS has drawn nothing")
    QgsProject.instance().write(str(Path(layers[0].source()).with_name("map.qgz")))


def edit(layer: Any, *, change: bool) -> None:
    feature = next(layer.getFeatures())
    layer.startEditing()
    layer.dataProvider().enterUpdateMode()
    if change:
        layer.deleteFeature(feature.id())
        if not layer.commitChanges(False):
            sys.exit("QGIS has not saved the change")


def main(steps: str, paths: list[str]) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    layers = [open_layer(path) for path in paths]
    vectors = [layer for layer in layers if isinstance(layer, QgsVectorLayer)]
    rasters = [layer for layer in layers if layer not in vectors]
    for layer in layers if "s" in steps else []:
        describe(layer)
    for step, kind in (("p", QgsRaster.PyramidsGTiff), ("e", QgsRaster.PyramidsErdas)):
        for layer in rasters if step in steps else []:
            build_overviews(layer, kind)
    if "r" in steps:
        render(layers)
    for layer in vectors if "w" in steps or "c" in steps else []:
        edit(layer, change="c" in steps)
    print("looked at", len(layers), flush=True)
    if "x" in steps:
        os._exit(0)
    QgsProject.instance().clear()
    layers.clear(), vectors.clear(), rasters.clear()
    application.exitQgis()


main(sys.argv[1], sys.argv[2:])
