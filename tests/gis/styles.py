"""How QGIS shows files as it opens them, as JSON; run by the Python that QGIS brings.

Usage: styles.py PICTURES FILE... A picture of each layer goes into the folder PICTURES.
"""

from __future__ import annotations

import json
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
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor

RASTERS = (".tif", ".vrt", ".png")


def open_layer(path: str) -> Any:
    kind = QgsRasterLayer if path.endswith(RASTERS) else QgsVectorLayer
    layer = kind(path, Path(path).stem, "gdal" if kind is QgsRasterLayer else "ogr")
    if not layer.isValid():
        sys.exit(f"QGIS cannot open {path}")
    return layer


def style_of(layer: Any) -> dict[str, Any]:
    renderer = layer.renderer()
    facts = {"kind": renderer.type(), "crs": layer.crs().authid(), "opacity": layer.opacity()}
    if renderer.type() == "paletted":
        facts["classes"] = [
            [entry.value, entry.label, entry.color.name(), entry.color.alpha()]
            for entry in renderer.classes()
        ]
    elif renderer.type() == "singlebandpseudocolor":
        shader = renderer.shader().rasterShaderFunction()
        items = shader.colorRampItemList()
        facts["classes"] = [[item.value, item.label, item.color.name(), 255] for item in items]
        facts["alpha"] = renderer.alphaBand()
    elif renderer.type() == "categorizedSymbol":
        facts["classes"] = [
            [
                each.value(),
                each.label(),
                each.symbol().color().name(),
                each.symbol().color().alpha(),
            ]
            for each in renderer.categories()
        ]
        facts["attribute"] = renderer.classAttribute()
        labels = layer.labeling().settings()
        facts["labels"] = [layer.labelsEnabled(), labels.fieldName, labels.minimumScale]
        facts["features"] = layer.featureCount()
    return facts


def draw(layers: list[Any], path: Path) -> None:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setBackgroundColor(QColor("white"))
    settings.setDestinationCrs(layers[0].crs())
    settings.setExtent(layers[0].extent())
    extent = layers[0].extent()
    settings.setOutputSize(QSize(400, round(400 * extent.height() / extent.width())))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(str(path))


def main(pictures: Path, paths: list[str]) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    found = {}
    for path in paths:
        layer = open_layer(path)
        found[Path(path).name] = style_of(layer)
        draw([layer], pictures / f"{Path(path).name}.png")
        sld = Path(path).with_suffix(".sld")
        if sld.exists() and isinstance(layer, QgsVectorLayer):
            _, understood = layer.loadSldStyle(str(sld))
            found[Path(path).name]["sld"] = understood and layer.renderer().type()
    print("styles:", json.dumps(found), flush=True)
    QgsProject.instance().clear()
    del layer
    application.exitQgis()


main(Path(sys.argv[1]), sys.argv[2:])
