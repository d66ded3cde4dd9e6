"""The division of an image into regions by its score maps: RANet's eq. (4)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from geoseg.models.context.ranet.affinity import Affinities, ScoreMaps
from geoseg.models.context.ranet.pixel_pairs import lay
from geoseg.models.context.ranet.regions import attach, components, core_of, grid_components, number

Grouping = Literal["adjacent_cc", "leader", "full_cc"]


@torch.no_grad()
def group(maps: ScoreMaps, grouping: Grouping, threshold: float, core: int) -> Tensor:
    """The regions of one image, ``(H, W)`` int64 0..Q-1.

    Pixels i and j are grouped where (F_ij + F_ji) / 2 > `threshold` (4). ``adjacent_cc`` asks this of neighbours of
    the same likeliest class, and takes components; ``full_cc`` asks it of all pairs, and takes components; ``leader``
    asks it of all pairs, and has each pixel follow the first in row-major order that it is grouped with.

    Regions of fewer than `core` pixels are attached to the others. If all are smaller, the components of the map of
    likeliest classes are taken instead; if they are all smaller too, the image is one region. So Q <= N / core for
    more pixels than that.
    """
    maps = maps.detach()
    horizontal, vertical = _neighbours(maps)
    alike = [one.classes for one in (horizontal, vertical)]
    if grouping == "adjacent_cc":
        labels = grid_components(
            *((one.affinity > threshold) & one.classes for one in (horizontal, vertical))
        )
    else:
        labels = _all_pairs(maps, grouping, threshold)
    if not (kept := core_of(labels, core)).any():
        labels = grid_components(*alike)
        kept = core_of(labels, core)
    if not kept.any():
        return torch.zeros_like(labels)
    return number(attach(labels, kept, horizontal.similarity, vertical.similarity))


class _Neighbours:
    """Neighbours along one axis: of each pair, (F_ij + F_ji) / 2, 1 - E, and whether the likeliest class is one."""

    def __init__(self, maps: ScoreMaps, turned: bool) -> None:
        affinities = Affinities(maps, turned)
        height, width = maps.size[0] - turned, maps.size[1] - (not turned)
        if height * width == 0:
            self.affinity = self.similarity = affinities.tensors[0].new_zeros(height, width)
            self.classes = self.affinity > 0
            return
        at = affinities.fan({1: 0})

        def mean(one: Tensor, other: Tensor) -> Tensor:
            shape = (height, width) if turned else (width, height)
            x = ((one + other) / 2).reshape(shape)
            return x if turned else x.transpose(0, 1)

        self.affinity = mean(*affinities.pairs(at, *affinities.tensors))
        self.similarity = 1 - mean(*affinities.divergences(at, *affinities.tensors))
        self.classes = torch.ones_like(self.affinity, dtype=torch.bool)
        if maps.classes is not None:
            top = maps.classes.argmax(0)
            self.classes = top[1:] == top[:-1] if turned else top[:, 1:] == top[:, :-1]


def _neighbours(maps: ScoreMaps) -> tuple[_Neighbours, _Neighbours]:
    return _Neighbours(maps, turned=False), _Neighbours(maps, turned=True)


def _all_pairs(maps: ScoreMaps, grouping: Grouping, threshold: float) -> Tensor:
    """Regions from the decisions on all pairs: each is met once and forgotten."""
    height, width = maps.size
    index = torch.arange(height * width, device=maps.given.device).reshape(height, width)
    root = index.flatten()
    for turned in (False, True):
        affinities = Affinities(maps, turned)
        place = lay(index.unsqueeze(0), turned)
        for at, valid in affinities.within(torch.zeros_like(index)):
            f_ij, f_ji = affinities.pairs(at, *affinities.tensors)
            grouped = ((f_ij + f_ji) / 2 > threshold) & valid
            i = at.first(place).expand_as(grouped)[grouped]
            j = at.second(place)[:, 0][grouped]
            if grouping == "full_cc":
                root = components(root, i, j)
            else:
                root = root.scatter_reduce(0, torch.maximum(i, j), torch.minimum(i, j), "amin")
    while not torch.equal(root, further := root[root]):
        root = further
    return root.reshape(height, width)
