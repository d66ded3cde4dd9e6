"""Two papers' tables of cost: the configurations of their rows, and how their authors counted.

Neither paper says how it counted; these are the assumptions that reproduce the printed numbers.

ISNet, table 2: a counter that hooks modules. A convolution counts its multiply-accumulates (and one
for each output that gets a bias), batch normalisation 2 for an element, ReLU 1, a pooling module 1
for each element of its input. Functions are not seen: matrix products, softmax, interpolation.
Classifiers, ISNet's own 3x3 fusions and its semantic stream's own convolutions are left out.

OCRNet, table 4: 2 for each multiply-accumulate of convolutions and of matrix products, and 1 for
each output of a convolution: the authors' all have a bias (geoseg's have none before a
normalisation, which takes it out again). Classifiers are left out.

Both counted their authors' arrangement, in which a convolution may run over all positions of a map
where geoseg's runs over a few vectors. So each row says over how many positions the authors' ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from geoseg.models.context import ContextHead
from geoseg.models.context.ppm import SIZES as PYRAMID
from geoseg.models.layers import conv_bn_relu


@dataclass(frozen=True)
class TableRow:
    """One row of a table."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Preset and options of the head."""
    positions: Mapping[str, int] = field(default_factory=dict)
    """Positions that parts of the head ran over, all calls together, by the name of the part; a
    longer name goes before a shorter one. Parts without an entry ran over the map once, and 0
    leaves a part out of the table."""
    pooled: Mapping[str, int] = field(default_factory=dict)
    """Elements that went into pooling modules, by the part that they belong to."""
    counted: Literal["modules", "convolutions", "convolutions and products"] = "modules"
    """``modules``: as in ISNet's table 2. Else as in OCRNet's table 4, and ``convolutions`` where
    geoseg has matrix products that the authors' arrangement lacks."""
    adjust: Callable[[ContextHead], object] = lambda _: None
    """Turns geoseg's head into the authors' configuration where no option does."""

    def left_out(self) -> list[str]:
        """The parts that the table does not count."""
        return [part for part, positions in self.positions.items() if positions == 0]

    def params(self, head: nn.Module) -> int:
        """Number of parameters of what is counted."""
        counted = sum(
            parameter.numel()
            for name, parameter in head.named_parameters()
            if self.positions_of(name, 1)
        )
        if self.counted == "modules":
            return counted
        return counted + sum(
            conv.out_channels
            for name, conv in _convolutions(head)
            if conv.bias is None and self.positions_of(name, 1)
        )

    def count(self, head: nn.Module, positions: int, matmul_macs: int) -> int:
        """The paper's FLOPs of one image, whose map has so many positions."""
        if self.counted == "modules":
            return self._count_modules(head, positions)
        convolutions = sum(
            self.positions_of(name, positions) * (2 * conv.weight.numel() + conv.out_channels)
            for name, conv in _convolutions(head)
        )
        if self.counted == "convolutions":
            return convolutions
        return convolutions + 2 * matmul_macs

    def _count_modules(self, head: nn.Module, positions: int) -> int:
        modules = dict(head.named_modules())
        total = sum(elements for part, elements in self.pooled.items() if part in modules)
        channels = 0
        for name, module in modules.items():
            per_position = 0
            if isinstance(module, nn.Conv2d):
                biases = 0 if module.bias is None else module.out_channels
                per_position = module.weight.numel() + biases
            elif isinstance(module, nn.BatchNorm2d):
                channels = module.num_features
                per_position = 2 * channels
            elif isinstance(module, nn.ReLU):  # always after a normalisation, of as many channels
                per_position = channels
            total += per_position * self.positions_of(name, positions)
        return total

    def positions_of(self, name: str, default: int) -> int:
        """Positions that a module, or the module of a parameter, ran over."""
        parts = [part for part in self.positions if f"{name}.".startswith(f"{part}.")]
        return self.positions[max(parts, key=len)] if parts else default


def _convolutions(head: nn.Module) -> list[tuple[str, nn.Conv2d]]:
    return [
        (name, module) for name, module in head.named_modules() if isinstance(module, nn.Conv2d)
    ]


def isnet_table2(n: int, channels: int, classes: int) -> dict[str, TableRow]:
    """The rows of ISNet's table 2 for one image and a map of `n` positions."""
    out = {"classify": 0}
    levels = {f"pyramid.levels.{index}": size * size for index, size in enumerate(PYRAMID)}
    keys = {"psi": classes, "delta": classes}
    grids = {f"contexts.{index}.subregions": size * size for index, size in enumerate(PYRAMID)}
    grids |= {f"contexts.{index}.guide": 1 for index in range(len(PYRAMID))}
    into_pooling = 2 * 4 * 256 * n
    return {
        "aspp": TableRow(
            {"channels": 512, "kernel": 3},
            {**out, "pyramid.image": 1},
            pooled={"pyramid.image": channels * n},
        ),
        "ppm": TableRow({}, {**out, **levels}, pooled={"pyramid": 4 * channels * n}),
        "ccnet": TableRow({}, {**out, "attention": 2 * n}),
        # Two convolutions in φ and ψ; a 3x3 convolution g where the paper has 1x1.
        "ocrnet": TableRow({"relation": "two"}, {**out, **keys, "coarse": 0}, adjust=_wide_fusion),
        # Queries, keys and values without biases.
        "danet": TableRow({}, out, adjust=_without_biases),
        # Keys and values (256 channels each) of both modules go into four pooling modules each;
        # the second one's one convolution for queries and keys was run twice.
        "ann": TableRow(
            {},
            {**out, "pyramid.query": 2 * n},
            pooled={"fusion": into_pooling, "pyramid": into_pooling},
        ),
        "dnl": TableRow({}, out),
        "apcnet": TableRow({"preset": "released"}, {**out, **grids, "deep": 0}),
        # With ``semantic=False`` the row of ILCM, with ``image="none"`` that of SLCM.
        "isnet": TableRow(
            {"preset": "released", "fuse": "sum"},
            {**out, "semantic.classify": 0, "deep": 0},
            pooled={"image": 512 * n},
        ),
    }


def _wide_fusion(head: ContextHead) -> None:
    width = head.options.channels
    head.g = conv_bn_relu(2 * width, width, 3)


def _without_biases(head: ContextHead) -> None:
    for name, conv in _convolutions(head):
        if name.startswith("branches"):
            conv.bias = None


def ocr_table4(n: int, _: int, classes: int) -> dict[str, TableRow]:
    """The rows of OCRNet's table 4, as `isnet_table2`.

    The parameters printed for ``danet`` and ``ccnet`` are those of lighter heads.
    """
    out = {"classify": 0}
    levels = {f"pyramid.levels.{index}": size * size for index, size in enumerate(PYRAMID)}
    keys = {"psi": classes, "delta": classes}
    return {
        "ppm": TableRow({}, {**out, **levels}, counted="convolutions"),
        "aspp": TableRow({}, {**out, "pyramid.image": 1}, counted="convolutions"),
        "danet": TableRow({}, out, counted="convolutions and products"),
        "ccnet": TableRow({}, {**out, "attention": 2 * n}, counted="convolutions and products"),
        "self_attention": TableRow({}, out, counted="convolutions and products"),
        "double_attention": TableRow({}, out, counted="convolutions and products"),
        "ocrnet": TableRow(
            {"preset": "paper"}, {**out, **keys, "coarse": 0}, counted="convolutions and products"
        ),
    }


TABLES: dict[str, Callable[[int, int, int], dict[str, TableRow]]] = {
    "isnet_table2": isnet_table2,
    "ocr_table4": ocr_table4,
}
"""Each table's rows by system, of a map's positions and channels and the number of classes."""
