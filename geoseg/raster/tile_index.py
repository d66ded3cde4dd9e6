"""The tiles that a tile index (GDAL's GTI) names, found before GDAL opens any of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from geoseg import ogr
from geoseg.errors import SourceError, VectorError
from geoseg.foreign import XMLValue
from geoseg.vector_content import vector_name

_LOCATION = "location"


def tile_index_locations(path: Path, values: Sequence[XMLValue]) -> Iterator[str]:
    """The names of files in a tile index: its tiles, and its overviews.

    Args:
        path: the index, or the XML that names it.
        values: of that XML; none for an index without.

    Raises:
        SourceError: the index cannot be read, or needs SQL to be run.
    """
    settings = {name.lstrip("@"): text.strip() for name, text in values}
    index = path
    if values:
        named = settings.get("indexdataset", "")
        places = [os.path.join(base, named) for base in (path.parent, Path())]
        index = Path(next(filter(os.path.isfile, places), places[0]))
    try:
        name = vector_name(index)
        layer = settings.get("indexlayer") or _only_layer(name)
        facts = ogr.read_info(name, layer=layer)
        own = {key.lower(): text for key, text in (facts["layer_metadata"] or {}).items()}
        column = settings.get("locationfield") or own.get("location_field") or _LOCATION
        table = ogr.raw.read(name, layer=layer, columns=[column], read_geometry=False)
    except (VectorError, ogr.DataSourceError, ogr.DataLayerError, OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise SourceError(f"{path}: its tile index cannot be read ({words}); export it") from error
    if "sql" in own:
        raise SourceError(f"{path}: holds SQL to run; export the index without")
    yield from (text for key, text in own.items() if key.endswith("_dataset"))
    for tiles in table[3]:
        yield from dict.fromkeys(str(tile) for tile in tiles if tile)


def _only_layer(name: str) -> str:
    layers = [str(layer) for layer, _ in ogr.list_layers(name)]
    if len(layers) != 1:
        raise ValueError(f"{len(layers)} layers, and IndexLayer names none")
    return layers[0]
