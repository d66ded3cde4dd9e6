"""Regions of an image: connected components, and small ones given to their neighbours. Integers only, no gradient."""

from __future__ import annotations

import torch
from torch import Tensor


def components(root: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The connected components of a graph, each named by its lowest node.

    In each round every edge between two components hooks the higher root to the lower, and paths are halved until
    all nodes point to their roots: a few rounds, whatever the shape.

    Args:
        root: ``(N,)`` int64, components known already; `torch.arange` if none. Each named by its lowest node.
        i: ``(E,)`` int64, one end of each edge.
        j: ``(E,)`` int64, the other.

    Returns:
        ``(N,)`` int64, the lowest node of each node's component.
    """
    while True:
        a, b = root[i], root[j]
        if torch.equal(a, b):
            return root
        root = root.scatter_reduce(0, torch.maximum(a, b), torch.minimum(a, b), "amin")
        while not torch.equal(root, further := root[root]):
            root = further


def grid_components(horizontal: Tensor, vertical: Tensor) -> Tensor:
    """Components of the pixels of an image.

    Args:
        horizontal: ``(H, W-1)`` bool, whether pixels (r, c) and (r, c+1) are joined.
        vertical: ``(H-1, W)`` bool, whether (r, c) and (r+1, c) are.

    Returns:
        ``(H, W)`` int64, the lowest row-major index of each pixel's component.
    """
    height, width = horizontal.shape[0], vertical.shape[1]
    index = torch.arange(height * width, device=vertical.device).reshape(height, width)
    i = torch.cat([index[:, :-1][horizontal], index[:-1][vertical]])
    j = torch.cat([index[:, 1:][horizontal], index[1:][vertical]])
    return components(index.flatten(), i, j).reshape(height, width)


def core_of(labels: Tensor, least: int) -> Tensor:
    """``(H, W)`` bool, the pixels whose label at least `least` pixels have."""
    flat = labels.flatten()
    return (flat.bincount()[flat] >= least).reshape(labels.shape)


def attach(labels: Tensor, core: Tensor, horizontal: Tensor, vertical: Tensor) -> Tensor:
    """Give each pixel outside the core to the region of its most similar neighbour, the lowest label among equals.

    The regions grow round by round, by all their neighbours at once, so the order of pixels does not matter.

    Args:
        labels: ``(H, W)`` int64, each less than H·W.
        core: ``(H, W)`` bool, pixels that keep their label; at least one.
        horizontal: ``(H, W-1)`` similarity of pixels (r, c) and (r, c+1).
        vertical: ``(H-1, W)`` similarity of (r, c) and (r+1, c).

    Returns:
        ``(H, W)`` int64, labels of the core only.
    """
    none = labels.numel()
    labels = labels.where(core, none)
    pad = torch.nn.functional.pad
    similarity = torch.stack(
        [
            pad(horizontal, (1, 0)),
            pad(horizontal, (0, 1)),
            pad(vertical, (0, 0, 1, 0)),
            pad(vertical, (0, 0, 0, 1)),
        ]
    )
    while bool((labels == none).any()):
        around = pad(labels, (1, 1, 1, 1), value=none)
        near = torch.stack(
            [around[1:-1, :-2], around[1:-1, 2:], around[:-2, 1:-1], around[2:, 1:-1]]
        )
        likeness = similarity.masked_fill(near == none, -torch.inf)
        best = near.masked_fill(likeness < likeness.amax(0), none).amin(0)
        labels = labels.where(labels != none, best)
    return labels


def number(labels: Tensor) -> Tensor:
    """The same regions as 0..Q-1 in the order of their labels."""
    numbers: Tensor = torch.unique(labels, return_inverse=True)[1]
    return numbers
