"""GeoParquet 1.1: a column a field, WKB, and the bounding box of each row.

See https://geoparquet.org/releases/v1.1.0/. By the boxes, readers skip groups of rows that are
far from a place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.coordinate_systems import projjson
from geoseg.vector.features import COLUMNS, FeatureTable, Layer
from geoseg.vector.vector_file import FINGERPRINT, VectorFile

_SIDES = ("xmin", "ymin", "xmax", "ymax")


class GeoParquet(VectorFile):
    """GeoParquet: one layer, a group of rows a table; read by geopandas, DuckDB, QGIS (3.28)."""

    suffix = ".parquet"
    driver = "Parquet"
    package = "pyarrow"

    @staticmethod
    def read_fingerprint(path: Path) -> str | None:
        """The entry in the metadata at the file's end."""
        if find_spec("pyarrow") is None or not path.is_file():
            return None
        from pyarrow import ArrowException
        from pyarrow.parquet import read_metadata

        try:
            found = read_metadata(path).metadata or {}
        except (ArrowException, OSError):
            return None
        value = found.get(FINGERPRINT.encode())
        return None if value is None else str(value, "utf-8", "replace")

    def write_layer(self, layer: Layer, tables: Iterator[FeatureTable]) -> None:
        """Write a group of rows a table; what all of them have in common comes last."""
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter

        kinds = {
            "int32": pa.int32(),
            "float64": pa.float64(),
            "text": pa.string(),
        }
        box = pa.struct([(side, pa.float64()) for side in _SIDES])
        fields = [(name, kinds[COLUMNS[name]]) for name in layer.fields]
        schema = pa.schema([*fields, ("geometry", pa.binary()), ("bbox", box)])
        all_bounds = np.array([np.inf, np.inf, -np.inf, -np.inf])
        with ParquetWriter(self.path, schema, compression="zstd") as writer:
            for table in tables:
                bounds = shapely.bounds(shapely.from_wkb(table.geometry)).reshape(-1, 4)
                all_bounds[:2] = np.minimum(all_bounds[:2], bounds[:, :2].min(0, initial=np.inf))
                all_bounds[2:] = np.maximum(all_bounds[2:], bounds[:, 2:].max(0, initial=-np.inf))
                columns = [
                    pa.array(values, kind, from_pandas=True)  # NaN: none
                    for values, (_, kind) in zip(table.columns(layer).values(), fields, strict=True)
                ]
                boxes = pa.StructArray.from_arrays(list(bounds.T), fields=list(box))
                columns += [pa.array(table.geometry, pa.binary()), boxes]
                rows = pa.Table.from_arrays(columns, schema=schema)
                writer.write_table(rows, row_group_size=max(1, len(table)))
            writer.add_key_value_metadata(
                {"geo": json.dumps(_geo(layer.crs, all_bounds)), FINGERPRINT: self.fingerprint}
            )


def _geo(crs: CRS | None, bounds: NDArray[np.float64]) -> dict[str, Any]:
    """The file's metadata by the specification."""
    column = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"],
        "crs": None if crs is None else projjson(crs),
        "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
    }
    if np.isfinite(bounds).all():
        column["bbox"] = bounds.tolist()
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
