"""A checksum of tensors and the text beside them, for files that must not be taken when damaged."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor


def checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    """8 hexadecimal digits of names, types, shapes and bytes of all tensors, and of the text.

    Args:
        tensors: on the CPU, by name; their order does not matter.
        text: what is stored with them.
    """
    total = zlib.crc32(text.encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), total)
        # Flat, because numbers without an axis have no view as bytes.
        total = zlib.crc32(tensor.detach().flatten().view(torch.uint8).numpy().data, total)
    return f"{total:08x}"
