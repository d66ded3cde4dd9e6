"""The features of layers that wait for their turn in a file: few in memory, many on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from geoseg.vector.features import FeatureTable, Layer, feature_tables
from geoseg.vector.polygonize import Regions
from geoseg.vector.spool import Spool, merged_features, write_features


def features_ahead(
    layer: Layer, spool: Path, stopped: Callable[[], bool]
) -> Iterable[FeatureTable]:
    """All features of a layer, made now, in the tables that `feature_tables` would give.

    A single table is held in memory; of more, none is.

    Args:
        layer: its regions are consumed.
        spool: the file for what does not stay in memory; whoever has read the tables removes it.
        stopped: asked as regions come; True ends the work with KeyboardInterrupt.

    Raises:
        OutputError: the file cannot be written.
        VectorError: a region is of a class that has no name.
    """
    tables = feature_tables(replace(layer, regions=_until(stopped, layer.regions)))
    first = list(itertools.islice(tables, 2))
    if len(first) < 2:
        return first
    write_features(spool, itertools.chain(first, tables))
    return merged_features([Spool(spool, 0)])


def _until(stopped: Callable[[], bool], regions: Iterable[Regions]) -> Iterator[Regions]:
    for each in regions:
        if stopped():
            raise KeyboardInterrupt
        yield each
