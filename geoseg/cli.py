"""The command line: text to arguments, one call of a command, its report printed."""

from __future__ import annotations

import atexit
import gc
import os
from pathlib import Path
from typing import Any

import click
from click import argument, option

from geoseg import cli_models  # noqa: F401 - adds its commands
from geoseg.cli_group import CONTINUES, call, cli, command
from geoseg.cli_options import (
    MODEL,
    PATH,
    RASTER,
    attributes_option,
    cleaning_options,
    further_options,
    layer_option,
    merge_options,
    network_options,
    option_with_default,
    polygon_options,
    quiet_option,
    raster_options,
    remote_option,
    run_options,
    set_option,
    source_options,
    stack_option,
)
from geoseg.stopping import STOPPING


def _numbers(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """Numbers separated by commas."""
    try:
        return None if text is None else tuple(map(float, text.split(",")))
    except ValueError:
        raise click.BadParameter(f"{text!r}: give numbers separated by commas") from None


@command
@argument("sources", nargs=-1, required=True, type=RASTER)
@option("--model", required=True, metavar=MODEL, help="See geoseg models.")
@option("--out", required=True, help="Folder for the outputs; s3://, gs:// or az:// too.")
@source_options
@network_options
@raster_options
@polygon_options
@further_options
@run_options
def predict(sources: tuple[Path, ...], model: str, out: str, **options: Any) -> None:
    """Turn orthophotos into class rasters and polygons.

    SOURCES are files, folders (searched recursively) or text files with one path a line: GeoTIFF,
    COG, VRT, JPEG 2000, PNG, JPEG.
    """
    call("predict", list(sources), model, out, after_interrupt=CONTINUES, **options)


@command
@argument("rasters", nargs=-1, required=True, type=RASTER)
@option(
    "--out",
    required=True,
    type=PATH,
    help="Polygon file (.gpkg, .shp, .fgb, .parquet, .geojson or .geojsonl).",
)
@option("--confidence", type=RASTER, help="Confidence raster of the same grid.")
@merge_options
@attributes_option
@cleaning_options
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@remote_option
def vectorize(rasters: tuple[Path, ...], **options: Any) -> None:
    """Turn class rasters into polygons without seams, gaps or overlaps."""
    call(
        "vectorize",
        list(rasters),
        after_interrupt="nothing was written; run it again",
        **options,
    )


@command
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
    call(
        "train",
        config,
        quiet=quiet,
        after_interrupt="--resume continues from the last saved state",
        **options,
    )


@command
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
@option("--errors", is_flag=True, help="Also write error rasters, and the largest wrong regions.")
@option("--images", metavar="FILE", help="Imagery for the report's pictures: or a folder.")
@remote_option
@quiet_option
def evaluate(predicted: str, reference: str, **options: Any) -> None:
    """Score class rasters against labels.

    PREDICTED and REFERENCE are files, folders or patterns, paired by the tile in their names.
    """
    call(
        "evaluate",
        predicted,
        reference,
        after_interrupt="nothing was written; run it again",
        **options,
    )


@command
@argument("config", type=PATH)
@set_option
@option("--out", required=True, type=PATH, help="Folder of the runs and the comparison.")
@remote_option
@quiet_option
def compare(config: Path, **options: Any) -> None:
    """Train several systems or options on the same seeds and compare them side by side."""
    call("compare", config, after_interrupt=CONTINUES, **options)


@command
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
@stack_option
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
    call("prepare", dataset, src, dst, after_interrupt=CONTINUES, **options)


@command
@argument("folder")
@option_with_default("--port", default=0, help="Of this machine; 0: any that is free.")
@option("--no-browser", is_flag=True, help="Print the address, and open nothing.")
def view(folder: str, port: int, *, no_browser: bool, **options: Any) -> None:
    """Show what predict has written into FOLDER as a map in the browser.

    Imagery, classes, confidence, and polygons on click; Ctrl-C ends it.
    """
    call("view", folder, port=port, browser=not no_browser, quiet=False, **options)


@command
@option_with_default("--out", default="demo", type=PATH, help="Folder of the demo.")
@quiet_option
def demo(out: Path, **options: Any) -> None:
    """Run the main job on a generated scene with the bundled model."""
    call("demo", out, after_interrupt=CONTINUES, **options)


def main() -> None:
    """The ``geoseg`` program."""
    STOPPING.listen()
    # Python would walk over all that torch and others have made, twice, before it ends.
    atexit.register(gc.freeze)
    cli()


if __name__ == "__main__":
    main()
