"""No file is replaced or removed while it is open: Windows would refuse that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import geoseg

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/fd").is_dir(), reason="open files are known by /proc only"
)
CLASSES = [{"id": 0, "name": "dark"}, {"id": 1, "name": "bright"}]


def open_files() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # that of the listing itself
            continue
    return found


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is moved or removed; each is looked for among the open files before."""
    paths: list[str] = []
    wrong: list[str] = []

    def watch(place: Any, name: str, count: int) -> None:
        healthy = getattr(place, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            for argument in arguments[:count]:
                if isinstance(argument, str | os.PathLike) and "dir_fd" not in options:
                    path = os.path.realpath(argument)
                    paths.append(path)
                    inside = f"{path}{os.sep}"
                    # Locks are removed while they are held: see `geoseg.locks`.
                    wrong.extend(
                        f"{name} {each}"
                        for each in open_files()
                        if (each == path or each.startswith(inside)) and not each.endswith("lock")
                    )
            return healthy(*arguments, **options)

        monkeypatch.setattr(place, name, watched)

    for name in ("replace", "rename"):
        watch(os, name, 2)
    for name in ("unlink", "remove"):
        watch(os, name, 1)
    watch(shutil, "rmtree", 1)
    yield paths
    assert wrong == []


@pytest.fixture
def labelled(make_raster: Callable[..., Path], tmp_path: Path) -> Path:
    for seed, name in enumerate(("a", "b")):
        labels = np.random.default_rng(seed).integers(0, 2, (1, 64, 80)).astype(np.uint8)
        make_raster(f"in/images/{name}.tif", seed=seed)
        make_raster(f"in/labels/{name}.tif", data=labels)
    return tmp_path / "in"


def test_predict_and_vectorize_replace_no_open_file(
    labelled: Path, model_file: Path, tmp_path: Path, touched: list[str]
) -> None:
    run = {"vectors": "gpkg,shp", "confidence": True}
    for _ in range(2):
        geoseg.predict(labelled / "images", model_file, tmp_path / "out", overwrite=True, **run)
    classes = tmp_path / "out/a_classes.tif"
    for name in ("a.gpkg", "a.shp"):
        for overlap in (False, True):
            geoseg.vectorize(classes, tmp_path / "vectors" / name, overwrite=overlap)
    names = {Path(path).name for path in touched}
    assert {"a_classes.tif", "a_polygons.gpkg", "a_polygons.shp"} <= names


def test_prepare_and_evaluate_replace_no_open_file(
    labelled: Path, tmp_path: Path, touched: list[str]
) -> None:
    for _ in range(2):
        geoseg.prepare("folder", labelled, tmp_path / "prepared", classes=CLASSES)
        geoseg.evaluate(labelled / "labels", labelled / "labels", CLASSES, tmp_path / "scores")
    assert touched
