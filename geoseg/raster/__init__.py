"""Rasters in and out: sources and their checks, parts, Cloud-Optimized GeoTIFFs, previews."""

from geoseg.raster.alignment import WarpedReader, describe_grid, same_grid
from geoseg.raster.area import Area
from geoseg.raster.assembly import read_window
from geoseg.raster.band_stack import StackSource, stack
from geoseg.raster.chunks import (
    LEAST_PIXELS,
    chunk_areas,
    chunk_overviews,
    chunk_path,
    chunk_side,
    has_fingerprint,
    index_files,
    is_index,
    is_of_index,
    level_at_hand,
    own_index_files,
    refuse_other_kinds,
    write_index,
)
from geoseg.raster.class_names import describes_classes, every_class, read_class_names
from geoseg.raster.cog import place_of, write_cog
from geoseg.raster.compatibility import check_bands, check_source, refuse_palette, shared_notes
from geoseg.raster.confidence import open_bytes, open_confidence
from geoseg.raster.counts import read_counts
from geoseg.raster.crs import parse_crs
from geoseg.raster.discovery import FoundSource, FoundSources, find_sources
from geoseg.raster.file_source import FileSource, open_raster
from geoseg.raster.fingerprint import (
    ChangedSourceError,
    SeenSource,
    read_fingerprint,
    source_fingerprint,
)
from geoseg.raster.gdal import GDAL_CACHE_BYTES, opened_once, raster_companions
from geoseg.raster.layers import (
    Layer,
    class_layer,
    confidence_layer,
    error_layer,
    probability_layer,
)
from geoseg.raster.mosaic import MosaicSource
from geoseg.raster.part import Part, part_is_whole, read_part, write_part
from geoseg.raster.preview import PANEL_SIDE, imagery_picture, write_preview
from geoseg.raster.reader import Reader
from geoseg.raster.reprojection import reproject
from geoseg.raster.seen import Seen, SeenSources
from geoseg.raster.sheets import (
    OVERLAP_RULES,
    OverlapRule,
    common_folder,
    make_mosaic,
    open_mosaic,
)
from geoseg.raster.source import Source
from geoseg.raster.style import imagery_style, raster_style
from geoseg.raster.undeclared import PREPARE, TRAIN, check_image, refuse_impossible

__all__ = [
    "GDAL_CACHE_BYTES",
    "LEAST_PIXELS",
    "OVERLAP_RULES",
    "PANEL_SIDE",
    "PREPARE",
    "TRAIN",
    "Area",
    "ChangedSourceError",
    "FileSource",
    "FoundSource",
    "FoundSources",
    "Layer",
    "MosaicSource",
    "OverlapRule",
    "Part",
    "Reader",
    "Seen",
    "SeenSource",
    "SeenSources",
    "Source",
    "StackSource",
    "WarpedReader",
    "check_bands",
    "check_image",
    "check_source",
    "chunk_areas",
    "chunk_overviews",
    "chunk_path",
    "chunk_side",
    "class_layer",
    "common_folder",
    "confidence_layer",
    "describe_grid",
    "describes_classes",
    "error_layer",
    "every_class",
    "find_sources",
    "has_fingerprint",
    "imagery_picture",
    "imagery_style",
    "index_files",
    "is_index",
    "is_of_index",
    "level_at_hand",
    "make_mosaic",
    "open_bytes",
    "open_confidence",
    "open_mosaic",
    "open_raster",
    "opened_once",
    "own_index_files",
    "parse_crs",
    "part_is_whole",
    "place_of",
    "probability_layer",
    "raster_companions",
    "raster_style",
    "read_class_names",
    "read_counts",
    "read_fingerprint",
    "read_part",
    "read_window",
    "refuse_impossible",
    "refuse_other_kinds",
    "refuse_palette",
    "reproject",
    "same_grid",
    "shared_notes",
    "source_fingerprint",
    "stack",
    "write_cog",
    "write_index",
    "write_part",
    "write_preview",
]
