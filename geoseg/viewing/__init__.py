"""A map of a run in the browser: what to show, tiles and polygons of it, and their server."""

from geoseg.viewing.results import Results, read_results
from geoseg.viewing.server import MapServer

__all__ = ["MapServer", "Results", "read_results"]
