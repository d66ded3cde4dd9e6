"""GeoDeep's classes of a raster; run by a Python that has GeoDeep: RASTER MODEL OUT.npy."""

from __future__ import annotations

import sys

import geodeep  # type: ignore[import-not-found]  # in an environment of its own
import numpy as np

raster, model, out = sys.argv[1:]
np.save(out, geodeep.segment(raster, model, output_type="raw", max_threads=1))
