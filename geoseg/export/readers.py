"""Programs that need an ONNX file of their own kind, and which models they can run."""

from __future__ import annotations

from geoseg.errors import ModelError
from geoseg.models.card import Card
from geoseg.report import shorten
from geoseg.value_ranges import ranges_words

ANY, GEODEEP = READERS = ("any", "geodeep")
"""Whatever runs ONNX, at any size; GeoDeep, which knows one size and standardises nothing."""
_BANDS = 3
"""Of GeoDeep's images."""
WHITE = 255.0
"""By which GeoDeep divides values of 8 bits."""


def refuse_unreadable(card: Card, reader: str) -> None:
    """Refuse a model that its reader cannot run.

    Raises:
        ModelError: it is one.
    """
    if reader == ANY:
        return
    if len(card.bands) != _BANDS:
        raise ModelError(
            f"GeoDeep runs models of {_BANDS} bands, this one has {len(card.bands)} "
            f"({shorten(card.bands, 20)}); leave out --reader geodeep and use it in Deepness"
        )
    if any(each != (0.0, WHITE) for each in card.ranges):
        raise ModelError(
            f"GeoDeep takes values of 0 to 255, this model {ranges_words(card.value_range)}; "
            "leave out --reader geodeep and use it in Deepness"
        )
