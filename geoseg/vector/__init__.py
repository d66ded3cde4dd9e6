"""Class rasters to polygons without seams, gaps or overlaps.

labels -> `polygonize_part` (each part by itself) -> `join_parts` (whole regions) ->
`write_polygons` (files).
"""

from geoseg.vector.charts import Grid
from geoseg.vector.features import FIELDS, Layer
from geoseg.vector.formats import FORMATS, format_of, read_vector_fingerprint
from geoseg.vector.join import join_area, join_parts
from geoseg.vector.part_regions import PartRegions, polygonize_part
from geoseg.vector.placement import Placed, place
from geoseg.vector.polygonize import LabelPolygon, Regions, polygonize
from geoseg.vector.read import Features, read_features
from geoseg.vector.write import write_layers, write_polygons

__all__ = [
    "FIELDS",
    "FORMATS",
    "Features",
    "Grid",
    "LabelPolygon",
    "Layer",
    "PartRegions",
    "Placed",
    "Regions",
    "format_of",
    "join_area",
    "join_parts",
    "place",
    "polygonize",
    "polygonize_part",
    "read_features",
    "read_vector_fingerprint",
    "write_layers",
    "write_polygons",
]
