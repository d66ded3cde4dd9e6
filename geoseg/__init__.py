"""Orthophotos of any size to georeferenced class rasters and clean polygons.

Imports go down only:
errors, classes, files, report, lazy -> tiling, metrics -> raster | vector | models, yaml_files
-> datasets -> inference, training, evaluation, scenes -> config -> commands -> cli, calls
(side by side after a bar: none imports another). Names below are loaded when they are first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from geoseg.lazy import lazy_names

if TYPE_CHECKING:
    from geoseg import metrics, scenes
    from geoseg.classes import ClassScheme
    from geoseg.commands.compare import run as compare
    from geoseg.commands.evaluate import run as evaluate
    from geoseg.commands.import_ import run as import_model
    from geoseg.commands.predict import run as predict
    from geoseg.commands.prepare import run as prepare
    from geoseg.commands.train import run as train
    from geoseg.commands.vectorize import run as vectorize
    from geoseg.datasets.raster_labels import write_label_values
    from geoseg.errors import GeosegError
    from geoseg.inference.arrays import predict_array
    from geoseg.inference.interest import read_area
    from geoseg.models import create_model, load_model, save_model, systems, wrap
    from geoseg.models.cost import Cost, cost
    from geoseg.raster import open_mosaic, open_raster, stack
    from geoseg.vector.polygonize import polygonize

__version__ = "0.1.0"

# torch then has Linux hold large tensors in pages of 2 MiB. Each layer's map is new memory, and to
# get it in pages of 4 KiB takes up to a third of a forward. It is asked once, at the first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

_HOMES = {
    "ClassScheme": "geoseg.classes:ClassScheme",
    "Cost": "geoseg.models.cost:Cost",
    "GeosegError": "geoseg.errors:GeosegError",
    "compare": "geoseg.calls:compare",
    "cost": "geoseg.models.cost:cost",
    "create_model": "geoseg.models:create_model",
    "evaluate": "geoseg.calls:evaluate",
    "import_model": "geoseg.commands.import_:run",
    "load_model": "geoseg.models:load_model",
    "metrics": "geoseg.metrics",
    "open_mosaic": "geoseg.raster:open_mosaic",
    "open_raster": "geoseg.raster:open_raster",
    "polygonize": "geoseg.vector:polygonize",
    "predict": "geoseg.calls:predict",
    "predict_array": "geoseg.inference.arrays:predict_array",
    "prepare": "geoseg.calls:prepare",
    "read_area": "geoseg.inference.interest:read_area",
    "save_model": "geoseg.models:save_model",
    "scenes": "geoseg.scenes",
    "stack": "geoseg.raster:stack",
    "systems": "geoseg.models:systems",
    "train": "geoseg.calls:train",
    "vectorize": "geoseg.calls:vectorize",
    "wrap": "geoseg.models:wrap",
    "write_label_values": "geoseg.datasets.raster_labels:write_label_values",
}

__all__ = [
    "ClassScheme",
    "Cost",
    "GeosegError",
    "compare",
    "cost",
    "create_model",
    "evaluate",
    "import_model",
    "load_model",
    "metrics",
    "open_mosaic",
    "open_raster",
    "polygonize",
    "predict",
    "predict_array",
    "prepare",
    "read_area",
    "save_model",
    "scenes",
    "stack",
    "systems",
    "train",
    "vectorize",
    "wrap",
    "write_label_values",
]


__getattr__, __dir__ = lazy_names(__name__, _HOMES)
