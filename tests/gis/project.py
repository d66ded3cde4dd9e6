"""A project as QGIS opens it, as JSON; run by the Python that QGIS brings.

Usage: project.py PROJECT PICTURE WIDTH HEIGHT. What the map shows at first is drawn into PICTURE.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def describe(node: Any) -> dict[str, Any]:
    layer = node.layer()
    renderer = layer.renderer()
    return {
        "name": layer.name(),
        "group": node.parent().name(),
        "shown": node.isVisible(),
        "valid": layer.isValid(),
        "crs": layer.crs().authid(),
        "kind": renderer.type(),
        "opacity": renderer.opacity() if isinstance(layer, QgsRasterLayer) else layer.opacity(),
    }


def draw(project: QgsProject, extent: Any, path: str, width: int, height: int) -> None:
    settings = QgsMapSettings()
    settings.setLayers([node.layer() for node in visible(project)])
    settings.setBackgroundColor(QColor("white"))
    settings.setDestinationCrs(project.crs())
    settings.setExtent(extent)
    settings.setOutputSize(QSize(width, height))
    settings.setFlag(QgsMapSettings.Antialiasing, False)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(path)


def visible(project: QgsProject) -> list[Any]:
    return [node for node in project.layerTreeRoot().findLayers() if node.isVisible()]


def main(path: str, picture: str, width: int, height: int) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    read = project.read(path)
    nodes = project.layerTreeRoot().findLayers()
    facts = {"read": read, "crs": project.crs().authid(), "layers": list(map(describe, nodes))}
    extent = project.viewSettings().defaultViewExtent()
    facts["extent"] = [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]
    draw(project, extent, picture, width, height)
    print("project:", json.dumps(facts), flush=True)
    project.clear()
    application.exitQgis()


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
