"""The classes of pixels by their scores, and what else is asked for, where the network runs.

On a CPU a few rows at a time go through all steps, as long as they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from geoseg.classes import NODATA, UNCERTAIN

_CACHED_BYTES = 2**19
"""Of the scores that go through all steps together on a CPU."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a band holds besides its classes."""

    confidence: bool = True
    probabilities: bool = False
    """Of all classes."""
    min_confidence: float = 0.0
    """Valid pixels whose probability is below it get 254."""

    @property
    def least_or_confidence(self) -> bool:
        """Whether the probability of a pixel's class is needed."""
        return self.confidence or self.min_confidence > 0.0


class Decision(NamedTuple):
    """The classes of a band, still on the device; see `Band`."""

    labels: Tensor
    confidence: Tensor | None
    probabilities: Tensor | None

    @classmethod
    def empty(
        cls, classes: int, height: int, width: int, device: torch.device, asked: Asked
    ) -> Decision:
        """Room for one."""

        def room(*planes: int) -> Tensor:
            return torch.empty((*planes, height, width), dtype=torch.uint8, device=device)

        return cls(
            room(),
            room() if asked.confidence else None,
            room(classes) if asked.probabilities else None,
        )

    def put(self, part: Decision, rows: slice, cols: slice = slice(None)) -> None:
        """Take that of some rows and columns."""
        for own, other in zip(self, part, strict=True):
            if own is not None and other is not None:
                own[..., rows, cols] = other

    def at(self, height: int, valid: Tensor) -> Decision:
        """Its first rows, with 255 and no confidence where pixels are not `valid`."""
        # All bits of nodata are set. Bits are masked at once, `masked_fill_` pixel by pixel.
        kept = valid.to(torch.uint8) * NODATA
        labels = self.labels[:height].bitwise_or_(~kept)
        confidence, spread = (
            None if each is None else each[..., :height, :].bitwise_and_(kept)
            for each in (self.confidence, self.probabilities)
        )
        return Decision(labels, confidence, spread)


def classify(scores: Tensor, totals: Tensor, valid: Tensor, asked: Asked) -> Decision:
    """A band's classes: the highest score, ties to the lowest id.

    Args:
        scores: ``(classes, height, width)`` float32 sums of probabilities.
        totals: ``(height, width)`` float32 weight sums.
        valid: ``(height, width)`` bool.
        asked: what it is to hold.
    """
    height, width = valid.shape
    decided = Decision.empty(len(scores), height, width, valid.device, asked)
    for rows in pieces_of(scores, planes=3):  # each class is looked at once, and then no more
        winner, best = argmax(scores[:, rows])
        if asked.least_or_confidence:
            best /= totals[rows]
        spread = scores[:, rows] / totals[rows] if asked.probabilities else None
        decided.put(decision_of(winner, best, spread, asked), rows)
    return decided.at(height, valid)


def decision_of(winner: Tensor, best: Tensor, spread: Tensor | None, asked: Asked) -> Decision:
    """Of valid pixels: of class `winner`, which may change, with the probability `best`."""
    if asked.min_confidence > 0.0:
        winner.masked_fill_(best < asked.min_confidence, UNCERTAIN)
    return Decision(
        winner,
        _quantized(best) if asked.confidence else None,
        _quantized(spread) if spread is not None and asked.probabilities else None,
    )


def argmax(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The class of the highest score, uint8, and that score; `Tensor.max` takes 4 times as long."""
    best = scores[0].clone()
    winner = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    mark = torch.empty_like(winner)
    for class_id, plane in enumerate(scores[1:], 1):
        torch.gt(plane, best, out=mark.view(torch.bool))  # not >=: ties stay with the lower id
        # Ids rise, so the latest that was higher is the highest that was.
        torch.maximum(winner, mark.mul_(class_id), out=winner)
        torch.maximum(best, plane, out=best)
    return winner, best


def _quantized(probability: Tensor) -> Tensor:
    """``round(255 p)``; rounding errors may lift a mean of probabilities just above 1."""
    return probability.clamp(max=1.0).mul_(255.0).round_().to(torch.uint8)


def pieces_of(scores: Tensor, planes: int | None = None) -> Iterator[slice]:
    """Rows of ``(classes, height, width)`` that are worked on together.

    Args:
        scores: of which rows are taken.
        planes: float32 values of a pixel that are touched again and again; None: all classes.
    """
    classes, height, width = scores.shape
    step = height
    if scores.device.type == "cpu":
        step = max(1, _CACHED_BYTES // (4 * (planes or classes) * width))
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))
