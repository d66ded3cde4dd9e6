"""A preload of Dask: this worker has no geoseg."""

import sys

from distributed import versions

known = versions.get_package_info
versions.get_package_info = lambda packages: {
    name: None if name == "geoseg" else version for name, version in known(packages).items()
}
loaded = [name for name in sys.modules if name.partition(".")[0] == "geoseg"]
for name in ["geoseg", *loaded]:
    sys.modules[name] = None  # type: ignore[assignment]  # to import it is an error
