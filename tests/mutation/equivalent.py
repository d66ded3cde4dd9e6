"""Lines whose mutations change speed or memory and no result, each with the reason.

By file, then by a text of the line. What is listed here is not drawn.
"""

EQUIVALENT: dict[str, dict[str, str]] = {
    "geoseg/raster/gdal.py": {
        "GDAL_CACHE_BYTES = ": "how many decoded blocks GDAL keeps; the pixels are the same",
    },
    "geoseg/datasets/polygon_labels.py": {
        "@lru_cache(maxsize=1)": "how many files' polygons are kept; a changed file is read anew",
    },
    "geoseg/datasets/writer.py": {
        "zlevel=1": "how hard lossless compression tries",
    },
    "geoseg/raster/part.py": {
        '"zstd_level": 1': "how hard lossless compression tries",
        '"transform": Affine.translation(1, 1)': "any but the identity: nobody reads it",
    },
    "geoseg/raster/cog.py": {
        '"LEVEL": 6': "how hard lossless compression tries",
    },
    "geoseg/raster/overviews.py": {
        "_CHUNK_ROWS, _CHUNK_COLS = ": "how much is halved at a time: an even number of pixels",
    },
    "geoseg/models/context/hcnet/segment_attention.py": {
        "ROW = 128": "how a segment's elements are grouped for matrix products; sums are the same",
    },
    "geoseg/models/context/ranet/jensen_shannon.py": {
        "MAX_TERMS = ": "how many terms are in memory at a time",
    },
    "geoseg/models/context/ranet/line_maxima.py": {
        "MAX_PAIRS_ON_CPU = ": "how many pairs' samples are in memory at a time",
        "on_cpu = ": "whether pairs are taken some at a time; their maxima are the same",
    },
    "geoseg/models/context/ranet/region_attention.py": {
        "MAX_PAIRS = ": "how many pairs are in memory at a time",
        "MAX_PROBABILITIES = ": "how many probabilities are in memory at a time",
        "limit = min(MAX_PAIRS": "how many pairs are in memory at a time",
        "MAX_PAIRS_TOGETHER = ": "how many pairs of several offsets share a call",
    },
    "geoseg/models/context/ranet/region_interaction.py": {
        "MAX_PRODUCTS = ": "how many products are in memory at a time",
        "MAX_FEATURES = ": "how many features are in memory at a time",
        "if len(parts) == 1 or not": "whether parts are computed again instead of kept in memory",
    },
    "geoseg/raster/preview.py": {
        "_CHUNK_ROWS = 512": "how many rows are read at a time",
        "rows = max(1, _CHUNK_ROWS": "how many rows are read at a time",
    },
    "geoseg/raster/reader.py": {
        "for band, flag in zip(used, flags, strict=True)": "one flag is looked up for each band",
        "self._alpha_buffer: NDArray[Any] = np.empty(0, dtype)": "grows when it is needed",
        "if self._alpha_buffer.size < needed:": "when a buffer is made anew",
    },
    "geoseg/vector/features.py": {
        "_ROWS = 65_536": "when a table ends; the file holds the same rows",
        "_VERTICES = 1_000_000": "when a table ends; the file holds the same rows",
    },
    "geoseg/vector/outlines.py": {
        "        return Corners(region, row, col, positive)": "all four are empty",
    },
    "geoseg/vector/open_regions.py": {
        "_CORNERS = ": "how many corners are outlined at once; the polygons are the same",
    },
    "geoseg/vector/spool.py": {
        "_ROWS = ": "how many rows are read at a time; the order is the same",
    },
    "geoseg/inference/areas.py": {
        "AREA_PIXELS = ": "how much a task polygonizes; the files are the same",
        "_JOINED = ": "how many areas a task joins; the files are the same",
    },
    "geoseg/vector/join.py": {
        "_pieces: int = 0": "from where pieces are numbered; the numbers are used as names alone",
        "if len(kept.pieces) < len(gone.pieces):": "which of two regions takes in the other",
    },
    "geoseg/inference/cluster.py": {
        "client.cancel(left)": "tasks that wait end before their first forward all the same",
    },
    "geoseg/inference/run.py": {
        "model-{self.settings": "how many digits name a temporary file",
    },
    "geoseg/inference/slots.py": {
        "return self._threads[lane] + 1": "how many tasks wait for a thread: none of them is lost",
    },
    "geoseg/inference/options.py": {
        "get_close_matches": "how many names are looked for; the nearest is used",
    },
    "geoseg/inference/finished_classes.py": {
        "_PIECES = ": "how many pixels are counted at a time",
    },
    "geoseg/inference/stitching.py": {
        "_CACHED_BYTES = ": "how many rows are worked on at a time",
    },
    "geoseg/metrics/boundary.py": {
        "if not actual_bits.any() or": "classes without boundaries count nothing anyway",
    },
    "geoseg/training/initial_weights.py": {
        "classes=net.spec.classes + 1": "any other number of classes shows which shapes follow it",
    },
    "geoseg/training/patches.py": {
        "_OPEN_TILES = ": "how many files are open at a time",
        "_BATCHES_AHEAD = ": "how many batches wait in memory",
        "pin_memory=": "how batches are copied to a GPU",
    },
}
