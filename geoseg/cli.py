"""The command line: text to arguments, one call of a command, its report printed.

Commands import what they need when they are called, so that ``geoseg --help`` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from geoseg.progress import Progress
    from geoseg.report import Report

EXIT_WRONG = 2
"""Options, model or config are wrong, or no input can be used: nothing was begun."""
EXIT_INTERRUPTED = 130


def _debug(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Remember it for the whole program: the option may stand before or behind the command's name."""
    context.obj = bool(context.obj) or wanted


_debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    callback=_debug,
    help="Show the traceback of an error.",
)


def _common_options(command: Callable[..., None]) -> Callable[..., None]:
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
    return as_json(_debug_option(command))


class _Wrong(click.ClickException):
    """A command line that click does not understand, told as all errors are."""

    exit_code = EXIT_WRONG

    def __init__(self, error: click.UsageError, context: click.Context) -> None:
        command = (
            error.ctx.command_path
            if error.ctx
            else f"{context.command_path} {context.invoked_subcommand or ''}"
        )
        what = " ".join(error.format_message().split()).rstrip(".")
        super().__init__(f"{what}; {command.strip()} --help shows what there is")

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        click.echo(f"geoseg: {self.message}", file=file, err=True)


class _Commands(click.Group):
    """The commands; what is wrong with their options is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _Wrong(error, ctx) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="geoseg", message="geoseg %(version)s")
@_debug_option
def cli() -> None:
    """Orthophotos of any size to georeferenced class rasters and clean polygons."""


@cli.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model", required=True, type=click.Path(path_type=Path), help="Model file (.safetensors)."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for the outputs."
)
@click.option(
    "--window", type=int, metavar="PX", help="Side of the windows.  [default: the model's]"
)
@click.option(
    "--overlap", type=int, metavar="PX", help="Overlap of the windows.  [default: the model's]"
)
@click.option("--stitch", default="blend", show_default=True, type=click.Choice(["blend", "crop"]))
@click.option(
    "--block",
    default="auto",
    show_default=True,
    metavar="PX|auto",
    help="Side of the units of work.",
)
@click.option(
    "--batch", default="auto", show_default=True, metavar="N|auto", help="Windows per forward."
)
@click.option("--dry-run", is_flag=True, help="Print the plan (windows, memory, time) and stop.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
)
@click.option(
    "--scales",
    default="1",
    show_default=True,
    metavar="S,S,...",
    help="Multi-scale averaging: 0.5,1,2.",
)
@click.option("--flip", is_flag=True, help="Also average the mirrored windows.")
@click.option("--bands", metavar="N,N,...", help="The file's bands in the model's order: 4,1,2.")
@click.option(
    "--value-range", metavar="LO,HI", help="Source values that mean the model's value range."
)
@click.option("--nodata", type=float, metavar="V", help="Source value that means no data.")
@click.option("--crs", metavar="EPSG:N", help="CRS of sources that have none.")
@click.option("--confidence", is_flag=True, help="Also write the confidence raster.")
@click.option("--probabilities", is_flag=True, help="Also write the probabilities of all classes.")
@click.option(
    "--min-confidence", default=0.0, metavar="P", help="Pixels below it become 254, 'uncertain'."
)
@click.option(
    "--vectors", default="gpkg", show_default=True, metavar="gpkg,shp|none", help="Polygon formats."
)
@click.option(
    "--workers", default=0, metavar="N", help="Worker processes.  [default: threads in this one]"
)
@click.option(
    "--overwrite", is_flag=True, help="Replace outputs that were made from something else."
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def predict(
    sources: tuple[Path, ...], model: Path, out: Path, quiet: bool, as_json: bool, **options: Any
) -> None:
    """Turn orthophotos into class rasters and polygons.

    SOURCES are files or folders (searched recursively): GeoTIFF, COG, VRT, JPEG 2000, PNG, JPEG.
    """

    def work(progress: Progress) -> Report:
        from geoseg.commands.predict import run

        return run(list(sources), model, out, progress=progress, **options)

    _call(work, quiet=quiet, as_json=as_json)


@cli.command()
@click.argument("rasters", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Polygon file (.gpkg or .shp)."
)
@click.option(
    "--confidence", type=click.Path(path_type=Path), help="Confidence raster of the same grid."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that stands there.")
@_common_options
def vectorize(rasters: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Turn class rasters into polygons without seams, gaps or overlaps."""

    def work(_: Progress) -> Report:
        from geoseg.commands.vectorize import run

        return run(list(rasters), **options)

    _call(work, as_json=as_json)


@cli.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Change a value of the config.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder.  [default: runs/<config>]"
)
@click.option("--resume", is_flag=True, help="Continue the run that stands in the run folder.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def train(config: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Train a model as CONFIG (YAML) says."""

    def work(progress: Progress) -> Report:
        from geoseg.commands.train import run

        return run(config, progress=progress, **options)

    # Of several processes that train together, the first one speaks.
    quiet = quiet or os.environ.get("RANK", "0") != "0"
    _call(work, quiet=quiet, as_json=as_json, resume="--resume continues from the last saved state")


@cli.command()
@click.argument("predicted")
@click.argument("reference")
@click.option(
    "--classes",
    required=True,
    metavar="FILE|isprs|cityscapes",
    help="Names, values and colours of classes.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for figures, plot, table, report.",
)
@click.option(
    "--protocol",
    default="plain",
    show_default=True,
    metavar="NAME",
    help="What enters the figures.",
)
@click.option(
    "--erode",
    type=int,
    metavar="R",
    help="Erode the reference by this many pixels.  [default: protocol's]",
)
@click.option(
    "--instances",
    metavar="FILE",
    help="Objects for the scale-sensitive IoU: raster, polygons, or a folder.",
)
@click.option("--tolerance", default=3, show_default=True, metavar="PX", help="Of boundary F1.")
@click.option(
    "--resample", is_flag=True, help="Bring predictions on another grid to the reference's."
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def evaluate(predicted: str, reference: str, quiet: bool, as_json: bool, **options: Any) -> None:
    """Judge class rasters against labels.

    PREDICTED and REFERENCE are files, folders or patterns, paired by the tile that their names tell of.
    """

    def work(progress: Progress) -> Report:
        from geoseg.commands.evaluate import run

        return run(predicted, reference, progress=progress, **options)

    _call(work, quiet=quiet, as_json=as_json, resume="nothing was written; run it again")


@cli.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY.PATH=VALUE",
    help="Change a value of the config.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the runs and the comparison.",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def compare(config: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Train several systems or switches on the same seeds and set them side by side."""

    def work(progress: Progress) -> Report:
        from geoseg.commands.compare import run

        return run(config, progress=progress, **options)

    _call(work, quiet=quiet, as_json=as_json)


@cli.command()
@click.argument("dataset", type=click.Choice(["vaihingen", "potsdam", "cityscapes", "folder"]))
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("dst", type=click.Path(path_type=Path))
@click.option(
    "--split", metavar="NAME", help="isprs, geoseg, audebert12-4, tiles, blocks, folders or all."
)
@click.option(
    "--patch",
    type=int,
    metavar="PX",
    help="Cut what is learnt from into patches.  [default: whole images]",
)
@click.option(
    "--stride", type=int, metavar="PX", help="From one patch to the next.  [default: the patch]"
)
@click.option(
    "--edge",
    type=click.Choice(["shift", "pad", "drop"]),
    help="Rule of a last patch.  [default: shift]",
)
@click.option("--images", metavar="GLOB", help="Images below SRC.  [default: the data set's]")
@click.option(
    "--labels",
    metavar="GLOB|VECTOR",
    help="Labels, or polygons, below SRC.  [default: the data set's]",
)
@click.option(
    "--classes", metavar="FILE|isprs|cityscapes", help="Names, values and colours of classes."
)
@click.option("--attribute", metavar="NAME", help="Attribute of the polygons that holds the class.")
@click.option("--crs", metavar="EPSG:N", help="CRS of images that have none.")
@click.option("--block", type=int, metavar="PX", help="Side of the blocks of --split blocks.")
@click.option(
    "--gap", type=int, metavar="PX", help="Between blocks of train and val.  [default: 64]"
)
@click.option(
    "--overwrite", is_flag=True, help="Remove what stands in DST from another preparation."
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def prepare(dataset: str, src: Path, dst: Path, quiet: bool, as_json: bool, **options: Any) -> None:
    """Make a data set into rasters that train directly.

    SRC is the data set as it is handed out, or any folder of images and labels; DST gets train, val and test.
    """

    def work(progress: Progress) -> Report:
        from geoseg.commands.prepare import run

        return run(dataset, src, dst, progress=progress, **options)

    _call(work, quiet=quiet, as_json=as_json)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@_common_options
def info(file: Path, as_json: bool) -> None:
    """Say what geoseg makes of a raster or a model file."""

    def work(_: Progress) -> Report:
        from geoseg.commands.info import run

        return run(file)

    _call(work, as_json=as_json)


@cli.command()
@click.option("--cost", metavar="HxW", help="Count the heads on feature maps of this size: 64x128.")
@_common_options
def systems(cost: str | None, as_json: bool) -> None:
    """List the segmentation systems, or what their heads cost."""

    def work(_: Progress) -> Report:
        from geoseg.commands.systems import run

        return run(cost)

    _call(work, as_json=as_json)


@cli.command()
@click.option(
    "--out",
    default="demo",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Folder of the demo.",
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
@_common_options
def demo(out: Path, quiet: bool, as_json: bool) -> None:
    """Run the main job on a generated scene with the bundled model."""

    def work(progress: Progress) -> Report:
        from geoseg.commands.demo import run

        return run(out, progress=progress)

    _call(work, quiet=quiet, as_json=as_json)


def _call(
    work: Callable[[Progress], Report],
    *,
    quiet: bool = False,
    as_json: bool = False,
    resume: str = "the same command continues where this run stopped",
) -> None:
    """Run a command, print its report and end with its exit code; errors are one line each on stderr."""
    from geoseg.errors import GeosegError
    from geoseg.progress import Progress
    from geoseg.report import finite
    from geoseg.terminal import TerminalProgress

    progress = Progress() if quiet else TerminalProgress()
    try:
        report = work(progress)
    except GeosegError as error:
        if click.get_current_context().obj:  # --debug
            traceback.print_exc()
        for line in str(error).splitlines():
            click.echo(f"geoseg: {line}", err=True)
        sys.exit(EXIT_WRONG)
    except KeyboardInterrupt:
        click.echo(f"geoseg: interrupted; {resume}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    for line in report.data.get("warnings", []):
        if not quiet:
            click.echo(f"geoseg: warning: {line}", err=True)
    for line in report.data.get("failures", []):
        click.echo(f"geoseg: {line}", err=True)
    if as_json:
        click.echo(json.dumps(finite(report.data), indent=2, allow_nan=False))
    elif not quiet:
        click.echo(report.text)
    sys.exit(report.exit_code)


def main() -> None:
    """The ``geoseg`` program."""
    cli()


if __name__ == "__main__":
    main()
