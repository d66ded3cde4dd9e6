"""Packages whose names are loaded when they are first used, so that importing them costs nothing.

torch takes seconds to import: what can be refused without it is refused before.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_FEW = 10_000
"""Objects over which the collector walks in a millisecond."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's collector of cycles, which takes a fifth of what large imports take.

    It walks over what they make again and again, and nearly all of that stays.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            # Frozen objects are counted one by one, so not where few are young. Where there are
            # some, somebody means them to stay so.
            if gc.get_count()[0] > _FEW and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # all of it is old now, without a walk
            gc.enable()


def import_environment() -> dict[str, str]:
    """In which another Python finds the modules that this one does, and no others."""
    path = os.pathsep.join(map(os.path.abspath, sys.path))
    return {"PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` (PEP 562) of a package that loads its names on first use.

    Args:
        package: its ``__name__``.
        homes: each name, and where it is: ``module:attribute``, or ``module`` for a module itself.
    """
    names = vars(sys.modules[package])

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module_name, _, attribute = homes[name].partition(":")
        with uncollected():
            module = importlib.import_module(module_name)
        names[name] = value = getattr(module, attribute) if attribute else module
        return value

    return load, lambda: sorted({*names, *homes})
