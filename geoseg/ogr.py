"""pyogrio, loaded when a vector file is first read or written.

It takes a tenth of a second to import, and three times that where pandas is installed: what needs
no vector file, and that includes most refusals, does not wait for it.
"""

from typing import TYPE_CHECKING

from geoseg.lazy import lazy_names

if TYPE_CHECKING:
    from pyogrio import list_layers, raw, read_info
    from pyogrio.errors import DataLayerError, DataSourceError

_HOMES = {
    "DataLayerError": "pyogrio.errors:DataLayerError",
    "DataSourceError": "pyogrio.errors:DataSourceError",
    "list_layers": "pyogrio:list_layers",
    "raw": "pyogrio.raw",
    "read_info": "pyogrio:read_info",
}

__all__ = ["DataLayerError", "DataSourceError", "list_layers", "raw", "read_info"]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
