"""Arguments of another type are refused in one line that names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import geoseg
from geoseg.errors import GeosegError, OutputError
from geoseg.given import given_path, given_paths, path_text, refuse_existing

MODULE = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1))
FACTS: dict[str, Any] = {"classes": ["a", "b"], "bands": ["red"], "mean": [1], "std": [2]}
WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "sources": (lambda: geoseg.predict(5, "demo"), "sources 5: give a path, or a list of"),
    "list": (lambda: geoseg.predict([1], "demo"), r"sources \[1\]: give a path, or a list"),
    "array": (lambda: geoseg.predict(np.zeros((3, 9, 9)), "demo"), "predict_array"),
    "out": (lambda: geoseg.predict("a.tif", "demo", out=5), "out 5: give a path"),
    "module": (lambda: geoseg.predict("a.tif", MODULE), r"model Sequential: .*geoseg.wrap\(mod"),
    "model": (lambda: geoseg.predict_array(np.zeros((3, 9, 9)), 5), "model int: give the path"),
    "no sources": (lambda: geoseg.predict([], "demo"), "no input is given; name files or folders"),
    "empty": (lambda: geoseg.predict("", "demo"), "sources: an empty text is no path; a variable"),
    "empty of several": (lambda: geoseg.predict(["a.tif", ""], "demo"), "sources: an empty text"),
    "empty out": (lambda: geoseg.predict("a.tif", "demo", out=""), "out: an empty text is no"),
    "empty model": (lambda: geoseg.predict("a.tif", ""), "model: an empty text is no path"),
    "empty classes": (lambda: geoseg.evaluate("a", "b", "", "out"), "classes: an empty text is no"),
    "empty images": (
        lambda: geoseg.evaluate("a", "b", "isprs", "out", images=""),
        "images: an empty text is no path",
    ),
    "progress": (
        lambda: geoseg.predict("a.tif", "demo", progress=5),
        "progress 5: give a geoseg.progress.Progress",
    ),
    "window": (lambda: geoseg.predict("a.tif", "demo", window=True), "window True: give one whole"),
    "bands": (lambda: geoseg.predict("a.tif", "demo", bands=[True]), r"bands \[True\]: give names"),
    "stack": (lambda: geoseg.stack(5), "paths 5: give a path, or a list of paths"),
    "area": (lambda: geoseg.read_area(5), "path 5: give a path"),
    "transform": (
        lambda: geoseg.predict_array(np.zeros((3, 9, 9)), "demo", (1, 0, 0)),
        r"transform \(1, 0, 0\): give an affine.Affine",
    ),
    "cleaning": (
        lambda: geoseg.vectorize("a.tif", "a.gpkg", simplfy=1),
        "option 'simplfy' is unknown; did you mean simplify?",
    ),
    "smooth": (
        lambda: geoseg.vectorize("a.tif", "a.gpkg", simplify=1, smooth="no"),
        "smooth 'no': give true or false",
    ),
    "zones": (lambda: geoseg.predict("a.tif", "demo", zones=5), "zones 5: give a path"),
    "keep": (lambda: geoseg.predict("a.tif", "demo", keep=5), "keep 5: give class names"),
    "device": (lambda: geoseg.predict("a.tif", "demo", device=3), "device '3' is unknown"),
    "load": (lambda: geoseg.load_model(MODULE), "model Sequential.*: give a path"),
    "save": (
        lambda: geoseg.save_model(MODULE, "m.safetensors", **FACTS, value_range=(0, 1)),
        r"Sequential is no network .*model.net",
    ),
    "classes": (lambda: geoseg.create_model("fcn", classes="2"), "classes='2': give a whole"),
    "encoder": (lambda: geoseg.create_model("fcn", encoder=5, classes=2), "encoder=5: give a name"),
    "colors": (
        lambda: geoseg.wrap(MODULE, **FACTS, value_range=(0, 1), colors=3),
        "colors 3: give",
    ),
    "labels": (lambda: geoseg.polygonize("x", None), "labels 'x': give an array"),
    "rasters": (lambda: geoseg.vectorize(3, out="p.gpkg"), "rasters 3: give a path"),
    "sheets": (lambda: geoseg.open_mosaic(3), "paths 3: give a path, or a list"),
    "file": (lambda: geoseg.import_model(3, "smp", "m.safetensors"), "file 3: give a path"),
    "folder": (lambda: geoseg.compare({}, out=3), "out 3: give a path"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments_of_another_type_are_refused_by_name(wrong: str) -> None:
    call, message = WRONG[wrong]
    with pytest.raises(GeosegError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_paths_and_lists_of_them_are_taken_as_they_are() -> None:
    assert given_path("out", Path("a")) == Path("a")
    assert path_text("aoi", Path("a/b")) == str(Path("a/b"))
    assert given_paths("sources", "a") == ["a"]
    assert given_paths("sources", (Path("a"), "b")) == [Path("a"), "b"]
    assert given_paths("sources", (each for each in "ab")) == ["a", "b"]


def test_what_is_in_the_place_of_a_file_is_replaced_where_it_is_one(tmp_path: Path) -> None:
    refuse_existing(tmp_path / "new", overwrite=False)
    (tmp_path / "old").touch()
    refuse_existing(tmp_path / "old", overwrite=True)
    with pytest.raises(OutputError, match="old exists; --overwrite replaces it"):
        refuse_existing(tmp_path / "old", overwrite=False)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="is a folder; give the name of a file"):
            refuse_existing(tmp_path, overwrite=overwrite)
    with pytest.raises(OutputError, match=r"old is a file, not a folder\); choose another --out"):
        refuse_existing(tmp_path / "old/below/new", overwrite=True)
