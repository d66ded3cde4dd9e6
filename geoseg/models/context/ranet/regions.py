"""The division of an image into regions R_q by its score maps: RANet's eq. (4).

Integers only, no gradient: the sign function of the equation has none.
"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from geoseg.models.context.ranet.pixel_pairs import flatten_map
from geoseg.models.context.ranet.region_attention import RegionAttention, ScoreMaps

Grouping = Literal["adjacent_cc", "leader", "full_cc"]


@torch.no_grad()
def construct_regions(
    maps: ScoreMaps, grouping: Grouping, threshold: float, min_size: int
) -> Tensor:
    """The regions of one image, ``(H, W)`` int64 0..Q-1.

    Pixels i and j are grouped, G_ij = 1, where (F_ij + F_ji) / 2 > `threshold` (4).

    If all regions are smaller than `min_size`, as those of an untrained head, the components of the
    map of likeliest classes are taken instead. If these are all smaller too, the image is one
    region.

    Args:
        maps: the score maps.
        grouping: ``adjacent_cc`` asks (4) of neighbours of one likeliest class and takes connected
            components; ``full_cc`` asks it of all pairs and takes components; ``leader`` asks it of
            all pairs and has each pixel follow the first in row-major order it is grouped with.
        threshold: of (4).
        min_size: regions of fewer pixels are attached to the others.
    """
    maps = maps.detach()
    across, down = (_neighbours(maps, vertical) for vertical in (False, True))
    if grouping == "adjacent_cc":
        joined = ((one.attention > threshold) & one.same_class for one in (across, down))
        labels = grid_components(*joined)
    else:
        labels = _group_all_pairs(maps, grouping, threshold)
    kept = is_large(labels, min_size)
    if not kept.any():
        labels = grid_components(across.same_class, down.same_class)
        kept = is_large(labels, min_size)
    if not kept.any():
        return torch.zeros_like(labels)
    return renumber(attach_small(labels, kept, across.similarity, down.similarity))


class _Neighbours(NamedTuple):
    """The pairs of neighbours along one axis, ``(H, W-1)`` or ``(H-1, W)``."""

    attention: Tensor
    """(F_ij + F_ji) / 2. For neighbours the line of eq. (1) is its two ends."""
    similarity: Tensor
    """1 - (E_ij + E_ji) / 2."""
    same_class: Tensor
    """bool, whether the likeliest class is one; true without semantic scores."""


def _neighbours(maps: ScoreMaps, vertical: bool) -> _Neighbours:
    attention = RegionAttention(maps, vertical)
    height, width = maps.size[0] - vertical, maps.size[1] - (not vertical)
    if height * width == 0:
        nothing = attention.tensors[0].new_zeros(height, width)
        return _Neighbours(nothing, nothing, nothing > 0)
    pairs = attention.pairs_up_to({1: 0})

    def mean(ij: Tensor, ji: Tensor) -> Tensor:
        x = (ij + ji) / 2
        return x.reshape(height, width) if vertical else x.reshape(width, height).transpose(0, 1)

    f = mean(*attention.scores(pairs, *attention.tensors))
    e = mean(*attention.divergences(pairs, *attention.tensors))
    same_class = torch.ones_like(f, dtype=torch.bool)
    if maps.semantic is not None:
        likeliest = maps.semantic.argmax(0)
        axis = 0 if vertical else 1
        same_class = likeliest.diff(dim=axis) == 0
    return _Neighbours(f, 1 - e, same_class)


def _group_all_pairs(maps: ScoreMaps, grouping: Grouping, threshold: float) -> Tensor:
    """Regions ``(H, W)`` from G of all pairs, of which each is met once and forgotten."""
    height, width = maps.size
    index = torch.arange(height * width, device=maps.tensors[0].device).reshape(height, width)
    root = index.flatten()
    for vertical in (False, True):
        attention = RegionAttention(maps, vertical)
        pixel = flatten_map(index.unsqueeze(0), vertical)
        for pairs, inside in attention.pairs_within(torch.zeros_like(index)):
            f_ij, f_ji = attention.scores(pairs, *attention.tensors)
            grouped = ((f_ij + f_ji) / 2 > threshold) & inside
            i = pairs.first(pixel).expand_as(grouped)[grouped]
            j = pairs.second(pixel)[:, 0][grouped]
            root = components(root, i, j) if grouping == "full_cc" else _hook(root, i, j)
    return _follow(root).reshape(height, width)


def components(root: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """The connected components of a graph, each named by its lowest node.

    In each round every edge between two components hooks the higher root to the lower, and paths
    are halved until all nodes point to their roots: a few rounds, whatever the shape.

    Args:
        root: ``(N,)`` int64, components known already; `torch.arange` if none. Each named by its
            lowest node.
        i: ``(E,)`` int64, one end of each edge.
        j: ``(E,)`` int64, the other.

    Returns:
        ``(N,)`` int64, the lowest node of each node's component.
    """
    while True:
        a, b = root[i], root[j]
        if torch.equal(a, b):
            return root
        root = _follow(_hook(root, a, b))


def _hook(root: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The higher node of each pair points to the lower; of several, to the lowest."""
    return root.scatter_reduce(0, torch.maximum(a, b), torch.minimum(a, b), "amin")


def _follow(root: Tensor) -> Tensor:
    """Each node points to the end of its path."""
    while not torch.equal(root, further := root[root]):
        root = further
    return root


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


def is_large(labels: Tensor, min_size: int) -> Tensor:
    """``(H, W)`` bool, the pixels whose label at least `min_size` pixels have."""
    flat = labels.flatten()
    return (flat.bincount()[flat] >= min_size).reshape(labels.shape)


def attach_small(labels: Tensor, kept: Tensor, horizontal: Tensor, vertical: Tensor) -> Tensor:
    """Give each other pixel to the region of its most similar neighbour, the lowest among equals.

    The regions grow round by round, by all their neighbours at once, so the order of pixels does
    not matter.

    Args:
        labels: ``(H, W)`` int64, each less than H·W.
        kept: ``(H, W)`` bool, pixels that keep their label; at least one.
        horizontal: ``(H, W-1)`` similarity of pixels (r, c) and (r, c+1).
        vertical: ``(H-1, W)`` similarity of (r, c) and (r+1, c).

    Returns:
        ``(H, W)`` int64, labels of kept pixels only.
    """
    none = labels.numel()
    labels = labels.where(kept, none)
    to_left, to_right = F.pad(horizontal, (1, 0)), F.pad(horizontal, (0, 1))
    to_above, to_below = F.pad(vertical, (0, 0, 1, 0)), F.pad(vertical, (0, 0, 0, 1))
    similarity = torch.stack([to_left, to_right, to_above, to_below])  # (4, H, W)
    while bool((labels == none).any()):
        around = F.pad(labels, (1, 1, 1, 1), value=none)
        left, right = around[1:-1, :-2], around[1:-1, 2:]
        above, below = around[:-2, 1:-1], around[2:, 1:-1]
        neighbours = torch.stack([left, right, above, below])
        offered = similarity.masked_fill(neighbours == none, -torch.inf)
        best = neighbours.masked_fill(offered < offered.amax(0), none).amin(0)
        labels = labels.where(labels != none, best)
    return labels


def renumber(labels: Tensor) -> Tensor:
    """The same regions as 0..Q-1 in the order of their labels."""
    numbers: Tensor = torch.unique(labels, return_inverse=True)[1]
    return numbers
