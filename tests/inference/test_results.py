"""What a run returns to Python: outputs that open, areas, and a page for notebooks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

import geoseg
from geoseg.errors import ConfigError
from geoseg.inference.results import InputResult, PredictReport

Make = Callable[..., Path]


@pytest.fixture
def report(make_raster: Make, model_file: Path, tmp_path: Path) -> PredictReport:
    return geoseg.predict(
        make_raster("a <b>.tif"), model_file, out=tmp_path / "out", confidence=True, preview=True
    )


def test_outputs_open_as_they_are_in_their_files(report: PredictReport) -> None:
    (one,) = report.inputs
    assert one.status == "done"
    for kind, opened in (("classes", one.classes), ("confidence", one.confidence)):
        with rasterio.open(one.outputs[kind]) as file:
            assert np.array_equal(np.asarray(opened), file.read(1))
    with warnings.catch_warnings(action="error"):  # of several layers
        polygons = one.polygons
    assert set(polygons.columns) >= {"class_id", "class", "area_m2", "confidence", "geometry"}
    for name, area in report.areas.items():
        assert polygons[polygons["class"] == name].area_m2.sum() == pytest.approx(area)


def test_it_is_short_in_a_terminal_and_a_page_in_a_notebook(report: PredictReport) -> None:
    assert repr(report) == f"<geoseg.predict: {report.text}>"
    assert len(repr(report.inputs[0])) < 300
    page = report._repr_html_()
    assert "a &lt;b&gt;.tif" in page
    assert "<b>" not in page
    assert page.count("data:image/png;base64,") == 1


def test_what_was_not_made_is_said_with_what_to_do() -> None:
    failed = InputResult({"path": "a.tif", "status": "failed"})
    with pytest.raises(ConfigError, match=r"a\.tif: has no classes \(failed\)"):
        _ = failed.classes
    done = InputResult({"path": "a.tif", "status": "done", "outputs": {"classes": "a_classes.tif"}})
    with pytest.raises(ConfigError, match=r"has no confidence .*; predict with confidence=True"):
        _ = done.confidence
    with pytest.raises(ConfigError, match=r"has no polygons .*; predict with vectors"):
        _ = done.polygons
    assert PredictReport("none", {"failures": ["<x>"]})._repr_html_().count("&lt;x&gt;") == 1
