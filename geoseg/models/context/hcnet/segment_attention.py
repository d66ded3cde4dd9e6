"""Attention inside the segments of a partition, at a cost linear in the number of elements.

Where similarity is a plain product, A_ij = q_i·k_j, the sums over a segment s can be taken first:

    sum_j A_ij v_j = q_i · M_s,  M_s = sum_{j in s} k_j v_jᵀ        sum_j A_ij = q_i · z_s,  z_s = sum_{j in s} k_j

so no matrix of pairs is ever made. Segments have any size, and shapes must not depend on it: elements are
sorted by segment and laid into blocks of `BLOCK` slots, each block of one segment, the rest of its last block
left empty. ``ceil(n_s / BLOCK)`` summed over S segments of T elements is at most ``(T + S·(BLOCK-1)) // BLOCK``:

    elements by segment   a a a a a b c c            (T = 8, S = 3, BLOCK = 4)
    slots                [a a a a][a . . .][b . . .][c c . .]      at most (8 + 3·3) // 4 = 4 blocks

Each image of a batch is laid out by itself, so its result does not depend on the others. Only operations that
export to ONNX without loss are used: unique integer keys instead of a stable sort, and no accumulating writes.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 128
"""Slots a block: long enough for an efficient matrix product, short enough that the empty slots stay few."""


def segment_sums(
    queries: Tensor, keys: Tensor, values: Tensor, labels: Tensor, segments: int
) -> tuple[Tensor, Tensor]:
    """Sums of A_ij v_j and of A_ij = q_i·k_j over the elements j of i's own segment.

    Args:
        queries: ``(N, T, d)`` floating point.
        keys: ``(N, T, d)``.
        values: ``(N, T, C)``.
        labels: ``(N, T)`` int64, the segment of each element, in 0..segments-1. Segments may be empty.
        segments: how many there are at most in an image.

    Returns:
        ``(N, T, C)`` weighted sums and ``(N, T, 1)`` sums of the weights.
    """
    images, _, width = values.shape
    slot_of, element_at, filled, label_of = _lay_out(labels, segments)
    blocks = label_of.shape[1]

    def lay(x: Tensor) -> Tensor:
        return _take(x, element_at).reshape(images, blocks, BLOCK, x.shape[2])

    q, v = lay(queries), lay(values)  # (N, B, BLOCK, d or C)
    k = lay(keys) * filled.reshape(images, blocks, BLOCK, 1).to(
        keys.dtype
    )  # empty slots add nothing to M and z
    own = label_of.unsqueeze(1) == torch.arange(segments, device=labels.device).unsqueeze(1)
    own = own.to(values.dtype)  # (N, S, B), which blocks make up a segment
    outer = k.transpose(2, 3).contiguous() @ v  # (N, B, d, C)
    m = _take(own @ outer.flatten(2), label_of).reshape(outer.shape)  # M of each block's segment
    z = _take(own @ k.sum(2), label_of).unsqueeze(2)  # (N, B, 1, d)
    sums, weights = (q @ m).reshape(images, -1, width), (q * z).sum(3).reshape(images, -1, 1)
    return _take(sums, slot_of), _take(weights, slot_of)


def _lay_out(labels: Tensor, segments: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Where elements go: slot of each element, element in each slot, which slots are filled, segment of each block.

    Returns:
        ``(N, T)`` slots; ``(N, B·BLOCK)`` elements, 0 where a slot is empty; ``(N, B·BLOCK)`` 1 where it is filled;
        ``(N, B)`` segments (of blocks that are empty altogether: the last, to which they add nothing).
    """
    elements = labels.shape[1]
    blocks = (elements + segments * (BLOCK - 1)) // BLOCK
    position = torch.arange(elements, device=labels.device)
    order = (
        (labels * elements + position).sort(1).indices
    )  # unique keys, so that no stable sort is needed
    ranked = labels.gather(1, order)

    sizes = (labels.unsqueeze(2) == torch.arange(segments, device=labels.device)).sum(1)  # (N, S)
    blocks_of = (sizes + BLOCK - 1) // BLOCK
    first_rank, last_block = sizes.cumsum(1) - sizes, blocks_of.cumsum(1)
    first_slot = (last_block - blocks_of) * BLOCK

    slots = position + (first_slot - first_rank).gather(
        1, ranked
    )  # (N, T), of the elements in sorted order
    slot_of = torch.zeros_like(slots).scatter(1, order, slots)
    empty = labels.new_zeros(labels.shape[0], blocks * BLOCK)
    element_at, filled = (
        empty.scatter(1, slots, order),
        empty.scatter(1, slots, torch.ones_like(slots)),
    )
    block = torch.arange(blocks, device=labels.device)
    label_of = (block.unsqueeze(1) >= last_block.unsqueeze(1)).sum(2).clamp(max=segments - 1)
    return slot_of, element_at, filled, label_of


def _take(rows: Tensor, index: Tensor) -> Tensor:
    """Rows ``(N, n, C)`` of each image's ``(N, m, C)`` by its own ``(N, n)`` index; whole rows are copied at once."""
    images, count, width = rows.shape
    offset = torch.arange(images, device=index.device).unsqueeze(1) * count
    return (
        rows.reshape(-1, width)
        .index_select(0, (index + offset).flatten())
        .reshape(images, -1, width)
    )
