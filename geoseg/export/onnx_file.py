"""A model as one ONNX file that geoseg, Deepness and onnxruntime read alike."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel
from torch import nn

from geoseg.errors import ModelError, OutputError, one_line_reason
from geoseg.export.agreement import Agreement, Run, compare
from geoseg.export.deepness import deepness_metadata
from geoseg.export.geodeep import UnitImages, of_unit_tiles, unit_card, unit_tiles
from geoseg.export.onnx_graph import onnx_model
from geoseg.export.readers import ANY, GEODEEP
from geoseg.export.traced import INPUT, Probabilities, trace
from geoseg.files import temporary_folder, write_bytes
from geoseg.models import Model

CARD_KEY, AGREEMENT_KEY = "geoseg_card", "geoseg_agreement"
"""Of the file's metadata: the model's card, and how the file was found to agree with it."""
_LARGEST = 2**31 - 1
"""Bytes of a file of protobuf."""


def write_onnx(
    model: Model,
    path: Path,
    precision: str,
    tiles: Sequence[NDArray[np.float32]],
    reader: str = ANY,
) -> Agreement:
    """Write the file, once it is shown to give what the model gives.

    Args:
        model: what is exported.
        path: of the file.
        precision: ``fp32``; or ``fp16`` or ``int8``, whose inputs and outputs are float32 too.
        tiles: ``(N, bands, H, W)`` standardised images on which file and model are compared; int8
            takes the ranges of its numbers from them.
        reader: what the file is for, of `READERS`.

    Returns:
        How file and model agree.

    Raises:
        ModelError: the network cannot be exported, or in fp32 gives something else.
        OutputError: the file cannot be written.
    """
    program = trace(model.net)
    card, reference = model.card, nn.Sequential(Probabilities(model.net)).eval()
    exact = onnx_model(program, model.net.multiple)
    if reader == GEODEEP:
        exact = of_unit_tiles(exact, card)
        tiles = unit_tiles(tiles, card)
        reference.insert(0, UnitImages(card))
        card = unit_card(card)
    metadata = {**deepness_metadata(card), CARD_KEY: card.to_json()}
    helper.set_model_props(exact, metadata)
    agreement = compare(_runner(exact), reference, tiles)
    agreement.check("the ONNX graph")
    made = exact
    if precision != "fp32":
        made = _halved(exact) if precision == "fp16" else _quantized(exact, path, tiles)
        agreement = compare(_runner(made), reference, tiles)
    facts = {"precision": precision, **agreement.to_json()}
    helper.set_model_props(made, {**metadata, AGREEMENT_KEY: json.dumps(facts)})
    if made.ByteSize() > _LARGEST:
        raise OutputError(
            f"{path}: the network has {made.ByteSize() / 1e9:.1f} GB, one ONNX file holds 2.1; "
            "export it with --precision fp16"
        )
    write_bytes(path, made.SerializeToString(deterministic=True))
    return agreement


def _runner(model: ModelProto) -> Run:
    """Runs the model in onnxruntime on the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (probabilities,) = session.run(None, {INPUT: image})
        except Exception as error:  # its own exceptions have no common class but this
            raise ModelError(
                f"onnxruntime does not run the graph on {image.shape} ({one_line_reason(error)}); "
                "nothing was written; export it with --to torch, or a model with another encoder"
            ) from error
        return np.asarray(probabilities)

    return run


def _halved(model: ModelProto) -> ModelProto:
    """The model with 16-bit floats inside."""
    copy = ModelProto()
    copy.CopyFrom(model)
    halved: ModelProto = convert_float_to_float16(copy, keep_io_types=True)
    # The converter appends its casts behind the nodes that need them, which ONNX forbids.
    OnnxModel(halved).topological_sort(is_deterministic=True)
    return halved


class _Tiles(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """The tiles, one after the other."""

    def __init__(self, tiles: Sequence[NDArray[np.float32]]) -> None:
        self._left = iter(tiles)

    def get_next(self) -> dict[str, Any] | None:
        """The next tile as the model's input; None after the last."""
        tile = next(self._left, None)
        return None if tile is None else {INPUT: tile}


def _quantized(model: ModelProto, path: Path, tiles: Sequence[NDArray[np.float32]]) -> ModelProto:
    """The model with 8-bit weights and activations in its convolutions.

    Raises:
        ModelError: onnxruntime cannot quantize it.
    """
    from onnx import load

    with temporary_folder(path) as folder, _without_advice():
        try:
            quantize_static(
                model,
                folder / "int8.onnx",
                _Tiles(tiles),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise ModelError(
                f"onnxruntime cannot quantize the network ({one_line_reason(error)}); "
                "export it with --precision fp16 or fp32"
            ) from error
        return load(folder / "int8.onnx")


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without what onnxruntime logs, as the root logger, for those who prepare models by hand."""
    was = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(was)
