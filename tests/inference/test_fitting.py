"""Options that are advised for a raster are true and complete: with them it fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import assume, example, given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from geoseg.classes import ClassScheme
from geoseg.inference.fitting import find_fit, open_fitting
from geoseg.inference.options import PredictOptions
from geoseg.models import Card, ModelSpec

Make = Callable[..., Path]
IRRG = ("nir", "red", "green")


def card(bands: tuple[str, ...] = IRRG, value_range: tuple[float, float] = (0, 255)) -> Card:
    return Card(
        spec=ModelSpec(
            system="pixel", encoder=None, classes=2, in_channels=len(bands), output_stride=1
        ),
        classes=ClassScheme.from_names(["a", "b"]),
        bands=bands,
        value_range=value_range,
        mean=(100.0,) * len(bands),
        std=(50.0,) * len(bands),
        window=32,
        overlap=8,
        ground_sampling=0.5,
    )


def test_a_raster_that_fits_needs_nothing(make_raster: Make) -> None:
    fit = find_fit(make_raster(), card(("red", "green", "blue")))
    assert (fit.options, fit.reasons, fit.warnings, fit.refusal) == ({}, (), (), "")


def test_bands_are_chosen_by_name_and_named(make_raster: Make) -> None:
    path = make_raster(bands=5)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("blue", "green", "red", "rededge", "NIR")
    fit = find_fit(path, card())
    assert fit.options == {"bands": "nir,red,green"}
    assert fit.warnings == ()
    source, _, _ = open_fitting(path, card(), PredictOptions.from_keywords(**fit.options))
    assert source.bands == (5, 3, 2)


def test_an_order_that_is_only_usual_is_advised_on_its_condition(make_raster: Make) -> None:
    fit = find_fit(make_raster(bands=4, photometric="MINISBLACK"), card())
    assert fit.options == {"bands": "4,1,2"}
    assert "if its first bands are red, green, blue, nir" in fit.reasons[0]


def test_what_no_option_helps_is_refused_with_the_reason(make_raster: Make) -> None:
    for path, reason in (
        (make_raster("one.tif", bands=1), "it lacks bands"),
        (make_raster("many.tif", bands=5, photometric="MINISBLACK"), "choose a, b, c among 1..5"),
        (make_raster("none.tif", dtype="complex64"), "complex numbers"),
    ):
        fit = find_fit(path, card(("a", "b", "c")))
        assert reason in fit.refusal
        assert fit.options == {}


def test_nodata_and_range_are_found_together(make_raster: Make) -> None:
    data = np.random.default_rng(0).random((4, 64, 80)).astype(np.float32)
    data[:, :18, :18] = np.finfo(np.float32).min
    fit = find_fit(make_raster(data=data), card())
    assert fit.options["bands"] == "4,1,2"
    assert float(fit.options["nodata"]) == np.finfo(np.float32).min
    assert fit.options["value_range"] == "0,1"
    assert len(fit.reasons) == 2
    assert fit.arguments == "--bands 4,1,2 --value-range 0,1 --nodata=-3.4028234663852886e+38"


# Half of its values are the highest of its type, so that the fill lies not far from all of them.
@example(dtype="int16", high=60_000, fill=-9999.0, bands=3, value_range=(0, 255))
@given(
    dtype=st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
    high=st.sampled_from([1, 200, 900, 3000, 9000, 60_000]),
    fill=st.sampled_from([None, -9999.0, -32768.0, -3.4028234663852886e38]),
    bands=st.integers(3, 6),
    value_range=st.sampled_from([(0, 255), (0, 1), (0, 10_000)]),
)
def test_followed_to_the_letter_advice_makes_any_raster_fit(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: str,
    high: int,
    fill: float | None,
    bands: int,
    value_range: tuple[float, float],
) -> None:
    path = tmp_path_factory.mktemp("fit") / "a.tif"
    values = np.random.default_rng(high).random((bands, 40, 50)) * high
    kind: Any = np.dtype(dtype)
    assume(high > 1 or kind.kind == "f")  # whole numbers of one value have no distribution
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(kind)
    values = np.clip(values, 0, float(limits.max)).astype(kind)
    if fill is not None and fill >= float(limits.min):
        values[:, :9, :9] = fill
    profile = {"driver": "GTiff", "crs": "EPSG:32632", "photometric": "MINISBLACK"}
    with rasterio.open(
        path,
        "w",
        count=bands,
        height=40,
        width=50,
        dtype=kind,
        transform=from_origin(5e5, 5.4e6, 0.5, 0.5),
        **profile,
    ) as file:
        file.write(values)
    model = card(value_range=value_range)
    fit = find_fit(path, model)
    assert fit.refusal == ""
    source, _, warnings = open_fitting(path, model, PredictOptions.from_keywords(**fit.options))
    assert tuple(warnings) == fit.warnings
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, 40, 50)
    assert valid.any()
    assert pixels[:, valid].min() >= 0, "fill values are masked"
