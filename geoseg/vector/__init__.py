"""Class rasters to polygons without seams, gaps or overlaps.

labels -> `polygonize_part` (each part by itself) -> `join_parts` (whole regions) ->
`write_polygons` (files). Of a large raster, tasks do so for areas: `join_area` joins parts and
areas, `write_features` and `write_pieces` keep what it gives, `merged_features` ends the tree.
"""

from geoseg.vector.absorb import absorb_areas, clean_labels
from geoseg.vector.ahead import features_ahead
from geoseg.vector.array_files import read_arrays, write_arrays
from geoseg.vector.cells import CELL, Drawing, simplified_part
from geoseg.vector.charts import Grid
from geoseg.vector.cleaning import AreaLimit, Cleaning
from geoseg.vector.features import (
    EXTRA_FIELDS,
    FIELDS,
    FeatureTable,
    Layer,
    check_attributes,
    feature_tables,
)
from geoseg.vector.formats import FORMATS, check_polygons, format_of, read_vector_fingerprint
from geoseg.vector.graph_join import join_graphs
from geoseg.vector.join import join_area, join_parts
from geoseg.vector.part_regions import PartRegions, polygonize_part
from geoseg.vector.pixel_areas import PixelAreas
from geoseg.vector.placement import Placed, place
from geoseg.vector.polygonize import LabelPolygon, Regions, polygonize
from geoseg.vector.read import Features, read_features
from geoseg.vector.region_graph import find_graph, graph_arrays, graph_of_arrays
from geoseg.vector.simplify import Metric
from geoseg.vector.spool import (
    Spool,
    merged_features,
    read_pieces,
    write_features,
    write_pieces,
)
from geoseg.vector.style import polygon_style
from geoseg.vector.vector_file import no_crs
from geoseg.vector.write import refuse_folder, write_layers, write_polygons, write_tables

__all__ = [
    "CELL",
    "EXTRA_FIELDS",
    "FIELDS",
    "FORMATS",
    "AreaLimit",
    "Cleaning",
    "Drawing",
    "FeatureTable",
    "Features",
    "Grid",
    "LabelPolygon",
    "Layer",
    "Metric",
    "PartRegions",
    "PixelAreas",
    "Placed",
    "Regions",
    "Spool",
    "absorb_areas",
    "check_attributes",
    "check_polygons",
    "clean_labels",
    "feature_tables",
    "features_ahead",
    "find_graph",
    "format_of",
    "graph_arrays",
    "graph_of_arrays",
    "join_area",
    "join_graphs",
    "join_parts",
    "merged_features",
    "no_crs",
    "place",
    "polygon_style",
    "polygonize",
    "polygonize_part",
    "read_arrays",
    "read_features",
    "read_pieces",
    "read_vector_fingerprint",
    "refuse_folder",
    "simplified_part",
    "write_arrays",
    "write_features",
    "write_layers",
    "write_pieces",
    "write_polygons",
    "write_tables",
]
