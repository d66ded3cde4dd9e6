"""What pyproject.toml declares is what the package imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import geoseg

ROOT = Path(geoseg.__file__).parents[1]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_packages() -> set[str]:
    names = set()
    for file in (ROOT / "geoseg").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"geoseg"}


def test_every_import_is_declared_and_every_declared_package_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        r
        for name, group in project["optional-dependencies"].items()
        if name != "dev"
        for r in group
    ]
    required, optional = (
        {plain(re.split(r"[<>=\[; ]", requirement)[0]) for requirement in group}
        for group in (project["dependencies"], extras)
    )
    homes = packages_distributions()
    found = {plain(homes.get(name, [name])[0]) for name in imported_packages()}
    assert found - required - optional == set()
    assert required - found == set()
