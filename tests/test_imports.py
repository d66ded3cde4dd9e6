"""Imports go down only, and the command line answers before torch is there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geoseg

ROOT = Path(geoseg.__file__).parent
FLOORS = [
    {"errors", "classes", "progress", "prefetch", "temporary", "held"},
    {"tiling", "metrics"},
    {"raster", "vector", "models", "documents"},
    {"inference", "training", "scenes", "preparing"},
    {"config"},
    {"commands"},
    {"cli", "terminal"},
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
APART = ("raster", "vector", "models")


def imported(file: Path) -> set[str]:
    """Top-level parts of geoseg that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geoseg"):
            parts = (node.module or "").split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("geoseg.")}
    return names & set(FLOOR)


def test_imports_go_down_only():
    homes = {file: file.relative_to(ROOT).parts[0].removesuffix(".py") for file in ROOT.rglob("*.py")}
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file, here in homes.items()
        if here != "__init__"
        for name in imported(file) - {here}
        if FLOOR[name] > FLOOR[here] or (here in APART and name in APART)
    ]
    assert wrong == []


def test_all_names_of_the_package_can_be_had_and_are_sorted():
    assert list(geoseg.__all__) == sorted(geoseg.__all__)
    assert set(geoseg.__all__) <= set(dir(geoseg))
    for name in geoseg.__all__:
        assert getattr(geoseg, name) is not None


def test_help_and_the_package_come_without_torch_or_rasterio():
    code = (
        "import sys, geoseg, geoseg.cli; print([m for m in ('torch', 'rasterio', 'dask', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'geoseg' has no attribute 'nothing'"):
        geoseg.nothing  # noqa: B018 - the access is the test
