from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from affine import Affine

import geoseg

Make = Callable[..., Path]
DEGREES = Affine(1e-4, 0.0, 9.0, 0.0, -2e-4, 60.0)


@pytest.mark.parametrize(("crs", "transform"), [("EPSG:32632", None), ("EPSG:4326", DEGREES)])
def test_classes_cover_what_their_polygons_do_in_one_file_and_in_squares(
    make_raster: Make, model_file: Path, tmp_path: Path, crs: str, transform: Affine | None
) -> None:
    place = {"crs": crs} if transform is None else {"crs": crs, "transform": transform}
    coarse = np.random.default_rng(0).integers(1, 255, (3, 40, 36))
    image = make_raster(
        "a.tif", data=np.kron(coarse, np.ones((1, 16, 16))).astype(np.uint8), **place
    )
    found = []
    for name, most in (("whole", 2**30), ("squares", 2**18)):
        out = tmp_path / name
        report = geoseg.predict(image, model_file, out, preview=False, max_output_pixels=most)
        rows = list(csv.DictReader((out / "areas.csv").open()))
        polygons = pyogrio.read_dataframe(out / "a_polygons.gpkg")
        covered = polygons.groupby("class")["area_m2"].sum()
        own = {row["class"]: float(row["m2"]) for row in rows if row["sheet"] == "a"}
        assert own == pytest.approx(dict(covered), rel=2e-6)
        assert report.data["inputs"][0]["areas_m2"] == own
        found.append([list(row.values()) for row in rows])
    assert found[0] == found[1]
