"""The section of a training's config on its data: images, labels, bands and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from geoseg.classes import NODATA, ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.given import EMPTY


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError(EMPTY)
    return text


PathText = Annotated[str, AfterValidator(_not_empty)]
"""A path or a pattern, which empty text is not."""


class Section(BaseModel):
    """A mapping of a config: its keys are known, its values frozen."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


_Pair = tuple[float, float]
_Ranges = Annotated[
    Annotated[_Pair, Tag("all")] | Annotated[dict[str, _Pair], Tag("some")],
    Discriminator(lambda given: "some" if isinstance(given, Mapping) else "all"),
]


_Images = Annotated[
    Annotated[PathText, Tag("one")]
    | Annotated[tuple[PathText, ...], Field(min_length=1), Tag("several")],
    Discriminator(lambda given: "several" if isinstance(given, list | tuple) else "one"),
]


class Rasters(Section):
    """Images and their labels, paired by a shared key; see `geoseg.datasets.pairing`."""

    images: _Images
    """A file, a folder, or a pattern whose stars are the key; so are the labels. Further ones hold
    more bands of each image; see `geoseg.datasets.pairing.with_companions`."""
    labels: PathText
    """Rasters of class values or colours, or polygons."""
    attribute: str | None = None
    """Of polygons, that holds the class's name or value."""
    layer: str | None = None
    """Of polygons, where a file has several."""


class ClassEntry(Section):
    """One class."""

    name: str
    id: Annotated[tuple[int, ...], BeforeValidator(_as_list)]
    """The values in label rasters that mean it."""
    color: tuple[int, int, int]


class Data(Section):
    """The training data, and what its numbers mean."""

    train: Annotated[tuple[Rasters, ...], BeforeValidator(_as_list), Field(min_length=1)]
    val: Annotated[tuple[Rasters, ...], BeforeValidator(_as_list)] = ()
    bands: tuple[int | str, ...] | dict[str, int] | None = None
    """The file's bands: names in their order, or name: number, or numbers. None: all."""
    value_range: _Ranges | None = None
    """Of the files' values, or of bands by name: left out, 0 to 255 for uint8; must be given for
    other types."""
    nodata: Annotated[tuple[float, ...], BeforeValidator(_as_list)] = ()
    """Values that mean no data in all bands; left out, what a file declares."""
    mean: tuple[float, ...] | None = None
    """Of each band, in the files' units; left out, it is measured on the training rasters."""
    std: tuple[float, ...] | None = None
    ground_sampling: Annotated[float, Field(gt=0)] | None = None
    """Metres per pixel; left out, that of the training rasters where they are georeferenced."""
    classes: tuple[ClassEntry, ...]
    """Names or {id, name, color}; in the file also a classes file, isprs or cityscapes."""
    ignore: Annotated[tuple[int, ...], BeforeValidator(_as_list)] = (NODATA,)
    """Values in label rasters that mean "no label"."""

    @model_validator(mode="before")
    @classmethod
    def _resolve_classes(cls, document: Any) -> Any:
        """Classes in whatever form they are given become full entries."""
        if not isinstance(document, Mapping) or "classes" not in document:
            return document
        scheme = read_classes(document["classes"], document.get("ignore"))
        entries = [
            {"name": name, "id": list(values), "color": list(color)}
            for name, values, color in zip(scheme.names, scheme.values, scheme.colors, strict=True)
        ]
        return {**document, "classes": entries, "ignore": list(scheme.ignore)}

    @property
    def scheme(self) -> ClassScheme:
        """The classes as the rest of geoseg takes them."""
        return ClassScheme(
            tuple(entry.name for entry in self.classes),
            tuple(entry.color for entry in self.classes),
            tuple(entry.id for entry in self.classes),
            self.ignore,
        )
