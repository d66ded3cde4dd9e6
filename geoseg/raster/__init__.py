"""Rasters in and out: sources and their checks, parts, Cloud-Optimized GeoTIFFs, previews."""

from geoseg.raster.check import check_source
from geoseg.raster.cog import class_cog, confidence_cog, probabilities_cog, read_class_names
from geoseg.raster.dataset import GDAL_CACHE_BYTES
from geoseg.raster.find import Found, find_sources
from geoseg.raster.fingerprint import read_fingerprint, source_fingerprint
from geoseg.raster.grid import Resampled, describe_grid, same_grid
from geoseg.raster.part import Part, part_is_whole, read_part, write_part
from geoseg.raster.preview import write_preview
from geoseg.raster.reader import Reader
from geoseg.raster.source import Source, open_raster, parse_crs

__all__ = [
    "GDAL_CACHE_BYTES",
    "Found",
    "Part",
    "Reader",
    "Resampled",
    "Source",
    "check_source",
    "class_cog",
    "confidence_cog",
    "describe_grid",
    "find_sources",
    "open_raster",
    "parse_crs",
    "part_is_whole",
    "probabilities_cog",
    "read_class_names",
    "read_fingerprint",
    "read_part",
    "same_grid",
    "source_fingerprint",
    "write_part",
    "write_preview",
]
