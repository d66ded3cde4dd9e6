"""A preload of Dask: this worker has no geoseg."""

import sys

from distributed import versions

known = versions._version_cached
versions._version_cached = lambda package: None if package == "geoseg" else known(package)
loaded = [name for name in sys.modules if name.partition(".")[0] == "geoseg"]
for name in ["geoseg", *loaded]:
    sys.modules[name] = None  # type: ignore[assignment]  # to import it is an error
