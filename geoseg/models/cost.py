"""What a head costs: parameters, multiply-accumulates and memory of one forward, counted by running it.

PyTorch's own `FlopCounterMode` sees every convolution, matrix product and attention. Where no shape depends on the
data the run is on fake tensors, which have a size and a device but no values: nothing is computed. RANet's regions
depend on the image: it is run in earnest, on regions that are stated.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from geoseg.classes import MAX_CLASSES
from geoseg.errors import ModelError
from geoseg.models.context import HEADS, ContextHead
from geoseg.models.paper_tables import TABLES, Row

Table = Literal["isnet_table2", "ocr_table4"]
Partition = Literal["uniform", "one"]

SIDE = 16
"""Positions along each side of the regions of a ``uniform`` partition."""


@dataclass(frozen=True)
class Cost:
    """Counts of one forward in eval mode, float32, on a CPU."""

    params: int
    """Learned numbers."""
    conv_macs: int
    """Multiply-accumulates of convolutions."""
    matmul_macs: int
    """Multiply-accumulates of matrix products and attention."""
    peak_bytes: int
    """Most bytes of tensors alive at a time that the forward made: without weights, the encoder's features and what
    kernels need inside themselves."""
    paper_count: int | None
    """FLOPs as the paper of the table counts them (`paper_tables`), of its authors' arrangement; else None."""


def cost(
    system: str,
    feature_shape: Sequence[int] = (1, 2048, 128, 128),
    classes: int = 19,
    as_in: Table | None = None,
    partition: Partition = "uniform",
    **system_options: Any,
) -> Cost:
    """The cost of a system's head.

    Args:
        system: one of `geoseg.systems()`, but for segmentation-models-pytorch's decoders.
        feature_shape: ``(images, channels, height, width)`` of the deepest map. Systems that also take stage 3 get it
            with half the channels; a system without an encoder gets an image of this shape.
        classes: number of classes. The papers' rows of OCRNet are counted at 150.
        as_in: build and count the system as that table does (without the classifiers and what else it leaves out);
            None is the whole head as geoseg builds it.
        partition: the regions that `ranet` is counted on: squares of 16x16 positions, or one region. The other systems
            cost the same on every image.
        system_options: ``preset`` and the system's switches; with `as_in` on top of the table's configuration.

    Raises:
        ModelError: there is no such head, row or partition, or a size or a switch does not fit.
    """
    if system not in HEADS:
        raise ModelError(
            f"{system!r} has no head whose cost could be counted; those that have are {', '.join(HEADS)}"
        )
    if partition not in get_args(Partition):
        raise ModelError(
            f"there is no partition {partition!r}; give {' or '.join(get_args(Partition))}"
        )
    images, channels, height, width = _sizes(feature_shape, classes, HEADS[system].stages)
    row = Row() if as_in is None else _row(system, as_in, height * width, channels, classes)
    stages = HEADS[system].stages
    in_channels = (channels // 2, channels) if stages == 2 else (channels,)
    with nullcontext() if system == "ranet" else FakeTensorMode():
        head = HEADS[system](in_channels, classes, **{**row.options, **system_options}).eval()
        row.adjust(head)
        if system == "ranet":
            _set_regions(
                head,
                _squares(height, width, SIDE if partition == "uniform" else None),
                images,
                classes,
            )
        features = [torch.zeros(images, count, height, width) for count in in_channels]
        conv_macs, matmul_macs, peak = _run(head, features, row.left_out())
    counted = (
        None if as_in is None else images * row.count(head, height * width, matmul_macs // images)
    )
    return Cost(row.params(head), conv_macs, matmul_macs, peak, counted)


def _sizes(feature_shape: Sequence[int], classes: int, stages: int) -> tuple[int, int, int, int]:
    """The four numbers of a feature map, whose channels can be halved where a head takes two maps."""
    given = tuple(feature_shape)
    if len(given) != 4 or not all(isinstance(size, int) and size >= 1 for size in given):
        raise ModelError(
            f"feature_shape={feature_shape!r}: give (images, channels, height, width), whole numbers from 1 on"
        )
    if stages == 2 and given[1] < 2:
        raise ModelError(
            f"feature_shape={feature_shape!r}: give 2 channels or more; stage 3 has half of them"
        )
    if not isinstance(classes, int) or not 1 <= classes <= MAX_CLASSES:
        raise ModelError(f"classes={classes!r}: give 1 to {MAX_CLASSES}")
    images, channels, height, width = given
    return images, channels, height, width


def _row(system: str, as_in: str, positions: int, channels: int, classes: int) -> Row:
    if as_in not in TABLES:
        raise ModelError(f"there is no table {as_in!r}; give {' or '.join(TABLES)}, or None")
    rows = TABLES[as_in](positions, channels, classes)
    if system not in rows:
        raise ModelError(f"{as_in} has no row of {system}; it has {', '.join(rows)}")
    return rows[system]


def _run(
    head: ContextHead, features: list[Tensor], left_out: Sequence[str]
) -> tuple[int, int, int]:
    """Multiply-accumulates of convolutions and of products without the parts `left_out`, and peak bytes of all."""
    live = _LiveBytes([*head.parameters(), *head.buffers(), *features])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, live:
        head(features)
    by_part = counter.get_flop_counts()
    name = type(head).__name__
    sums = {True: 0, False: 0}
    for part, sign in (("Global", 1), *((f"{name}.{part}", -1) for part in left_out)):
        for operation, flops in by_part.get(part, {}).items():
            sums[operation is torch.ops.aten.convolution] += sign * flops // 2
    return sums[True], sums[False], live.peak


def _squares(height: int, width: int, side: int | None) -> Tensor:
    """``(height, width)`` int64 classes 0 and 1 of squares, like a chessboard; without `side` all 0."""
    row, column = torch.arange(height).unsqueeze(1), torch.arange(width)
    return (
        torch.zeros(height, width, dtype=torch.int64)
        if side is None
        else (row // side + column // side) % 2
    )


def _set_regions(head: Any, labels: Tensor, images: int, classes: int) -> None:
    """Have a RANet see classes beyond doubt and no boundary, whatever its features."""
    sure = 30.0
    semantic = (
        sure
        * torch.nn.functional.one_hot(labels, max(classes, 2))[..., :classes]
        .permute(2, 0, 1)
        .float()
    )
    boundary = torch.stack([torch.full(labels.shape, sure), torch.zeros(labels.shape)])
    head.semantic = _Set(head.semantic, semantic.expand(images, -1, -1, -1))
    head.boundary = _Set(head.boundary, boundary.expand(images, -1, -1, -1))


class _Set(nn.Module):
    """A classifier that is run, and whose logits are then these."""

    def __init__(self, classifier: nn.Module, logits: Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("logits", logits)

    def forward(self, x: Tensor) -> Tensor:
        """The logits that were set."""
        self.classifier(x)
        logits: Tensor = self.get_buffer("logits")
        return logits


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations give back, until they are freed."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.known = {tensor.untyped_storage()._cdata for tensor in given}
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.now += storage.nbytes()
            weakref.finalize(storage, self._drop, storage._cdata, storage.nbytes())

    def _drop(self, address: int, size: int) -> None:
        self.known.discard(address)
        self.now -= size
