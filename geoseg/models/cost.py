"""The cost of a head: parameters, multiply-accumulates and memory, counted by running it once.

Where no shape depends on the data, the run is on fake tensors, which have a size and a device but
no values: nothing is computed. RANet's regions depend on the image, so it is run on real tensors
and given fixed regions.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from geoseg.classes import MAX_CLASSES
from geoseg.errors import ModelError
from geoseg.models.context import HEADS
from geoseg.models.paper_tables import TABLES, TableRow

Table = Literal["isnet_table2", "ocr_table4"]
Partition = Literal["uniform", "one"]

REGION_SIDE = 16
"""Positions along each side of the square regions of a ``uniform`` partition."""
_LOGIT = 30.0
"""Logit of a certain class: the softmax of 30 against 0 is 1 in float32."""


@dataclass(frozen=True)
class Cost:
    """Counts of one forward in eval mode, float32, on a CPU."""

    params: int
    """Number of parameters."""
    conv_macs: int
    """Multiply-accumulates of convolutions."""
    matmul_macs: int
    """Multiply-accumulates of matrix products, those of attention included."""
    peak_bytes: int
    """Peak bytes of the tensors that the forward made: without weights, the encoder's features
    and the internal buffers of kernels."""
    paper_count: int | None
    """FLOPs as the paper of the table counts them (`paper_tables`), of its authors' arrangement;
    None without a table."""


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
        system: one of `geoseg.systems()`, except segmentation-models-pytorch's decoders.
        feature_shape: ``(images, channels, height, width)`` of the deepest map. Systems that also
            take stage 3 get it with half the channels; a system without an encoder gets an image
            of this shape.
        classes: number of classes. The papers' rows of OCRNet are counted at 150.
        as_in: build and count the system as that table does (without the classifiers and what else
            it leaves out); None is the whole head as geoseg builds it.
        partition: the regions that `ranet` is counted on: squares of 16x16 positions, or one
            region. The other systems cost the same on every image.
        system_options: ``preset`` and the system's options; with `as_in` on top of the table's
            configuration.

    Raises:
        ModelError: there is no such head, row or partition, or a size or an option does not fit.
    """
    if system not in HEADS:
        raise ModelError(
            f"{system!r} has no head whose cost could be counted; "
            f"those that have are {', '.join(HEADS)}"
        )
    if partition not in get_args(Partition):
        raise ModelError(
            f"there is no partition {partition!r}; give {' or '.join(get_args(Partition))}"
        )
    head_class = HEADS[system]
    images, channels, height, width = _checked_shape(feature_shape, classes, head_class.stages)
    positions = height * width
    row = TableRow() if as_in is None else _table_row(system, as_in, positions, channels, classes)
    in_channels = (channels // 2, channels) if head_class.stages == 2 else (channels,)
    options = {**row.options, **system_options}
    # Fake tensors go by this underscored name in PyTorch's documentation too. Meta tensors, which
    # have a public one, do not work: heads switch autocast off, and autocast refuses their device.
    with nullcontext() if system == "ranet" else FakeTensorMode():
        head = head_class(in_channels, classes, **options).eval()
        row.adjust(head)
        if system == "ranet":
            side = REGION_SIDE if partition == "uniform" else max(height, width)
            _fix_regions(head, _checkerboard(height, width, side), images, classes)
        features = [torch.zeros(images, count, height, width) for count in in_channels]
        conv_macs, matmul_macs = count_macs(head, features, row.left_out())
        peak = peak_bytes(head, features)
    paper_count = images * row.count(head, positions, matmul_macs // images) if as_in else None
    return Cost(row.params(head), conv_macs, matmul_macs, peak, paper_count)


def _checked_shape(
    feature_shape: Sequence[int], classes: int, stages: int
) -> tuple[int, int, int, int]:
    """The four numbers of a map whose channels can be halved where a head takes two maps."""
    given = tuple(feature_shape)
    if len(given) != 4 or not all(isinstance(size, int) and size >= 1 for size in given):
        raise ModelError(
            f"feature_shape={feature_shape!r}: "
            "give (images, channels, height, width), whole numbers from 1 on"
        )
    if stages == 2 and given[1] < 2:
        raise ModelError(
            f"feature_shape={feature_shape!r}: give 2 channels or more; stage 3 has half of them"
        )
    if not isinstance(classes, int) or not 1 <= classes <= MAX_CLASSES:
        raise ModelError(f"classes={classes!r}: give 1 to {MAX_CLASSES}")
    images, channels, height, width = given
    return images, channels, height, width


def _table_row(system: str, table: str, positions: int, channels: int, classes: int) -> TableRow:
    if table not in TABLES:
        raise ModelError(f"there is no table {table!r}; give {' or '.join(TABLES)}, or None")
    rows = TABLES[table](positions, channels, classes)
    if system not in rows:
        raise ModelError(f"{table} has no row of {system}; it has {', '.join(rows)}")
    return rows[system]


def _checkerboard(height: int, width: int, side: int) -> Tensor:
    """``(height, width)`` int64 classes 0 and 1 of squares."""
    row, column = torch.arange(height).unsqueeze(1), torch.arange(width)
    return (row // side + column // side) % 2


def _fix_regions(head: Any, labels: Tensor, images: int, classes: int) -> None:
    """Make a RANet see these classes with certainty and no boundary, whatever its features."""
    one_hot = F.one_hot(labels, max(classes, 2))[..., :classes]
    semantic = _LOGIT * one_hot.permute(2, 0, 1).float()
    boundary = torch.stack([torch.full(labels.shape, _LOGIT), torch.zeros(labels.shape)])
    head.semantic = _FixedLogits(head.semantic, semantic.expand(images, -1, -1, -1))
    head.boundary = _FixedLogits(head.boundary, boundary.expand(images, -1, -1, -1))


class _FixedLogits(nn.Module):
    """A classifier that is run, for its cost, and gives these logits."""

    def __init__(self, classifier: nn.Module, logits: Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("logits", logits)

    def forward(self, x: Tensor) -> Tensor:
        """The fixed logits."""
        self.classifier(x)
        return self.get_buffer("logits")


def count_macs(head: nn.Module, features: Any, left_out: Sequence[str] = ()) -> tuple[int, int]:
    """Multiply-accumulates of convolutions and of matrix products, without the parts `left_out`."""
    counter = FlopCounterMode(display=False)
    # Which fused kernels of attention are counted differs from version to version of PyTorch. Where
    # none may be chosen, attention is two matrix products.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        head(features)
    by_part = counter.get_flop_counts()
    name = type(head).__name__
    conv_flops = all_flops = 0
    for part, sign in (("Global", 1), *((f"{name}.{part}", -1) for part in left_out)):
        flops = by_part.get(part, {})
        conv_flops += sign * flops.get(torch.ops.aten.convolution, 0)
        all_flops += sign * sum(flops.values())
    return conv_flops // 2, (all_flops - conv_flops) // 2


def peak_bytes(head: nn.Module, features: Any) -> int:
    """Peak bytes of the tensors that one forward makes, with fused attention."""
    live = LiveBytes([*head.parameters(), *head.buffers(), *features])
    with torch.no_grad(), live:
        head(features)
    return live.peak


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations allocate, until they are freed."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        # As long as a storage lives, it has one Python object, which is hashed by identity.
        self._known = weakref.WeakSet(tensor.untyped_storage() for tensor in given)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._known:
            self._known.add(storage)
            self.now += storage.nbytes()
            weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, size: int) -> None:
        self.now -= size
