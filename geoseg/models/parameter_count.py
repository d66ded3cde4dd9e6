"""How many numbers a network's weights are."""

from __future__ import annotations

import importlib.util
import math

from torch import nn

from geoseg.models.external import External


def count_parameters(net: nn.Module) -> int | None:
    """Numbers in the weights of a network; None where its file does not show them.

    Those of an ONNX file are its initializers but shapes and indices, where onnx is installed. A
    file may hold weights as constants of its graph instead, as frozen TorchScript does.
    """
    if isinstance(net, External) and net.spec.options["source"] == "onnx":
        return _count_initializers(net.content) or None
    count = sum(parameter.numel() for parameter in net.parameters())
    return None if count == 0 and isinstance(net, External) else count


def _count_initializers(content: bytes | None) -> int:
    if content is None or importlib.util.find_spec("onnx") is None:
        return 0
    from onnx import ModelProto, TensorProto

    tensors = ModelProto.FromString(content).graph.initializer
    whole = (TensorProto.INT64, TensorProto.BOOL)  # of shapes, indices and masks
    return sum(math.prod(each.dims) for each in tensors if each.data_type not in whole)
