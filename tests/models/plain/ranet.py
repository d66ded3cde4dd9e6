"""RANet as its equations are written: a table of all pairs, and loops over pixels and regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from geoseg.models.context.ranet.head import RANetHead
from geoseg.models.context.ranet.region_interaction import AttentionOptions

Labels = list[int]


def line_maximum(b: Tensor, i: tuple[int, int], j: tuple[int, int], ends: bool) -> Tensor:
    """Eq. (1): the highest of the samples, one per step along the longer axis."""
    down, right = j[0] - i[0], j[1] - i[1]
    steps = max(abs(down), abs(right))
    samples = []
    for t in range(0 if ends else 1, steps + 1 if ends else steps):
        along = t / max(steps, 1)
        row, col = i[0] + down * along, i[1] + right * along
        low_row, low_col = math.floor(row + 1e-9), math.floor(col + 1e-9)
        weight = max(row - low_row, col - low_col)
        low, high = b[low_row, low_col], b[math.ceil(row - 1e-9), math.ceil(col - 1e-9)]
        samples.append(low + weight * (high - low))
    return torch.stack(samples).max() if samples else b.new_zeros(())


def divergence(p: Tensor, q: Tensor, jsd: str) -> Tensor:
    """Eq. (2), of distributions ``(K, ...)``."""
    if jsd == "binary_argmax":
        top = p.argmax(0, keepdim=True)
        p, q = (x.gather(0, top).clamp(0.001, 0.99) for x in (p, q))
        p, q = (torch.cat([x, 1 - x]) for x in (p, q))
    m = (p + q) / 2
    total = (p * (p / m).log() + q * (q / m).log()).sum(0) / 2
    return total / math.log(2) if jsd == "full2" else total


def affinities(
    b: Tensor | None, c: Tensor | None, size: tuple[int, int], jsd: str, ends: bool
) -> Tensor:
    """Eq. (3), ``(N, N)``."""
    pixels = [(row, col) for row in range(size[0]) for col in range(size[1])]
    f = torch.ones(len(pixels), len(pixels), dtype=torch.float64)
    if b is not None:
        lines = {}
        for first, i in enumerate(pixels):
            for j in pixels[first:]:
                lines[i, j] = lines[j, i] = line_maximum(b, i, j, ends)
        f = f * (1 - torch.stack([lines[i, j] for i in pixels for j in pixels]).reshape(f.shape))
    if c is not None:
        p = c.flatten(1).unsqueeze(2).expand(-1, -1, len(pixels))
        f = f * (1 - divergence(p, p.transpose(1, 2), jsd))
    return f


def neighbours(index: int, size: tuple[int, int]) -> list[int]:
    """The up to four pixels beside one."""
    height, width = size
    row, col = divmod(index, width)
    near = [(row, col - 1), (row, col + 1), (row - 1, col), (row + 1, col)]
    return [r * width + c for r, c in near if 0 <= r < height and 0 <= c < width]


def search(edges: list[list[int]]) -> Labels:
    """Components by breadth-first search, each named by its lowest node."""
    label = [-1] * len(edges)
    for start in range(len(edges)):
        queue = [start] if label[start] < 0 else []
        while queue:
            node = queue.pop(0)
            if label[node] < 0:
                label[node] = start
                queue.extend(edges[node])
    return label


def group(
    f: Tensor,
    c: Tensor | None,
    size: tuple[int, int],
    grouping: str,
    threshold: float,
    core: int,
    jsd: str,
) -> Labels:
    """Eq. (4), and the attachment of small regions."""
    count = len(f)
    joined = ((f + f.T) / 2 > threshold).tolist()
    top = [0] * count if c is None else c.flatten(1).argmax(0).tolist()
    alike = [[j for j in neighbours(i, size) if top[i] == top[j]] for i in range(count)]
    if grouping == "adjacent_cc":
        label = search([[j for j in alike[i] if joined[i][j]] for i in range(count)])
    elif grouping == "full_cc":
        label = search([[j for j in range(count) if joined[i][j]] for i in range(count)])
    else:
        label = [min([j for j in range(i) if joined[i][j]], default=i) for i in range(count)]
        for i in range(count):
            label[i] = label[label[i]]
    if not any(label.count(x) >= core for x in label):
        label = search(alike)
    if not any(label.count(x) >= core for x in label):
        return [0] * count
    return attach(label, c, size, core, jsd)


def attach(label: Labels, c: Tensor | None, size: tuple[int, int], core: int, jsd: str) -> Labels:
    """Rounds in which each pixel outside the core joins its most similar neighbour's region."""
    now: list[int | None] = [x if label.count(x) >= core else None for x in label]

    def similarity(i: int, j: int) -> float:
        if c is None:
            return 1.0
        p, q = c.flatten(1)[:, i], c.flatten(1)[:, j]
        return 1 - (divergence(p, q, jsd) + divergence(q, p, jsd)).item() / 2

    while None in now:
        following = list(now)
        for i in range(len(now)):
            offers = [
                (-similarity(i, j), now[j]) for j in neighbours(i, size) if now[j] is not None
            ]
            if now[i] is None and offers:
                best = min(offers)[0]
                following[i] = min(r for unlike, r in offers if unlike <= best + 1e-12)
        now = following
    return [x for x in now if x is not None]


def representative_scores(f: Tensor, label: Labels) -> Tensor:
    """Eq. (5), ``(N,)``."""
    return torch.stack(
        [
            f[i, [j for j in range(len(label)) if label[j] == label[i]]].mean()
            for i in range(len(label))
        ]
    )


def weighted(asking: Tensor, keys: list[Tensor], values: list[Tensor], scale: float) -> Tensor:
    """The softmax-weighted sum of some values."""
    if not values:
        return torch.zeros_like(asking)
    return (torch.stack(keys) @ asking * scale).softmax(0) @ torch.stack(values)


def interact(
    asking: Tensor,
    given: Tensor,
    j: Tensor,
    label: Labels,
    options: AttentionOptions,
    refine: Sequence[Callable[[Tensor], Tensor]] = (lambda x: x,) * 2,
) -> Tensor:
    """Eqs. (6) to (8), ``(N, M)``; `refine` is of representatives in the order of their pixels."""
    regions = {q: [i for i in range(len(label)) if label[i] == q] for q in sorted(set(label))}
    chosen = {
        q: sorted(members, key=lambda i: (-j[i].item(), i))[: options.representatives]
        for q, members in regions.items()
    }
    every = sorted(p for group in chosen.values() for p in group)

    def pick(pixels: list[int], x: Any) -> tuple[list[Tensor], list[Tensor]]:
        keys = [j[i] * x[i] for i in pixels]
        return keys, keys if options.scored_values else [x[i] for i in pixels]

    local = {}
    for p in every:
        others = (
            [i for i in regions[label[p]] if i not in chosen[label[p]]]
            if options.within_regions
            else range(len(label))
        )
        own = j[p] * given[p] if options.scored_values else given[p]
        local[p] = own
        if options.intra:
            local[p] = own + weighted(given[p], *pick(list(others), given), options.scale)
    local = dict(zip(every, refine[0](torch.stack(list(local.values()))), strict=True))
    whole = {}
    for p in every:
        groups = [chosen[other] for other in regions if other != label[p]]
        if not options.inter:
            groups = []
        elif options.weights == "all":
            groups = [every]
        elif options.weights == "others":
            groups = [[s for group in groups for s in group]]
        total = sum(
            (weighted(local[p], *pick(x, local), options.scale) for x in groups),
            torch.zeros_like(local[p]),
        )
        if options.weights == "mean" and groups:
            total = total / len(groups)
        whole[p] = (j[p] * local[p] if options.scored_values else local[p]) + total
    whole = dict(zip(every, refine[1](torch.stack(list(whole.values()))), strict=True))
    rows = []
    for i, x in enumerate(asking):
        offering = chosen[label[i]] if options.within_regions else every
        row = j[i] * x if options.scored_values else x
        if options.intra:
            row = row + weighted(x, *pick(offering, whole), options.scale)
        elif i in whole:  # "only updates the representative pixels" (sec. 5.1)
            row = whole[i]
        rows.append(row)
    return torch.stack(rows)


def classify(head: RANetHead, features: Sequence[Tensor]) -> Tensor:
    """The main logits that `head` gives, with its weights."""
    options = head.options
    a = head.reduce(features[-1])
    asking, given = (a, a) if head.query is None else (head.query(a), head.value(a))
    scored = a if head.middle is None else head.middle(features[0])
    height, width = a.shape[2:]
    attention = AttentionOptions(
        options.representatives,
        options.weights,
        options.members,
        options.scored,
        options.channels**-0.5 if options.scale else 1.0,
        options.intra,
        options.inter,
    )
    maps = []
    for image, (query, value) in enumerate(zip(asking, given, strict=True)):
        classes = None if head.semantic is None else head.semantic(scored).softmax(1)[image]
        b = None if head.boundary is None else head.boundary(scored).softmax(1)[image, 1]
        f = affinities(b, classes, (height, width), options.jsd, options.ends)
        label = group(
            f,
            classes,
            (height, width),
            options.grouping,
            options.threshold,
            options.core,
            options.jsd,
        )
        j = representative_scores(f, label)
        refine = [lambda x: x] * 2
        if head.collected is not None:
            refine = [
                lambda x, conv=conv: conv(x.T.reshape(1, -1, len(x), 1))[0, :, :, 0].T
                for conv in (head.collected, head.exchanged)
            ]
        o = interact(query.flatten(1).T, value.flatten(1).T, j, label, attention, refine)
        maps.append(o.T.reshape(query.shape))
    o = torch.stack(maps)
    o = o if head.distributed is None else head.distributed(o)
    return head.classify(o if head.fuse is None else head.fuse(torch.cat([a, o], 1)))
