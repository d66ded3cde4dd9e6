"""The command line: text to arguments, one call of a command, its report printed.

Commands import what they need when they are called, so that ``geoseg --help`` answers at once.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click import argument, option

from geoseg.stopping import STOPPING

PATH = click.Path(path_type=Path)


def _remember_debug(context: click.Context, _: click.Parameter, given: bool) -> None:
    """For the whole program: the option may come before or after the command's name."""
    context.obj = bool(context.obj) or given


_DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)
_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print the report as JSON.")
_option_with_default = functools.partial(option, show_default=True)
_quiet_option = option("--quiet", is_flag=True, help="Print errors only.")
_remote_option = option(
    "--allow-remote", is_flag=True, help="Follow references inside files to servers and archives."
)
_set_option = option(
    "--set", "overrides", multiple=True, metavar="KEY.PATH=VALUE", help="Change a config value."
)


class _Commands(click.Group):
    """The commands; what is wrong with their options is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        as_json = "--json" in ctx.args  # of a command whose options cannot be read
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            from geoseg.program import UsageError

            raise UsageError(error, ctx, as_json=as_json) from error


@click.group(
    cls=_Commands,
    params=[_DEBUG],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="geoseg", message="geoseg %(version)s")
def cli() -> None:
    """Orthophotos of any size to georeferenced class rasters and clean polygons."""


def _numbers(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Numbers separated by commas."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give numbers separated by commas") from None


def _command(function: Callable[..., None]) -> click.Command:
    """A command with the options that all have."""
    command = cli.command()(function)
    command.params += [_DEBUG, _JSON]
    return command


@_command
@argument("sources", nargs=-1, required=True, type=PATH)
@option("--model", required=True, type=PATH, help="Model file (.safetensors).")
@option("--out", required=True, type=PATH, help="Folder for the outputs.")
@option("--window", type=int, metavar="PX", help="Side of the windows.  [default: the model's]")
@option("--overlap", type=int, metavar="PX", help="Overlap of the windows.  [default: the model's]")
@_option_with_default("--stitch", default="blend", type=click.Choice(["blend", "crop"]))
@_option_with_default("--block", default="auto", metavar="PX|auto", help="Side of units of work.")
@_option_with_default("--batch", default="auto", metavar="N|auto", help="Windows per forward.")
@option("--dry-run", is_flag=True, help="Print the plan (windows, memory, time) and stop.")
@_option_with_default("--device", default="auto", metavar="auto|cpu|cuda[:N]")
@_option_with_default(
    "--precision", default="auto", type=click.Choice(["auto", "fp32", "bf16", "fp16"])
)
@_option_with_default("--scales", default="1", metavar="S,S,...", help="Averaged scales: 0.5,1,2.")
@option("--flip", is_flag=True, help="Also average the mirrored windows.")
@option(
    "--bands",
    metavar="N,N,...",
    help="The file's bands in the model's order: 4,1,2 or nir,red,green.  [default: by name]",
)
@option("--value-range", metavar="LO,HI", help="Source values that mean the model's value range.")
@option("--nodata", metavar="V,...", help="Source values that mean no data in all bands.")
@option("--crs", metavar="EPSG:N", help="CRS of sources that have none.")
@option("--confidence", is_flag=True, help="Also write the confidence raster.")
@option("--probabilities", is_flag=True, help="Also write the probabilities of all classes.")
@option("--min-confidence", default=0.0, metavar="P", help="Pixels below it become 'uncertain'.")
@_option_with_default("--vectors", default="gpkg", metavar="gpkg,shp|none", help="Polygon formats.")
@_option_with_default(
    "--max-output-pixels", default=2**30, metavar="N", help="Larger rasters are cut into squares."
)
@option(
    "--preview/--no-preview", default=None, help="Draw previews.  [default: of up to 200 inputs]"
)
@option("--workers", default=0, metavar="N", help="Worker processes.  [default: threads in one]")
@option("--scheduler", metavar="ADDRESS|FILE", help="A Dask cluster that runs already.")
@option("--mixed", is_flag=True, help="Take workers of a cluster that are not alike.")
@option("--overwrite", is_flag=True, help="Replace outputs that were made from something else.")
@_remote_option
@_quiet_option
def predict(sources: tuple[Path, ...], model: Path, out: Path, **options: Any) -> None:
    """Turn orthophotos into class rasters and polygons.

    SOURCES are files, folders (searched recursively) or text files with one path a line: GeoTIFF,
    COG, VRT, JPEG 2000, PNG, JPEG.
    """
    _call("predict", list(sources), model, out, **options)


@_command
@argument("rasters", nargs=-1, required=True, type=PATH)
@option("--out", required=True, type=PATH, help="Polygon file (.gpkg or .shp).")
@option("--confidence", type=PATH, help="Confidence raster of the same grid.")
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@_remote_option
def vectorize(rasters: tuple[Path, ...], **options: Any) -> None:
    """Turn class rasters into polygons without seams, gaps or overlaps."""
    _call(
        "vectorize",
        list(rasters),
        after_interrupt="nothing was written; run it again",
        **options,
    )


@_command
@argument("config", type=PATH)
@_set_option
@option("--out", type=PATH, help="Run folder.  [default: runs/<config>]")
@option("--resume", is_flag=True, help="Continue the run in the run folder.")
@_remote_option
@_quiet_option
def train(config: Path, quiet: bool, **options: Any) -> None:
    """Train a model as CONFIG (YAML) says."""
    # Of several processes that train together, the first one prints.
    quiet = quiet or os.environ.get("RANK", "0") != "0"
    _call(
        "train",
        config,
        quiet=quiet,
        after_interrupt="--resume continues from the last saved state",
        **options,
    )


@_command
@argument("predicted")
@argument("reference")
@option(
    "--classes",
    required=True,
    metavar="FILE|MODEL|isprs|cityscapes",
    help="Names, values and colours of classes.",
)
@option("--out", required=True, type=PATH, help="Folder for metrics, plot, table, report.")
@_option_with_default("--protocol", default="plain", metavar="NAME", help="Which pixels count.")
@option("--erode", type=int, metavar="R", help="Erosion radius.  [default: the protocol's]")
@option("--attribute", metavar="NAME", help="Of polygons as reference, that holds the class.")
@option("--layer", metavar="NAME", help="Layer of the polygons.  [default: the only one]")
@option("--instances", metavar="FILE", help="Objects for S-IoU: raster, polygons, or a folder.")
@_option_with_default("--tolerance", default=3, metavar="PX", help="Of boundary F1.")
@option("--resample", is_flag=True, help="Bring predictions on another grid to the reference's.")
@_remote_option
@_quiet_option
def evaluate(predicted: str, reference: str, **options: Any) -> None:
    """Score class rasters against labels.

    PREDICTED and REFERENCE are files, folders or patterns, paired by the tile in their names.
    """
    _call(
        "evaluate",
        predicted,
        reference,
        after_interrupt="nothing was written; run it again",
        **options,
    )


@_command
@argument("config", type=PATH)
@_set_option
@option("--out", required=True, type=PATH, help="Folder of the runs and the comparison.")
@_remote_option
@_quiet_option
def compare(config: Path, **options: Any) -> None:
    """Train several systems or options on the same seeds and compare them side by side."""
    _call("compare", config, **options)


@_command
@argument("dataset", type=click.Choice(["vaihingen", "potsdam", "cityscapes", "folder"]))
@argument("src", type=PATH)
@argument("dst", type=PATH)
@option("--split", metavar="NAME", help="isprs, geoseg, audebert12-4, tiles, blocks, folders, all.")
@option("--patch", type=int, metavar="PX", help="Cut training images into patches of this side.")
@option("--stride", type=int, metavar="PX", help="From patch to patch.  [default: the patch]")
@option("--edge", type=click.Choice(["shift", "pad", "drop"]), help="Last patch.  [default: shift]")
@option("--images", metavar="GLOB", help="Images below SRC.  [default: the data set's]")
@option(
    "--labels",
    metavar="GLOB|VECTOR",
    help="Labels, or polygons, below SRC.  [default: the data set's]",
)
@option(
    "--classes", metavar="FILE|MODEL|isprs|cityscapes", help="Names, values and colours of classes."
)
@option("--attribute", metavar="NAME", help="Attribute of the polygons that holds the class.")
@option("--layer", metavar="NAME", help="Layer of the polygons.  [default: the only one]")
@option("--crs", metavar="EPSG:N", help="CRS of images that have none.")
@option(
    "--nodata",
    metavar="V,...",
    callback=_numbers,
    help="Values of images that mean no data in all bands.",
)
@option("--block", type=int, metavar="PX", help="Side of the blocks of --split blocks.")
@option("--gap", type=int, metavar="PX", help="Between blocks of train and val.  [default: 64]")
@option("--overwrite", is_flag=True, help="Remove another preparation from DST.")
@_remote_option
@_quiet_option
def prepare(dataset: str, src: Path, dst: Path, **options: Any) -> None:
    """Convert a data set into rasters that are ready for training.

    SRC is the data set as it is distributed, or any folder of images and labels; DST gets train,
    val and test.
    """
    _call("prepare", dataset, src, dst, **options)


@_command
@argument("file", type=PATH)
@option("--model", type=PATH, help="Also say which options the raster needs for this model.")
@_remote_option
def info(file: Path, **options: Any) -> None:
    """Describe a raster or a model file as geoseg reads it."""
    _call("info", file, **options)


@_command
@option("--cost", metavar="HxW", help="Count the heads on feature maps of this size: 64x128.")
def systems(cost: str | None, as_json: bool) -> None:
    """List the segmentation systems, or the cost of their heads."""
    _call("systems", cost, as_json=as_json)


@_command
@_option_with_default("--out", default="demo", type=PATH, help="Folder of the demo.")
@_quiet_option
def demo(out: Path, **options: Any) -> None:
    """Run the main job on a generated scene with the bundled model."""
    _call("demo", out, **options)


def _call(command: str, *arguments: Any, **options: Any) -> None:
    """Run a command and end the program; see `call_command`."""
    from geoseg.program import call_command

    call_command(command, *arguments, debug=bool(click.get_current_context().obj), **options)


def main() -> None:
    """The ``geoseg`` program."""
    STOPPING.listen()
    cli()


if __name__ == "__main__":
    main()
