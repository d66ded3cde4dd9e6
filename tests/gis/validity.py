"""What QGIS' check of geometries finds in vector files, as JSON; run by the Python QGIS brings.

Usage: validity.py FILE... The check is that of the tool "Check validity", by both of its methods.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"
from qgis.core import QgsApplication, QgsGeometry, QgsVectorLayer, QgsWkbTypes

METHODS = (QgsGeometry.ValidatorQgisInternal, QgsGeometry.ValidatorGeos)


def faults(layer: Any) -> dict[str, Any]:
    found = []
    for feature in layer.getFeatures():
        geometry = feature.geometry()
        for method in METHODS:
            found += [error.what() for error in geometry.validateGeometry(method)]
    return {
        "features": layer.featureCount(),
        "type": QgsWkbTypes.displayString(layer.wkbType()),
        "faults": found,
    }


def main(paths: list[str]) -> None:
    application = QgsApplication([], False)
    application.initQgis()
    print(
        "validity:", json.dumps({path: faults(QgsVectorLayer(path)) for path in paths}), flush=True
    )
    application.exitQgis()


main(sys.argv[1:])
