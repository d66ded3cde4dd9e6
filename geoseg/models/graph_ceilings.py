"""Ceilings of sizes in traced graphs, in a form that torch can save."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from torch import fx
from torch.export import ExportedProgram


def with_integer_ceilings(program: ExportedProgram) -> ExportedProgram:
    """The program itself, its ceilings of quotients made of whole numbers alone.

    timm's layers with the padding of TensorFlow take ``math.ceil(side / stride)``, which
    `torch.export.save` does not know; ``-(-side // stride)`` is the same number.
    """
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            for node in list(module.graph.nodes):
                if node.op == "call_function" and node.target is math.ceil:
                    _replace(module.graph, node)
            module.graph.eliminate_dead_code()
            module.recompile()
    return program


def _replace(graph: fx.Graph, ceiling: fx.Node) -> None:
    quotient: Any = ceiling.args[0]
    if quotient.target is not operator.truediv:
        return
    side, stride = quotient.args
    with graph.inserting_before(ceiling):
        negative = _call(graph, operator.neg, side)
        floor = _call(graph, operator.floordiv, negative, stride)
        same = _call(graph, operator.neg, floor)
    ceiling.replace_all_uses_with(same)
    graph.erase_node(ceiling)


def _call(graph: fx.Graph, function: Callable[..., Any], *arguments: Any) -> fx.Node:
    """A node with its value, which saving asks for."""
    node = graph.call_function(function, arguments)
    values = [each.meta["val"] if isinstance(each, fx.Node) else each for each in arguments]
    node.meta["val"] = function(*values)
    return node
