"""Options that networks of other programs bind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import ConfigError, ModelError
from geoseg.inference.external_options import bound_options
from geoseg.inference.options import PredictOptions
from geoseg.models import load_card
from geoseg.models.external_card import external_card

FACTS: dict[str, Any] = {
    "classes": ["a", "b"],
    "bands": ["red"],
    "value_range": [0, 255],
    "mean": [1],
    "std": [2],
}


def test_an_onnx_network_has_its_own_precision() -> None:
    card = external_card(Path("x.onnx"), "onnx", FACTS)
    assert bound_options(PredictOptions(), card).precision == "fp32"
    with pytest.raises(ConfigError, match="precision bf16: an ONNX network has its own"):
        bound_options(PredictOptions(precision="bf16"), card)


def test_a_network_of_one_size_takes_no_other() -> None:
    card = external_card(Path("x.pt2"), "torch.export", {**FACTS, "side": 64})
    assert bound_options(PredictOptions(window=64), card).window == 64
    for options in (PredictOptions(window=32), PredictOptions(scales=(0.5, 1.0))):
        with pytest.raises(ConfigError, match="takes images of 64 px only"):
            bound_options(options, card)


def test_nothing_is_shared_between_its_windows() -> None:
    card = external_card(Path("x.onnx"), "onnx", FACTS)
    with pytest.raises(ModelError, match="not known in parts; use encode window"):
        PredictOptions(encode="shared").sharing(card)


def test_other_models_bind_nothing() -> None:
    options = PredictOptions(precision="bf16", window=32)
    assert bound_options(options, load_card("demo")) is options
