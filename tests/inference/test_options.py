"""Options as Python, forms and the command line give them; wrong ones name what to give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import ConfigError, TilingError
from geoseg.inference.options import PredictOptions
from geoseg.models import Model
from geoseg.raster import open_raster
from geoseg.tiling import TileGrid


def test_the_defaults_are_the_documented_ones() -> None:
    assert asdict(PredictOptions.from_keywords()) == {
        "card": None,
        "window": None,
        "overlap": None,
        "stitch": "blend",
        "block": "auto",
        "batch": "auto",
        "device": "auto",
        "precision": "auto",
        "backend": "torch",
        "scales": (1.0,),
        "flip": False,
        "encode": "auto",
        "cell": None,
        "bands": None,
        "value_range": None,
        "nodata": None,
        "stack": (),
        "crs": None,
        "aoi": None,
        "aoi_layer": None,
        "crop": True,
        "mosaic": None,
        "overlap_rule": "first",
        "merge": False,
        "resample": False,
        "output_grid": "source",
        "confidence": False,
        "probabilities": False,
        "min_confidence": 0.0,
        "vectors": ("gpkg",),
        "attributes": (),
        "min_area": None,
        "keep": (),
        "simplify": None,
        "smooth": False,
        "regularize": (),
        "regularize_tolerance": None,
        "clean_raster": False,
        "max_output_pixels": 1_073_741_824,
        "zones": None,
        "project": False,
        "stac": False,
        "preview": None,
        "workers": 0,
        "scheduler": None,
        "mixed": False,
        "max_memory": None,
        "max_gpu_memory": None,
        "overwrite": False,
        "dry_run": False,
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"window": "64"}, 64),
        ({"overlap": 8.0}, 8),
        ({"block": "1"}, 1),
        ({"block": "auto"}, "auto"),
        ({"batch": "3"}, 3),
        ({"workers": "2"}, 2),
        ({"workers": 0}, 0),
        ({"nodata": "-9999.5"}, (-9999.5,)),
        ({"nodata": 0}, (0.0,)),
        ({"nodata": "-9999,-32768"}, (-9999.0, -32768.0)),
        ({"nodata": None}, None),
        ({"min_confidence": "1"}, 1.0),
        ({"min_confidence": 0}, 0.0),
        ({"scales": "0.5, 1,2"}, (0.5, 1.0, 2.0)),
        ({"scales": 2}, (2.0,)),
        ({"scales": [1, 0.5]}, (1.0, 0.5)),
        ({"scales": iter([1, 0.5])}, (1.0, 0.5)),
        ({"bands": "4,1,2"}, (4, 1, 2)),
        ({"bands": [1]}, (1,)),
        ({"bands": "nir, red,2"}, ("nir", "red", 2)),
        ({"bands": ["near infrared"]}, ("near infrared",)),
        ({"bands": None}, None),
        ({"value_range": "0,65535"}, (0.0, 65535.0)),
        ({"value_range": None}, None),
        ({"vectors": " SHP,gpkg,shp"}, ("shp", "gpkg")),
        ({"vectors": "none"}, ()),
        ({"vectors": None}, ()),
        ({"vectors": ["gpkg"]}, ("gpkg",)),
        ({"flip": True}, True),
    ],
)
def test_each_form_of_an_option_is_taken(given: dict[str, Any], expected: Any) -> None:
    (name,) = given
    found = getattr(PredictOptions.from_keywords(**given), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "inputs", "drawn"),
    [(None, 200, True), (None, 201, False), (True, 201, True), (False, 1, False)],
)
def test_previews_of_more_than_200_inputs_must_be_asked_for(
    given: bool | None, inputs: int, drawn: bool
) -> None:
    assert PredictOptions(preview=given).for_inputs(inputs).preview is drawn


def test_nan_is_a_nodata_value() -> None:
    (found,) = PredictOptions.from_keywords(nodata=float("nan")).nodata or ()
    assert found != found


@pytest.mark.parametrize(("batch", "size"), [("auto", None), (1, 1), ("3", 3)])
def test_the_batch_size_is_none_where_geoseg_chooses(batch: Any, size: int | None) -> None:
    assert PredictOptions.from_keywords(batch=batch).batch_size == size


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"block": 0}, "block 0: give 1 pixel or more, or auto"),
        ({"block": "big"}, "block 'big': give one whole number, or auto"),
        ({"batch": 0}, "batch 0: give a whole number of windows, 1 or more, or auto"),
        ({"batch": "x"}, "batch 'x': give one whole number, or auto"),
        ({"window": 2.5}, "window 2.5: give one whole number$"),
        ({"window": float("inf")}, "window inf: give one whole number$"),
        ({"nodata": "x"}, "nodata 'x': give numbers separated by commas$"),
        ({"min_confidence": 1.1}, "min_confidence 1.1: give a probability between 0 and 1"),
        ({"min_confidence": -0.1}, "min_confidence -0.1: give a probability between 0 and 1"),
        ({"workers": -1}, "workers -1: give the number of worker processes, or 0 for none"),
        ({"workers": 2, "scheduler": "tcp://a:1"}, "workers 2 and scheduler tcp://a:1: give one"),
        ({"mixed": True}, "mixed is about the workers of a cluster; give scheduler, or"),
        (
            {"device": "cuda:all", "scheduler": "tcp://a:1"},
            "device cuda:all is about this machine; with scheduler give cuda",
        ),
        ({"workers": None}, "workers None: give one whole number$"),
        ({"bands": "0,1"}, r"bands \[0, 1\]: bands count from 1; give them in the model's order"),
        ({"bands": []}, r"bands \[\]: bands count from 1"),
        ({"bands": "1,,2"}, r"bands \[1, '', 2\]: .* such as 4,1,2 or nir,red,green"),
        ({"bands": "1,2.5"}, "bands '1,2.5': give names or whole numbers separated by commas"),
        ({"bands": [1, None]}, "bands .*: give names or whole numbers separated by commas"),
        ({"scales": "x"}, "scales 'x': give numbers separated by commas"),
        ({"value_range": "5"}, "value_range '5': give two numbers, such as 0,65535"),
        ({"value_range": ()}, r"value_range \(\): give two numbers, such as 0,65535"),
        ({"value_range": (1, 2, 3)}, r"value_range \(1, 2, 3\): give two numbers"),
        ({"vectors": "dwg"}, "vectors 'dwg' is not a format that geoseg writes; use .* or none"),
        ({"flip": "yes"}, "flip 'yes': give true or false"),
        ({"dry_run": 1}, "dry_run 1: give true or false"),
        ({"ovrlap": 3}, r"option 'ovrlap' is unknown; did you mean overlap\?"),
        ({"zzzz": 3}, "option 'zzzz' is unknown$"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PredictOptions.from_keywords(**given)


def test_a_batch_that_is_not_a_number_is_refused_with_its_value() -> None:
    with pytest.raises(ConfigError, match=r"batch 2\.5: give a whole number of windows"):
        PredictOptions(batch=2.5)  # type: ignore[arg-type]


def test_the_lattice_is_the_cards_unless_options_say_otherwise(
    make_model: Callable[..., Model], make_raster: Callable[..., Path]
) -> None:
    card, source = make_model().card, open_raster(make_raster(height=64, width=80))
    assert PredictOptions().grid(card, source) == TileGrid(64, 80, 16, 4, "blend")
    chosen = PredictOptions(window=20, overlap=0, stitch="crop")
    assert chosen.grid(card, source) == TileGrid(64, 80, 20, 0, "crop")
    with pytest.raises(TilingError, match="overlap=20 does not fit window=16"):
        PredictOptions(overlap=20).grid(card, source)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"device": "tpu"}, "device 'tpu' is unknown; use auto, cpu, cuda, cuda:N or cuda:all"),
        ({"backend": "onnx"}, "backend 'onnx' is unknown; use torch, openvino or compile"),
        ({"precision": "half"}, "precision 'half' is unknown; use auto, fp32, bf16 or fp16"),
        ({"scales": "0"}, r"factors between 0\.1 and 8"),
        ({"value_range": "9,1"}, "the first value must be below the second"),
    ],
)
def test_how_windows_are_run_is_checked_before_a_model_is_there(
    option: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        PredictOptions.from_keywords(**option)
