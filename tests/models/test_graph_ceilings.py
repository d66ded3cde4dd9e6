"""Ceilings of sizes are saved, and are the numbers that they were."""

from __future__ import annotations

import io
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoseg.models.external_file import trace_module
from geoseg.models.graph_ceilings import with_integer_ceilings


class Padded(nn.Module):
    """As many rows and columns behind an image as a quarter of its sides, rounded up."""

    def forward(self, x: Tensor) -> Tensor:
        rows, cols = (math.ceil(side / 4) for side in x.shape[2:])
        return F.pad(x, (0, cols, 0, rows))


def test_ceilings_of_sides_are_saved_as_the_same_numbers() -> None:
    content = trace_module(Padded(), bands=2, multiple=1, side=None)
    loaded = torch.export.load(io.BytesIO(content)).module()
    for size in ((64, 64), (65, 70), (7, 31)):
        image = torch.rand(1, 2, *size)
        assert torch.equal(loaded(image), Padded()(image))


def test_no_ceiling_is_left() -> None:
    axes = {2: torch.export.Dim("rows", min=2), 3: torch.export.Dim("cols", min=2)}
    image = torch.zeros(1, 1, 64, 65)
    program = torch.export.export(Padded(), (image,), dynamic_shapes=({**axes},))
    assert any(node.target is math.ceil for node in program.graph_module.graph.nodes)
    with_integer_ceilings(program)
    assert all(node.target is not math.ceil for node in program.graph_module.graph.nodes)
