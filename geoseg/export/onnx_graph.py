"""A traced network as one ONNX model that takes images of any size."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from geoseg.errors import ModelError, one_line_reason
from geoseg.export.traced import INPUT, OUTPUT

if TYPE_CHECKING:
    from torch.export import ExportedProgram

OPSET = 20
"""Of the ONNX operators; onnxruntime 1.17 and later run it."""
_PADDED, _WHOLE = "padded_image", "padded_probabilities"


def onnx_model(program: ExportedProgram, multiple: int) -> ModelProto:
    """The ONNX model of a traced network.

    Args:
        program: from `trace`.
        multiple: sides are padded to multiples of it by repeating the last row and column, and
            cropped again, as `Segmenter` does.

    Returns:
        A model of one input, `INPUT`, and one output, `OUTPUT`, with dynamic batch, height, width.

    Raises:
        ModelError: the network has an operator that ONNX lacks.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[_PADDED],
            output_names=[_WHOLE],
            external_data=False,
            verbose=False,
        )
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        raise ModelError(
            f"the network cannot be written as ONNX ({one_line_reason(error)}); "
            "export it with --to torch"
        ) from error
    assert exported is not None  # noqa: S101 - only the older exporter, which writes files, has none
    model = exported.model_proto
    _remove_traces(model)
    _pad_and_crop(model.graph, multiple)
    return model


def _remove_traces(model: ModelProto) -> None:
    """Leave out the source lines that nodes come from, and names that change each time."""
    graph = model.graph
    del graph.value_info[:]
    for each in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")


def _pad_and_crop(graph: GraphProto, multiple: int) -> None:
    """Put padding before the graph and cropping behind it."""
    constants = {
        "pad_first_side": [2],
        "pad_end": [4],
        "pad_multiple": [multiple, multiple],
        "pad_nothing": [0] * 6,
        "crop_start": [0, 0],
        "crop_axes": [2, 3],
    }
    graph.initializer.extend(
        numpy_helper.from_array(np.array(values, np.int64), name)
        for name, values in constants.items()
    )
    before = [
        helper.make_node("Shape", [INPUT], ["pad_shape"]),
        helper.make_node("Slice", ["pad_shape", "pad_first_side", "pad_end"], ["pad_sides"]),
        helper.make_node("Neg", ["pad_sides"], ["pad_negative"]),
        # Of integers, Mod has the sign of the divisor.
        helper.make_node("Mod", ["pad_negative", "pad_multiple"], ["pad_rest"]),
        helper.make_node("Concat", ["pad_nothing", "pad_rest"], ["pad_widths"], axis=0),
        helper.make_node("Pad", [INPUT, "pad_widths"], [_PADDED], mode="edge"),
    ]
    after = helper.make_node("Slice", [_WHOLE, "crop_start", "pad_sides", "crop_axes"], [OUTPUT])
    nodes: list[NodeProto] = [*before, *graph.node, after]
    del graph.node[:]
    graph.node.extend(nodes)
    for value, name in ((graph.input[0], INPUT), (graph.output[0], OUTPUT)):
        value.name = name
        sides = value.type.tensor_type.shape.dim
        for dimension, label in ((0, "batch"), (2, "height"), (3, "width")):
            sides[dimension].Clear()
            sides[dimension].dim_param = label
