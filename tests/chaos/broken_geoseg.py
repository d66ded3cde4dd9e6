"""A preload of Dask: this worker's geoseg says its version, but cannot be imported."""

import sys

for name in ["geoseg", *sys.modules]:
    if name.partition(".")[0] == "geoseg":
        sys.modules[name] = None  # type: ignore[assignment]  # to import it is an error
