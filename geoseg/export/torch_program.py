"""A model as a `torch.export` program, which torch alone can run, in Python or C++."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.errors import ModelError, one_line_reason
from geoseg.export.agreement import Agreement, compare
from geoseg.export.traced import Probabilities, trace
from geoseg.files import write_bytes
from geoseg.models import Model
from geoseg.models.graph_ceilings import with_integer_ceilings
from geoseg.models.graph_checks import without_tensor_checks

CARD_FILE = "geoseg_card.json"
"""Of the files inside the program: the model's card."""


def write_program(model: Model, path: Path, tiles: Sequence[NDArray[np.float32]]) -> Agreement:
    """Write the program (``.pt2``), once it is shown to give what the model gives.

    It takes sides that are multiples of the network's, of two or more of them.

    Args:
        model: what is exported.
        path: of the file.
        tiles: ``(N, bands, H, W)`` standardised images on which both are compared.

    Returns:
        How program and model agree.

    Raises:
        ModelError: the network cannot be traced, or the program gives something else.
        OutputError: the file cannot be written.
    """
    program = with_integer_ceilings(trace(model.net))
    without_tensor_checks(program.graph_module)
    traced = program.module()

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            with torch.inference_mode():
                probabilities: NDArray[np.float32] = traced(torch.from_numpy(image)).numpy()
        except (AssertionError, RuntimeError) as error:
            raise ModelError(
                f"the traced program does not run on {image.shape} ({one_line_reason(error)}); "
                "nothing was written; export a model with another encoder, such as resnet50"
            ) from error
        return probabilities

    step = model.net.multiple
    fitting = [
        tile[..., : tile.shape[2] // step * step, : tile.shape[3] // step * step]
        for tile in tiles
        if min(tile.shape[2:]) >= 2 * step
    ]
    agreement = compare(run, Probabilities(model.net).eval(), fitting)
    agreement.check("the traced program")
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={CARD_FILE: model.card.to_json()})
    write_bytes(path, buffer.getbuffer())
    return agreement
