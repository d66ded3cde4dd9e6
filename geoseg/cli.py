"""The command line: text to arguments, one call of a command, its report printed.

Commands import what they need when they are called, so that ``geoseg --help`` answers at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click import argument, option

from geoseg.cli_options import (
    PATH,
    ThemedCommand,
    cleaning_options,
    layer_option,
    network_options,
    option_with_default,
    polygon_options,
    quiet_option,
    raster_options,
    remote_option,
    run_options,
    set_option,
    source_options,
)
from geoseg.stopping import STOPPING


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
    command = cli.command(cls=ThemedCommand)(function)
    command.params += [_DEBUG, _JSON]
    return command


@_command
@argument("sources", nargs=-1, required=True, type=PATH)
@option("--model", required=True, type=PATH, help="Model file (.safetensors).")
@option("--out", required=True, help="Folder for the outputs; s3://, gs:// or az:// too.")
@source_options
@network_options
@raster_options
@polygon_options
@run_options
def predict(sources: tuple[Path, ...], model: Path, out: str, **options: Any) -> None:
    """Turn orthophotos into class rasters and polygons.

    SOURCES are files, folders (searched recursively) or text files with one path a line: GeoTIFF,
    COG, VRT, JPEG 2000, PNG, JPEG.
    """
    _call("predict", list(sources), model, out, **options)


@_command
@argument("rasters", nargs=-1, required=True, type=PATH)
@option("--out", required=True, type=PATH, help="Polygon file (.gpkg or .shp).")
@option("--confidence", type=PATH, help="Confidence raster of the same grid.")
@cleaning_options
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@remote_option
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
@set_option
@option("--out", type=PATH, help="Run folder.  [default: runs/<config>]")
@option("--resume", is_flag=True, help="Continue the run in the run folder.")
@remote_option
@quiet_option
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
@option_with_default("--protocol", default="plain", metavar="NAME", help="Which pixels count.")
@option("--erode", type=int, metavar="R", help="Erosion radius.  [default: the protocol's]")
@option("--attribute", metavar="NAME", help="Of polygons as reference, that holds the class.")
@layer_option
@option("--instances", metavar="FILE", help="Objects for S-IoU: raster, polygons, or a folder.")
@option_with_default("--tolerance", default=3, metavar="PX", help="Of boundary F1.")
@option("--resample", is_flag=True, help="Bring predictions on another grid to the reference's.")
@remote_option
@quiet_option
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
@set_option
@option("--out", required=True, type=PATH, help="Folder of the runs and the comparison.")
@remote_option
@quiet_option
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
@layer_option
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
@remote_option
@quiet_option
def prepare(dataset: str, src: Path, dst: Path, **options: Any) -> None:
    """Convert a data set into rasters that are ready for training.

    SRC is the data set as it is distributed, or any folder of images and labels; DST gets train,
    val and test.
    """
    _call("prepare", dataset, src, dst, **options)


@_command
@argument("file", type=PATH)
@option("--model", type=PATH, help="Also say which options the raster needs for this model.")
@remote_option
def info(file: Path, **options: Any) -> None:
    """Describe a raster or a model file as geoseg reads it."""
    _call("info", file, **options)


@_command
@option("--cost", metavar="HxW", help="Count the heads on feature maps of this size: 64x128.")
def systems(cost: str | None, as_json: bool) -> None:
    """List the segmentation systems, or the cost of their heads."""
    _call("systems", cost, as_json=as_json)


@_command
@option_with_default("--out", default="demo", type=PATH, help="Folder of the demo.")
@quiet_option
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
