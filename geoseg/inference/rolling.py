"""Buffers that roll down a raster."""

from __future__ import annotations

from torch import Tensor


def move_up(buffer: Tensor, gone: int) -> int:
    """Move a buffer's rows up by `gone` rows, in place, over those that are needed no more.

    Args:
        buffer: ``(..., rows, columns)``.
        gone: rows, also more than the buffer has.

    Returns:
        How many rows were kept: from there on the buffer holds what it held before.
    """
    rows = buffer.shape[-2]
    kept = max(0, rows - gone)
    if gone == 0:
        return kept
    # Piece by piece, as none may overlap with where it goes.
    for top in range(0, kept, gone):
        end = min(top + gone, kept)
        buffer[..., top:end, :] = buffer[..., top + gone : end + gone, :]
    return kept
