"""Attention inside the segments of a partition, at a cost linear in the number of elements.

Where similarity is a plain product, A_ij = q_i·k_j, the sums over a segment s can be taken first,
so that no matrix of pairs is ever made:

    sum_j A_ij v_j = q_i · M_s,    M_s = sum_{j in s} k_j v_jᵀ
    sum_j A_ij = q_i · z_s,        z_s = sum_{j in s} k_j
"""

import torch
from torch import Tensor

ROW = 128
"""Slots of a row: long enough for an efficient matrix product, and few empty slots."""


def segment_sums(
    queries: Tensor, keys: Tensor, values: Tensor, labels: Tensor, segments: int
) -> tuple[Tensor, Tensor]:
    """Sums of A_ij v_j and of A_ij = q_i·k_j over the elements j of i's own segment.

    Each image of a batch is arranged on its own, so its result does not depend on the others.

    Args:
        queries: ``(N, T, d)`` floating point.
        keys: ``(N, T, d)``.
        values: ``(N, T, C)``.
        labels: ``(N, T)`` int64, the segment of each element, in 0..segments-1; some may be empty.
        segments: S, how many there are at most in an image.

    Returns:
        ``(N, T, C)`` weighted sums and ``(N, T, 1)`` sums of the weights.
    """
    images, _, width = values.shape
    slot, element, is_filled, segment = _lay_out(labels, segments)
    rows = segment.shape[1]

    def in_rows(x: Tensor) -> Tensor:
        return _take(x, element).reshape(images, rows, ROW, x.shape[2])

    q, v = in_rows(queries), in_rows(values)  # (N, L, ROW, d or C)
    # Keys of empty slots are 0, so that they add nothing to M and z.
    k = in_rows(keys) * is_filled.reshape(images, rows, ROW, 1).to(keys.dtype)
    every = torch.arange(segments, device=labels.device).unsqueeze(1)
    own = (segment.unsqueeze(1) == every).to(values.dtype)  # (N, S, L), the rows of each segment
    outer = k.transpose(2, 3).contiguous() @ v  # (N, L, d, C)
    m = _take(own @ outer.flatten(2), segment).reshape(outer.shape)  # M of each row's segment
    z = _take(own @ k.sum(2), segment).unsqueeze(2)  # (N, L, 1, d)
    sums, weights = (q @ m).reshape(images, -1, width), (q * z).sum(3).reshape(images, -1, 1)
    return _take(sums, slot), _take(weights, slot)


def _lay_out(labels: Tensor, segments: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Elements sorted by segment, in rows of `ROW` slots; each segment starts a new row.

    Segments have any size, but shapes must not depend on it. Rows of all segments together are at
    most ``(T + S * (ROW - 1)) // ROW``:

        elements by segment   a a a a a b c c            (T = 8, S = 3, rows of 4)
        rows                 [a a a a][a . . .][b . . .][c c . .]     at most (8 + 3 * 3) // 4 = 4

    Returns:
        ``(N, T)`` slot of each element; ``(N, L * ROW)`` element in each slot, 0 where it is empty;
        ``(N, L * ROW)`` 1 where it is filled; ``(N, L)`` segment of each row (of rows that are
        empty altogether: the last, to which they add nothing).
    """
    elements = labels.shape[1]
    rows = (elements + segments * (ROW - 1)) // ROW
    position = torch.arange(elements, device=labels.device)
    # Unique keys, as a stable sort does not export to ONNX.
    order = (labels * elements + position).sort(1).indices
    ordered = labels.gather(1, order)

    sizes = (labels.unsqueeze(2) == torch.arange(segments, device=labels.device)).sum(1)  # (N, S)
    rows_of = (sizes + ROW - 1) // ROW
    end_row = rows_of.cumsum(1)
    first_slot, first_element = (end_row - rows_of) * ROW, sizes.cumsum(1) - sizes

    slots = position + (first_slot - first_element).gather(1, ordered)  # (N, T), in sorted order
    # Each index is written once: accumulating writes race in ONNX Runtime.
    slot = torch.zeros_like(slots).scatter(1, order, slots)
    empty = labels.new_zeros(labels.shape[0], rows * ROW)
    element = empty.scatter(1, slots, order)
    is_filled = empty.scatter(1, slots, torch.ones_like(slots))
    row = torch.arange(rows, device=labels.device).unsqueeze(1)
    segment = (row >= end_row.unsqueeze(1)).sum(2).clamp(max=segments - 1)
    return slot, element, is_filled, segment


def _take(vectors: Tensor, index: Tensor) -> Tensor:
    """Vectors ``(N, n, C)`` of each image's ``(N, m, C)`` by its own ``(N, n)`` index."""
    images, count, width = vectors.shape
    offset = torch.arange(images, device=index.device).unsqueeze(1) * count
    flat = (index + offset).flatten()  # one index for all images: whole vectors are copied at once
    return vectors.reshape(-1, width).index_select(0, flat).reshape(images, -1, width)
