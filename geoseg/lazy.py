"""Packages whose names are loaded when they are first used, so that importing them costs nothing.

torch takes seconds to import: what can be refused without it is refused before.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


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
        module = importlib.import_module(module_name)
        names[name] = value = getattr(module, attribute) if attribute else module
        return value

    return load, lambda: sorted({*names, *homes})
