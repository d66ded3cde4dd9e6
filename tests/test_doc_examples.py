"""The Python of docs/predict.md runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from rasterio import Affine

import geoseg
from tests.conftest import GRID, UTM

BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_examples_of_the_page_on_predicting_run(
    make_raster: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = np.full((3, 512, 512), 99, np.uint8)
    make_raster("scene.tif", data=data)
    make_raster("orthos/a.tif", data=data)
    make_raster("orthos/b.tif", data=data, transform=GRID @ Affine.translation(512, 0))
    area = shapely.box(500_010, 5_399_900, 500_090, 5_399_990)
    geopandas.GeoDataFrame(geometry=[area], crs=UTM).to_file("district.gpkg")
    geoseg.save_model(
        geoseg.create_model("pixel", classes=2, in_channels=3),
        "model.safetensors",
        classes=["a", "b"],
        bands=["red", "green", "blue"],
        value_range=(0, 255),
        mean=[120.0] * 3,
        std=[60.0] * 3,
        window=256,
        overlap=64,
    )
    page = (Path(geoseg.__file__).parents[1] / "docs/predict.md").read_text(encoding="utf-8")
    examples = BLOCK.findall(page)
    assert len(examples) >= 3
    for example in examples:
        exec(compile(example, "docs/predict.md", "exec"), {})
