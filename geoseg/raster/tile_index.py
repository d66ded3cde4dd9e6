"""What a tile index (GDAL's GTI) says, found before GDAL opens any of its tiles."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from geoseg import ogr
from geoseg.errors import SourceError, VectorError
from geoseg.foreign import MOST_XML, read_head, xml_values
from geoseg.vector_content import vector_name

_LOCATION = "location"


class TileIndex(NamedTuple):
    """The content of a tile index."""

    locations: list[str]
    """The names of its overviews and tiles, each once."""
    digest: str
    """Changes with every tile and attribute, and with nothing else that a viewer writes."""


def read_tile_index(path: Path) -> TileIndex:
    """The content of a tile index.

    Args:
        path: the index, or XML that names it.

    Raises:
        OSError: the file cannot be read.
        UnsafeXMLError: nor the XML.
        SourceError: nor the index, or it needs SQL to be run.
    """
    values = xml_values(read_head(path, MOST_XML + 1)) if is_xml(path) else []
    settings = {name.lstrip("@"): text.strip() for name, text in values}
    index = path
    if values:
        named = settings.get("indexdataset", "")
        places = [os.path.join(base, named) for base in (path.parent, Path())]
        index = Path(next(filter(os.path.isfile, places), places[0]))
        if not index.is_file():
            raise SourceError(
                f"{path}: names {index} as its tile index, which is not there; put it there, or "
                "give the index itself"
            )
    try:
        name = vector_name(index)
        layer = settings.get("indexlayer") or _only_layer(name)
        facts = ogr.read_info(name, layer=layer)
        table, _, shapes, columns = ogr.raw.read(name, layer=layer)
    except (VectorError, ogr.DataSourceError, ogr.DataLayerError, OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise SourceError(f"{path}: its tile index cannot be read ({words}); export it") from error
    own = {key.lower(): text for key, text in (facts["layer_metadata"] or {}).items()}
    if "sql" in own:
        raise SourceError(f"{path}: holds SQL to run; export the index without")
    wanted = settings.get("locationfield") or own.get("location_field") or _LOCATION
    locations = [text for key, text in own.items() if key.endswith("_dataset")]
    names = table["fields"].tolist()
    for column, tiles in zip(names, columns, strict=True):
        if column.casefold() == wanted.casefold():  # as GDAL compares them
            locations += [str(tile) for tile in tiles if tile]
    digest = hashlib.sha256(repr((sorted(own.items()), table["crs"], names)).encode())
    for column in columns:
        digest.update(repr(column.tolist()).encode())
    for shape in [] if shapes is None else shapes:
        digest.update(shape or b"-")
    return TileIndex(list(dict.fromkeys(locations)), digest.hexdigest())


def is_xml(path: Path) -> bool:
    """Whether a tile index is XML that names another file."""
    return b"<" in read_head(path, 16)


def _only_layer(name: str) -> str:
    layers = [str(layer) for layer, _ in ogr.list_layers(name)]
    if len(layers) != 1:
        raise ValueError(f"{len(layers)} layers, and IndexLayer names none")
    return layers[0]
