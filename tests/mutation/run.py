"""The tests run against one mutated file, each time in a fork of a process with the libraries."""

from __future__ import annotations

import compileall
import importlib
import os
import py_compile
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.mutation.mutate import Mutation

_COPIED = ("geoseg", "tests", "configs", "docs", "examples", "pipelines")
_LIBRARIES = (
    "accelerate",
    "dask",
    "distributed",
    "geopandas",
    "hypothesis",
    "matplotlib.figure",
    "pydantic",
    "pyogrio",
    "pyproj",
    "pytest",
    "rasterio.features",
    "scipy.ndimage",
    "segmentation_models_pytorch",
    "shapely",
    "sklearn.metrics",
    "timm",
    "torch",
    "torchvision.transforms.v2",
)
_LOG = "pytest.log"
_PATIENCE = 5
"""How many times as long as without a mutation tests may take: more is an endless loop."""
_COMMANDS = {
    "inference": ("predict",),
    "raster": ("predict", "evaluate"),
    "vector": ("vectorize",),
    "tiling": ("predict",),
    "metrics": ("evaluate",),
    "training": ("train",),
    "datasets": ("prepare", "train"),
}
"""Commands whose tests see a package at work."""


def test_paths(file: Path) -> list[list[str]]:
    """The stages of tests for a module: its own file; then its package and what uses it."""
    inside = file.relative_to("geoseg")
    name = inside.parent.name if inside.stem == "__init__" else inside.stem
    own = Path("tests") / inside.parent / f"test_{name}.py"
    package = inside.parts[0]
    around = Path("tests") / ("models/context" if package == "models" else package)
    commands = [f"tests/commands/test_{command}.py" for command in _COMMANDS.get(package, ())]
    return [[str(own)], [str(around), *commands]]


def outcomes(root: Path, mutations: Sequence[Mutation]) -> list[tuple[Mutation, str]]:
    """What became of each mutation: the stage of tests that noticed it, or ``survived``."""
    results = []
    with tempfile.TemporaryDirectory(prefix="geoseg-mutants-") as folder:
        sandbox = Sandbox(root, Path(folder))
        for position, mutation in enumerate(mutations, 1):
            outcome = sandbox.outcome(mutation)
            results.append((mutation, outcome))
            place = f"{mutation.file}:{mutation.line}"
            sys.stderr.write(f"{position}/{len(mutations)} {outcome}: {place}\n")
    return results


class Sandbox:
    """A copy of the project in which files are mutated and tested."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._folder = folder
        self._limits: dict[tuple[str, ...], float] = {}
        for name in _COPIED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, folder / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(root / name, folder)
        # Compiled files that are known by the hash of their source: a mutated file is compiled
        # anew, the others are not, and nothing depends on clocks.
        for name in ("geoseg", "tests"):
            mode = py_compile.PycInvalidationMode.CHECKED_HASH
            compileall.compile_dir(folder / name, quiet=2, invalidation_mode=mode)
        os.environ |= {
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(folder),
        }
        for name in _LIBRARIES:
            with suppress(ImportError):
                importlib.import_module(name)

    def outcome(self, mutation: Mutation) -> str:
        """The first stage whose tests notice the mutation, or ``survived``.

        Raises:
            RuntimeError: the tests of a stage fail without any mutation.
        """
        path = self._folder / mutation.file
        original = path.read_text()
        for number, paths in enumerate(test_paths(mutation.file), 1):
            existing = [name for name in paths if (self._folder / name).exists()]
            if not existing:
                continue
            limit = self._limit(existing)
            path.write_text(mutation.apply(original))
            try:
                noticed = not self._pass(existing, limit)
            finally:
                path.write_text(original)
            if noticed:
                return f"noticed by stage {number}"
        return "survived"

    def _limit(self, paths: Sequence[str]) -> float:
        """Seconds that these tests may take; they are run once without a mutation."""
        key = tuple(paths)
        if key not in self._limits:
            began = time.monotonic()
            if not self._pass(paths, limit=3600):
                said = (self._folder / _LOG).read_text()[-2000:]
                raise RuntimeError(f"{', '.join(paths)}: fail without a mutation; {said}")
            self._limits[key] = 30 + _PATIENCE * (time.monotonic() - began)
        return self._limits[key]

    def _pass(self, paths: Sequence[str], limit: float) -> bool:
        child = os.fork()
        if not child:
            os._exit(_run_tests(self._folder, paths))
        end = time.monotonic() + limit
        while time.monotonic() < end:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) == 0
            time.sleep(0.05)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False


def _run_tests(folder: Path, paths: Sequence[str]) -> int:
    """Of a forked process: pytest's exit code; its output goes into a file."""
    import pytest

    os.setpgid(0, 0)  # with what the tests start, so that all can be killed together
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry not in ("", os.getcwd()))]
    for name in [name for name in sys.modules if name.split(".")[0] in ("geoseg", "tests")]:
        del sys.modules[name]
    with open(folder / _LOG, "w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    options = [
        "-x",
        "-q",
        "--assert=plain",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
    ]
    try:
        return int(pytest.main([*options, *paths]))
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
