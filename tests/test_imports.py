"""Imports go down only, and the command line answers before torch is there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geoseg

ROOT = Path(geoseg.__file__).parent
FLOORS = [
    {"errors", "classes", "failures", "disks", "files", "locks", "geodesy", "listing"}
    | {"coordinate_systems"}
    | {
        "styles",
        "ellipsoid",
        "places",
        "copies",
        "stores",
        "buckets",
        "leases",
        "own_reports",
        "remote",
        "remote_look",
        "warned",
        "value_ranges",
    }
    | {
        "lazy",
        "memory",
        "ogr",
        "report",
        "progress",
        "prefetch",
        "look_processes",
        "unwritable",
        "pickles",
        "stopping",
        "foreign",
        "given",
        "vector_content",
    },
    {"tiling", "metrics"},
    {"raster", "vector", "models", "yaml_files", "yaml_text"},
    {"datasets"},
    {"inference", "training", "evaluation", "scenes", "export", "importing", "viewing"},
    {"config", "config_data"},
    {"commands"},
    {"__main__", "calls", "cli", "cli_group", "cli_models", "cli_options", "program", "terminal"},
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
APART = [
    {"raster", "vector", "models"},
    {"evaluation", "training"},
    {"evaluation", "inference"},
    {"viewing", "inference"},
]
"""Rooms of one floor that know nothing of one another."""


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in ROOT.rglob("*.py")}


def imported(file: Path) -> set[str]:
    """Modules of geoseg that a file imports, wherever in the file, for types alone included."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("geoseg"):
            own = node.module or ""
            names |= {
                f"{own}.{a.name}" if f"{own}.{a.name}" in MODULES else own for a in node.names
            }
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("geoseg")}
    return names


def room(module: str) -> str:
    return ([*module.split("."), "__init__"])[1]


def test_each_room_has_its_floor():
    rooms = {room(module) for module in MODULES} - {"__init__"}
    assert rooms == set(FLOOR)


def test_imports_go_down_only():
    wrong = [
        f"{module} imports {other}"
        for module, file in MODULES.items()
        for here in [room(module)]
        if here != "__init__"
        for other in imported(file)
        for there in [room(other)]
        if there not in (here, "__init__")
        if FLOOR[there] > FLOOR[here] or any({here, there} <= apart for apart in APART)
    ]
    assert wrong == []


def test_no_modules_import_one_another_in_a_circle():
    # A package hands on the names of its modules, so a module's import of its own package is one.
    graph = {module: imported(file) - {"geoseg"} for module, file in MODULES.items()}
    graph.pop("geoseg")
    ended = set()
    while ready := {module for module, needs in graph.items() if needs <= ended} - ended:
        ended |= ready
    assert sorted(graph.keys() - ended) == []


def test_all_names_of_the_package_exist_and_are_sorted():
    assert list(geoseg.__all__) == sorted(geoseg.__all__)
    assert set(geoseg.__all__) <= set(dir(geoseg))
    for name in geoseg.__all__:
        assert getattr(geoseg, name) is not None


def test_help_and_the_package_come_without_torch_or_rasterio():
    heavy = ("torch", "rasterio", "dask", "numpy")
    code = f"import sys, geoseg, geoseg.cli; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'geoseg' has no attribute 'nothing'"):
        geoseg.nothing  # noqa: B018 - the access is the test
