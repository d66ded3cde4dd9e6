"""What Deepness (QGIS) reads in the metadata of an ONNX file, from a card; each value is JSON.

The names are those of the plugin's ``model_base.py``: it takes images of 0..255, divides them by
255, and lays its tile by pixels and its overlap by per cent.
"""

from __future__ import annotations

import json

from geoseg.models import Card

_WHITE = 255.0
"""By which Deepness divides before it standardises."""


def deepness_metadata(card: Card) -> dict[str, str]:
    """The keys of a segmentation model, JSON texts by name.

    `standardization_mean` and `standardization_std` undo the plugin's division, so they are right
    for any range of values that a raster has.
    """
    facts: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(card.classes.names)},
        # Its code reads the one, its manual says the other.
        "tile_size": card.window,
        "tiles_size": card.window,
        "tiles_overlap": round(100 * card.overlap / card.window),
        "standardization_mean": [mean / _WHITE for mean in card.mean],
        "standardization_std": [std / _WHITE for std in card.std],
        "seg_thresh": 0.0,  # every pixel has the class of the highest probability
        "seg_small_segment": 0,
    }
    if card.ground_sampling is not None:
        facts["resolution"] = round(100 * card.ground_sampling, 6)  # centimetres
    return {name: json.dumps(fact) for name, fact in facts.items()}
