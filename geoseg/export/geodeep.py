"""An ONNX model as GeoDeep runs it: tiles of one size, of 0..1, which nobody standardises.

GeoDeep (https://github.com/uav4geo/GeoDeep, ``inference.py`` and ``detection.py`` of 0.9) takes the
tile's size from the graph's input, divides values of 8 bits by 255, and knows no mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor, nn

from geoseg.export.readers import WHITE
from geoseg.export.traced import INPUT
from geoseg.models import Card

_SCALED, _STANDARDISED = "scaled_image", "standardised_image"


class UnitImages(nn.Module):
    """Images of 0..1 standardised, as the first layer of a network."""

    def __init__(self, card: Card) -> None:
        super().__init__()
        self._scale, self._shift = map(torch.from_numpy, _standardising(card))

    def forward(self, image: Tensor) -> Tensor:
        """``(N, bands, H, W)`` likewise."""
        return image * self._scale + self._shift


def _standardising(card: Card) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What an image of 0..1 is multiplied by, and what is added; ``(1, bands, 1, 1)`` each."""
    mean, std = (np.array(values)[None, :, None, None] for values in (card.mean, card.std))
    return (WHITE / std).astype(np.float32), (-mean / std).astype(np.float32)


def unit_card(card: Card) -> Card:
    """The card of the network that takes images of 0..1."""
    bands = len(card.bands)
    return card.model_copy(update={"mean": (0.0,) * bands, "std": (WHITE,) * bands})


def unit_tiles(tiles: Sequence[NDArray[np.float32]], card: Card) -> list[NDArray[np.float32]]:
    """Standardised tiles as images of 0..1, without those of another size than the card's window.

    Args:
        tiles: ``(1, bands, H, W)``, one of them at least of the window's size.
        card: of the network that takes standardised images.
    """
    scale, shift = _standardising(card)
    size = (card.window, card.window)
    return [(tile - shift) / scale for tile in tiles if tile.shape[2:] == size]


def of_unit_tiles(model: ModelProto, card: Card) -> ModelProto:
    """A model of standardised images of any size as one of 0..1 and of the card's window.

    Args:
        model: from `onnx_model`.
        card: of the network that takes standardised images.
    """
    made = ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    for node in graph.node:
        node.input[:] = [_STANDARDISED if name == INPUT else name for name in node.input]
    scale, shift = _standardising(card)
    graph.initializer.append(numpy_helper.from_array(scale, "unit_scale"))
    graph.initializer.append(numpy_helper.from_array(shift, "unit_shift"))
    graph.node.insert(0, helper.make_node("Mul", [INPUT, "unit_scale"], [_SCALED]))
    graph.node.insert(1, helper.make_node("Add", [_SCALED, "unit_shift"], [_STANDARDISED]))
    for value in (graph.input[0], graph.output[0]):
        for side in (2, 3):
            value.type.tensor_type.shape.dim[side].dim_value = card.window
    return made
