"""The card of the model that a training makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geoseg.classes import ClassScheme
from geoseg.datasets.statistics import Statistics
from geoseg.errors import ConfigError
from geoseg.models import Card, ModelSpec


def make_card(
    spec: ModelSpec,
    scheme: ClassScheme,
    bands: Sequence[str],
    value_range: tuple[float, float],
    statistics: Statistics,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    training: Mapping[str, Any],
    **more: Any,
) -> Card:
    """A card for a network that is trained on these rasters.

    Args:
        spec: of the network.
        scheme: its classes.
        bands: names of its bands.
        value_range: of the rasters' values.
        statistics: of the training rasters.
        mean: of each band, where it shall not be the measured one.
        std: likewise.
        training: where the model comes from; completed with the pixels of each class.
        more: other fields of the card: `window`, `overlap`, `ground_sampling`, `license`.

    Raises:
        ConfigError: the rasters hold values outside `value_range`, or there is not one mean and one
            standard deviation for each band.
    """
    low, high = min(statistics.low), max(statistics.high)
    if not value_range[0] <= low <= high <= value_range[1]:
        raise ConfigError(
            f"data.value_range: {list(value_range)}, but the training rasters hold {low:g} to "
            f"{high:g}; give the range of their values"
        )
    for key, values in (("mean", mean), ("std", std)):
        if values and len(values) != len(bands):
            raise ConfigError(
                f"data.{key}: {len(values)} numbers for {len(bands)} bands; give one for each band"
            )
    class_pixels = dict(zip(scheme.names, statistics.class_pixels, strict=True))
    return Card(
        spec=spec,
        classes=scheme,
        bands=tuple(bands),
        value_range=value_range,
        mean=tuple(mean or statistics.mean.tolist()),
        std=tuple(std or statistics.std.tolist()),
        training={**training, "class_pixels": class_pixels},
        **more,
    )
