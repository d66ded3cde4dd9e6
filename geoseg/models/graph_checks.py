"""Checks in traced graphs that hold a network to the machine and the types it was traced with."""

from __future__ import annotations

import torch
from torch import fx, nn


def without_tensor_checks(module: nn.Module) -> None:
    """Take out the checks that tensors have the type, device and layout that tracing has seen.

    Tracing puts one before each change of a type. A GPU, or mixed precision, would fail at them,
    though all else in the graph means there what the module means.

    Args:
        module: of a graph, or one that holds some; changed in place.
    """
    check = torch.ops.aten._assert_tensor_metadata.default
    for part in module.modules():
        if isinstance(part, fx.GraphModule):
            for node in part.graph.find_nodes(op="call_function", target=check):
                part.graph.erase_node(node)
            part.recompile()
