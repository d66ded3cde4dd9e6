"""The one interface of all context heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from torch import Tensor, nn


class Outputs(NamedTuple):
    """What a head, and a network in training mode, gives back."""

    logits: Tensor
    """``(N, classes, H, W)`` main logits."""
    aux: dict[str, Tensor]
    """Auxiliary logits by name, ``(N, classes, h, w)`` at feature size (losses upsample them)."""


class ContextHead(nn.Module, ABC):
    """Encoder features in, logits at feature size out.

    A head is an interface's leaf: heads share code by calling `geoseg.models.blocks`, never by inheriting
    from one another. Constructors take ``in_channels`` (channels of the features that the head uses, shallow
    to deep), ``classes``, ``preset`` and then the system's own switches as keywords.
    """

    name: ClassVar[str]
    """The name in `geoseg.systems()`."""
    paper: ClassVar[str]
    """Title, year and link of the paper."""
    stages: ClassVar[int] = 1
    """How many of the encoder's deepest features the head uses (``len(in_channels)``)."""
    presets: ClassVar[tuple[str, ...]] = ("geoseg",)
    """The presets that the system has; ``geoseg`` always stands first."""

    @abstractmethod
    def forward(self, features: Sequence[Tensor]) -> Outputs:
        """Logits from the encoder's features.

        Args:
            features: `stages` maps ``(N, in_channels[i], h, w)`` of one size, shallow to deep.

        Returns:
            Logits and auxiliary logits at feature size. Auxiliary logits that the main path does not need
            are computed in training mode only.
        """
