"""What a fork server imports, and what its forks share with it."""

from __future__ import annotations

import gc
import importlib
import os
from contextlib import suppress

from geoseg.lazy import uncollected

MODULES = "GEOSEG_FORK_SERVER_MODULES"
"""The variable that names them, with commas between them; other processes import none."""

_modules = os.environ.pop(MODULES, None)
if _modules is not None:
    with uncollected():
        for _name in filter(None, _modules.split(",")):
            with suppress(ImportError):  # said by the worker that needs it
                importlib.import_module(_name)
    # The collector of a fork would else walk over all of it, and so copy its pages.
    gc.freeze()
