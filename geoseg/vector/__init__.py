"""Class rasters to polygons without seams, gaps or overlaps.

labels -> `part_pieces` (each part by itself) -> `join_pieces` (whole regions) -> `write_polygons` (files).
"""

from geoseg.vector.files import FORMATS, format_of, read_vector_fingerprint
from geoseg.vector.pieces import PartPieces, part_pieces
from geoseg.vector.polygonize import LabelPolygon, polygonize
from geoseg.vector.read import read_polygons
from geoseg.vector.regions import Regions
from geoseg.vector.seams import join_pieces
from geoseg.vector.tables import FIELDS, Layer
from geoseg.vector.write import write_layers, write_polygons

__all__ = [
    "FIELDS",
    "FORMATS",
    "LabelPolygon",
    "Layer",
    "PartPieces",
    "Regions",
    "format_of",
    "join_pieces",
    "part_pieces",
    "polygonize",
    "read_polygons",
    "read_vector_fingerprint",
    "write_layers",
    "write_polygons",
]
