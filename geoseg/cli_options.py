"""The options of the command line: those that several commands have, and those of predict by theme.

A theme is a heading in ``--help``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click import option

from geoseg.given import EMPTY
from geoseg.remote import source_path


class PathType(click.ParamType):  # type: ignore[type-arg]
    """A path of this machine; empty text, which `Path` takes for the current folder, is none."""

    name = "path"

    def convert(self, value: Any, param: Any, context: Any) -> Path:
        """The path."""
        return Path(value or self.fail(EMPTY, param, context))


class RasterType(PathType):
    """A raster, wherever it lies: `Path` would take slashes out of URLs."""

    def convert(self, value: Any, param: Any, context: Any) -> Path:
        """The path."""
        return source_path(value or self.fail(EMPTY, param, context))


PATH = PathType()
RASTER = RasterType()
MODEL = "FILE|NAME|hf://USER/NAME"
"""What a model may be called."""
Decorator = Callable[[Any], Any]

option_with_default = functools.partial(option, show_default=True)


class ThemedOption(click.Option):
    """An option that the help shows below a heading."""

    def __init__(self, *args: Any, theme: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.theme = theme


class ThemedCommand(click.Command):
    """A command whose help shows options below the headings of their themes."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, theme by theme in the order of their first options."""
        themes: dict[str, list[tuple[str, str]]] = {"Options": []}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx) if isinstance(each, click.Option) else None
            if record is not None:
                themes.setdefault(getattr(each, "theme", "Options"), []).append(record)
        for theme, records in themes.items():
            with formatter.section(theme):
                formatter.write_dl(records)


def _theme(theme: str) -> Callable[..., Decorator]:
    """Makes the options of a theme."""
    return functools.partial(option, cls=ThemedOption, theme=theme, show_default=True)


def _together(*options: Decorator) -> Decorator:
    """One decorator that adds several options in this order."""
    return lambda function: functools.reduce(lambda done, each: each(done), options[::-1], function)


def _quiet(make: Callable[..., Decorator]) -> Decorator:
    return make("--quiet", is_flag=True, help="Print errors only.")


def _remote(make: Callable[..., Decorator]) -> Decorator:
    text = "Follow what files name on servers and in archives: lists, items, VRTs."
    return make("--allow-remote", is_flag=True, help=text)


def _stack(make: Callable[..., Decorator]) -> Decorator:
    text = "File with more bands of each image: '{stem}_dsm.tif', beside it."
    return make("--stack", multiple=True, metavar="PATTERN", help=text)


def _cleaning(make: Callable[..., Decorator]) -> Decorator:
    return _together(
        make(
            "--min-area",
            metavar="M2|Npx",
            help="Smaller regions go to the neighbour with the longest border: 20 or 50px.",
        ),
        make("--keep", metavar="CLASS,...", default="", help="Classes that do not vanish so."),
        make(
            "--simplify",
            metavar="M|Npx",
            help="How far borders may move to have fewer vertices: metres, or pixels as in 1px.",
        ),
        make("--smooth", is_flag=True, help="Cut the corners of simplified borders off."),
        make(
            "--regularize",
            metavar="CLASS,...",
            default="",
            help="Classes whose simplified borders get right angles.",
        ),
        make(
            "--regularize-tolerance",
            metavar="M|Npx",
            help="How far these may move in all.  [default: 6 times --simplify]",
        ),
    )


quiet_option = _quiet(option)
stack_option = _stack(option)
remote_option = _remote(option)
set_option = option(
    "--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="Change a config value."
)


def _attributes(make: Callable[..., Decorator]) -> Decorator:
    text = "Further attributes of polygons: perimeter_m, color."
    return make("--attributes", metavar="NAME,...", help=text)


def _overlap_rule(make: Callable[..., Decorator]) -> Decorator:
    return make(
        "--overlap-rule",
        default="first",
        type=click.Choice(["first", "newest", "finest"]),
        help="Which sheet of a mosaic, or merged one, is on top.",
    )


def _merge(make: Callable[..., Decorator]) -> Decorator:
    return make("--merge", is_flag=True, help="One layer of polygons for all inputs.")


attributes_option = _attributes(option)
cleaning_options = _cleaning(option)
merge_options = _together(_merge(option), _overlap_rule(option_with_default))
layer_option = option(
    "--layer", metavar="NAME", help="Layer of the polygons.  [default: the only one]"
)

_source = _theme("What is read")
source_options = _together(
    _source(
        "--bands",
        metavar="N,N,...",
        help="The file's bands in the model's order: 4,1,2 or nir,red,green.  [default: by name]",
    ),
    _source(
        "--value-range",
        metavar="LO,HI[,...]",
        help="Source values that mean the model's range; or a pair for each band.",
    ),
    _stack(_source),
    _source("--nodata", metavar="V,...", help="Source values that mean no data in all bands."),
    _source("--crs", metavar="EPSG:N", help="CRS of sources that have none."),
    _source(
        "--mosaic", type=click.Choice(["sheets", "one"]), help="Take all inputs for one raster."
    ),
    _overlap_rule(_source),
    _source("--resample", is_flag=True, help="Bring sources to the model's ground sampling."),
    _source(
        "--grid",
        "output_grid",
        default="source",
        type=click.Choice(["source", "model"]),
        help="Whose pixels the outputs of resampled sources have.",
    ),
    _source("--aoi", metavar="FILE", type=PATH, help="Area of interest: a file of polygons."),
    _source("--aoi-layer", metavar="NAME", help="Layer of it.  [default: the only one]"),
    _source("--crop/--no-crop", default=True, help="End outputs at its extent."),
    _remote(_source),
)

_network = _theme("How the network runs")
network_options = _together(
    _network("--card", metavar="FILE", help="Card (YAML) of a network of another program."),
    _network(
        "--window", type=int, metavar="PX", help="Side of the windows.  [default: the model's]"
    ),
    _network(
        "--overlap", type=int, metavar="PX", help="Overlap of the windows.  [default: the model's]"
    ),
    _network("--stitch", default="blend", type=click.Choice(["blend", "crop"])),
    _network("--block", default="auto", metavar="PX|auto", help="Side of units of work."),
    _network("--batch", default="auto", metavar="N|auto", help="Windows per forward."),
    _network("--device", default="auto", metavar="auto|cpu|cuda[:N|:all]"),
    _network("--precision", default="auto", type=click.Choice(["auto", "fp32", "bf16", "fp16"])),
    _network(
        "--backend",
        default="torch",
        type=click.Choice(["torch", "openvino", "compile"]),
        help="What runs the network.",
    ),
    _network("--scales", default="1", metavar="S,S,...", help="Averaged scales: 0.5,1,2."),
    _network("--flip", is_flag=True, help="Also average the mirrored windows."),
    _network(
        "--encode",
        default="auto",
        type=click.Choice(["auto", "shared", "window"]),
        help="Encode each pixel once, or each window by itself.",
    ),
    _network("--cell", type=int, metavar="PX", help="Side of what is encoded at once, if shared."),
)

_raster = _theme("Rasters that are written")
raster_options = _together(
    _raster("--confidence", is_flag=True, help="Also write the confidence raster."),
    _raster("--probabilities", is_flag=True, help="Also write the probabilities of all classes."),
    _raster(
        "--min-confidence", default=0.0, metavar="P", help="Pixels below it become 'uncertain'."
    ),
    _raster(
        "--max-output-pixels",
        default=2**30,
        metavar="N",
        help="Larger rasters are cut into squares.",
    ),
    _raster(
        "--preview/--no-preview",
        default=None,
        help="Draw previews.  [default: of up to 200 inputs]",
    ),
)

_polygon = _theme("Polygons that are written")
polygon_options = _together(
    _polygon(
        "--vectors",
        default="gpkg",
        metavar="FORMAT,...|none",
        help="Polygon formats: gpkg, shp, fgb, parquet, geojson, geojsonl.",
    ),
    _merge(_polygon),
    _attributes(_polygon),
    _cleaning(_polygon),
    _polygon("--clean-raster", is_flag=True, help="The class raster follows --min-area."),
)

_further = _theme("Further files")
further_options = _together(
    _further("--zones", metavar="FILE", type=PATH, help="Also measure classes in these polygons."),
    _further("--project", is_flag=True, help="Also write a QGIS project of all outputs."),
    _further("--stac", is_flag=True, help="Also write STAC items and a collection."),
)

_run = _theme("The run")
run_options = _together(
    _run("--dry-run", is_flag=True, help="Print the plan (windows, memory, time) and stop."),
    _run("--workers", default=0, metavar="N", help="Worker processes; 0: threads in this one."),
    _run("--scheduler", metavar="ADDRESS|FILE", help="A Dask cluster that runs already."),
    _run("--mixed", is_flag=True, help="Take workers, or GPUs, that are not alike."),
    _run(
        "--max-memory",
        metavar="SIZE",
        help="That all processes may take: 2GiB, 1500MB.  [default: 60 % of what is free]",
    ),
    _run(
        "--max-gpu-memory",
        metavar="SIZE",
        help="Likewise of each GPU's memory.  [default: 90 % of what is free]",
    ),
    _run("--overwrite", is_flag=True, help="Replace outputs that were made from something else."),
    _quiet(_run),
)

_card = _theme("The card")
card_options = _together(
    _card("--card", metavar="FILE", type=PATH, help="File (YAML) with what the options below say."),
    _card("--classes", metavar="NAME,...|FILE|isprs|cityscapes", help="In the network's order."),
    _card("--bands", metavar="NAME,...", help="In the network's order: red,green,blue."),
    _card(
        "--value-range", metavar="LO,HI[,...]", help="From black to white: 0,255; or of each band."
    ),
    _card("--mean", metavar="V,...", help="Of each band, in these values."),
    _card("--std", metavar="V,...", help="Of each band, likewise."),
    _card("--window", type=int, metavar="PX", help="Side of the windows.  [default: 512]"),
    _card("--overlap", type=int, metavar="PX", help="That they share.  [default: 128]"),
    _card("--ground-sampling", type=float, metavar="M", help="Metres on the ground a pixel."),
    _card("--license", metavar="TEXT", help="Under which terms the weights may be used."),
)
