"""The options of ``geoseg predict``, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from geoseg.errors import ConfigError
from geoseg.given import path_text
from geoseg.inference.encode_options import Encode, EncodeOptions, make_grid
from geoseg.inference.forward_options import (
    Backend,
    ForwardOptions,
    check_backend,
    check_device_name,
    check_precision,
)
from geoseg.inference.option_values import (
    Reader,
    flag,
    number_of,
    numbers_of,
    or_none,
    refuse_unknown,
    text,
    words,
)
from geoseg.inference.run_options import RUN_READERS, RunOptions
from geoseg.inference.source_options import SOURCE_READERS, SourceOptions
from geoseg.models import Card
from geoseg.models.sharing import Sharing
from geoseg.raster import LEAST_PIXELS, OverlapRule, Source
from geoseg.tiling import TileGrid
from geoseg.tiling.grid import Stitch
from geoseg.value_ranges import ValueRange
from geoseg.vector import FORMATS, Cleaning, check_polygons
from geoseg.vector.cleaning import class_names

MOST_PREVIEWS = 200
"""Inputs of which previews are drawn unasked: of more, nobody looks at each."""


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """What the user asked for.

    Checked by hand: options also come as text from forms, files and the command line, and a message
    names the option as the user wrote it with what to give, which a schema library would not do.
    """

    card: str | None = None
    """A card file (YAML) for a network of another program."""
    window: int | None = None
    """Side of the windows, pixels; None: the card's."""
    overlap: int | None = None
    """Pixels that neighbouring windows share; None: the card's."""
    stitch: Stitch = "blend"
    block: int | Literal["auto"] = "auto"
    batch: int | Literal["auto"] = "auto"
    device: str = "auto"
    precision: str = "auto"
    backend: Backend = "torch"
    """What runs the network."""
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    encode: Encode = "auto"
    """Whether windows share what the network makes of a pixel; this and the next: see
    `EncodeOptions`."""
    cell: int | None = None
    bands: tuple[int | str, ...] | None = None
    """The file's bands in the model's order, numbers from 1 or names; None: see `open_raster`."""
    value_range: ValueRange | None = None
    """The source's values that mean the card's value range; None: they are the same."""
    nodata: tuple[float, ...] | None = None
    """The source's values that mean no data, in place of the one that it declares."""
    crs: str | None = None
    stack: tuple[str, ...] = ()
    """Patterns of files beside each input; this and the next eight: see `SourceOptions`."""
    aoi: str | None = None
    aoi_layer: str | None = None
    crop: bool = True
    mosaic: Literal["sheets", "one"] | None = None
    overlap_rule: OverlapRule = "first"
    merge: bool = False
    resample: bool = False
    output_grid: Literal["source", "model"] = "source"
    confidence: bool = False
    probabilities: bool = False
    min_confidence: float = 0.0
    vectors: tuple[str, ...] = ("gpkg",)
    attributes: tuple[str, ...] = ()
    """Of polygons, beside those that all have."""
    min_area: str | float | None = None
    """Square metres, or pixels as in ``50px``; smaller regions go to their neighbours."""
    keep: tuple[str, ...] = ()
    """Classes whose regions do not."""
    simplify: str | float | None = None
    """Metres, or pixels as in ``1px``, by which borders may move to have fewer vertices."""
    smooth: bool = False
    """Cut the corners of simplified borders off."""
    regularize: tuple[str, ...] = ()
    """Classes whose regions get right angles."""
    regularize_tolerance: str | float | None = None
    """Metres, or pixels, by which their borders may move for that."""
    clean_raster: bool = False
    """The class raster follows."""
    max_output_pixels: int = 2**30
    """A raster of more pixels is cut into squares of at most so many, with an index."""
    zones: str | None = None
    """A file of polygons in which classes are measured."""
    project: bool = False
    """Also write a QGIS project; `stac`: STAC documents."""
    stac: bool = False
    preview: bool | None = None
    """Whether to draw previews; None: see `for_inputs`."""
    workers: int = 0
    """Worker processes; 0: threads in this process. This and the next four: see `RunOptions`."""
    scheduler: str | None = None
    mixed: bool = False
    max_memory: int | None = None
    max_gpu_memory: int | None = None
    overwrite: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        for holds, message in self._rules():
            if not holds:
                raise ConfigError(message)
        check_device_name(self.device, several=True)
        check_precision(self.precision)
        check_backend(self.backend)
        ForwardOptions(scales=self.scales, source_range=self.value_range)  # refuses what is wrong
        check_polygons(self.vectors, self.attributes)
        _ = self.of_sources, RunOptions.of(self)  # likewise
        EncodeOptions(self.encode, self.cell)  # likewise
        if self.merge and not self.vectors:
            raise ConfigError("merge: no polygons are written; give vectors too, such as gpkg")
        if self.clean_raster and self.cleaning.min_area is None:
            raise ConfigError("clean_raster: nothing is cleaned; give min_area too")

    def _rules(self) -> list[tuple[bool, str]]:
        """What must hold, and what is said where it does not."""
        whole_batch = isinstance(self.batch, int) and self.batch >= 1
        bands_from_1 = self.bands is None or (
            bool(self.bands)
            and all(band if isinstance(band, str) else band >= 1 for band in self.bands)
        )
        rules = [
            (
                self.block == "auto" or self.block >= 1,
                f"block {self.block}: give 1 pixel or more, or auto",
            ),
            (
                self.batch == "auto" or whole_batch,
                f"batch {self.batch!r}: give a whole number of windows, 1 or more, or auto",
            ),
            (
                0.0 <= self.min_confidence <= 1.0,
                f"min_confidence {self.min_confidence}: give a probability between 0 and 1",
            ),
            (
                self.max_output_pixels >= LEAST_PIXELS,
                f"max_output_pixels {self.max_output_pixels}: give {LEAST_PIXELS} (512 x 512) "
                "or more",
            ),
            (
                bands_from_1,
                f"bands {list(self.bands or ())}: bands count from 1; "
                "give them in the model's order, such as 4,1,2 or nir,red,green",
            ),
        ]
        return rules + [
            (
                name in FORMATS,
                f"vectors {name!r} is not a format that geoseg writes; "
                f"use {', '.join(FORMATS)} or none",
            )
            for name in self.vectors
        ]

    @property
    def of_sources(self) -> SourceOptions:
        """What becomes of the inputs before windows are cut from them."""
        return SourceOptions.of(self)

    def sharing(self, card: Card) -> Sharing | None:
        """What the windows of a raster share; None: nothing.

        Raises:
            ConfigError: other options leave nothing to share.
            ModelError: the network does.
        """
        return EncodeOptions(self.encode, self.cell).sharing(
            card,
            window=self.window,
            overlap=self.overlap,
            augmented=self.scales != (1.0,) or self.flip,
            backend=self.backend,
        )

    def grid(self, card: Card, source: Source) -> TileGrid:
        """The lattice of windows over a raster.

        Args:
            card: of the model, whose window and overlap are the default.
            source: the raster.

        Raises:
            TilingError: window and overlap do not fit each other, or not the network's stride.
        """
        return make_grid(
            source.height,
            source.width,
            card.window if self.window is None else self.window,
            card.overlap if self.overlap is None else self.overlap,
            self.stitch,
            self.sharing(card),
        )

    def for_inputs(self, count: int) -> PredictOptions:
        """These options for so many inputs: previews are drawn unasked of up to 200."""
        return replace(self, preview=count <= MOST_PREVIEWS) if self.preview is None else self

    @property
    def cleaning(self) -> Cleaning:
        """How polygons are cleaned."""
        names = [each.name for each in fields(Cleaning)]
        return Cleaning.from_options(**{name: getattr(self, name) for name in names})

    @property
    def batch_size(self) -> int | None:
        """Windows per forward; None where geoseg chooses."""
        return None if self.batch == "auto" else self.batch

    @classmethod
    def from_keywords(cls, **options: Any) -> PredictOptions:
        """The options from keywords, as Python callers and the command line give them.

        Raises:
            ConfigError: an option is unknown or has no sense.
        """
        refuse_unknown(options, [option.name for option in fields(cls)])
        read = {
            name: _READERS[name](name, given) if name in _READERS else given
            for name, given in options.items()
        }
        return cls(**read)


_READERS: dict[str, Reader] = {
    **dict.fromkeys(("card", "zones"), or_none(path_text)),
    "window": or_none(number_of(int)),
    "overlap": or_none(number_of(int)),
    "block": number_of(int, word="auto"),
    "batch": number_of(int, word="auto"),
    "device": text,
    "scales": numbers_of(float),
    "flip": flag,
    "cell": or_none(number_of(int)),
    **SOURCE_READERS,
    "min_confidence": number_of(float),
    "vectors": words,
    "attributes": words,
    **dict.fromkeys(("keep", "regularize"), class_names),
    "max_output_pixels": number_of(int),
    **dict.fromkeys(("confidence", "probabilities", "smooth", "clean_raster"), flag),
    **dict.fromkeys(("project", "stac", "mixed", "overwrite", "dry_run"), flag),
    "preview": or_none(flag),
    **RUN_READERS,
}
"""How the value of each option is read; of those that are not here, what is given is the value."""
