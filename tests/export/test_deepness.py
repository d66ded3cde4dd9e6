"""The metadata that Deepness reads say what the card says."""

from __future__ import annotations

import json

import numpy as np

from geoseg.export.deepness import deepness_metadata
from geoseg.models import Model


def test_the_plugins_arithmetic_standardises_as_the_card_says(exported_model: Model) -> None:
    facts = {n: json.loads(text) for n, text in deepness_metadata(exported_model.card).items()}
    values = np.array([[0.0, 1.0], [700.0, 900.0], [2047.0, 3.0]])
    in_plugin = (values / 255 - facts["standardization_mean"]) / facts["standardization_std"]
    card = exported_model.card
    np.testing.assert_allclose(in_plugin, (values - card.mean) / card.std, rtol=1e-12, atol=1e-12)


def test_every_value_is_json_of_the_documented_type(exported_model: Model) -> None:
    facts = {n: json.loads(text) for n, text in deepness_metadata(exported_model.card).items()}
    assert facts["model_type"] == "Segmentor"
    assert facts["class_names"] == {"0": "road", "1": "Dächer", "2": "grass: tall"}
    assert facts["resolution"] == 25  # centimetres
    assert facts["tile_size"] == facts["tiles_size"] == 96
    assert facts["tiles_overlap"] == 25  # per cent
    assert facts["seg_thresh"] == 0
