"""The commands about models and files: info, systems, models, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click import argument, option

from geoseg.cli_group import call, command
from geoseg.cli_options import (
    MODEL,
    PATH,
    card_options,
    option_with_default,
    remote_option,
    stack_option,
)
from geoseg.importing.origins import ORIGINS


@command
@argument("file")
@option("--model", metavar=MODEL, help="Also say which options the raster needs for this model.")
@stack_option
@option("--card", type=PATH, help="Card (YAML) of a model of another program: .onnx, .pt2, .pt.")
@option("--plot", type=PATH, help="Picture of where the sheets of a folder lie (.png).")
@remote_option
def info(file: str, **options: Any) -> None:
    """Describe a raster, a folder of them, or a model file as geoseg reads it."""
    call("info", file, **options)


@command
@option("--cost", metavar="HxW", help="Count the heads on feature maps of this size: 64x128.")
def systems(cost: str | None, as_json: bool) -> None:
    """List the segmentation systems, or the cost of their heads."""
    call("systems", cost, as_json=as_json)


@command
@argument("model", metavar=MODEL)
@option("--to", required=True, type=click.Choice(["onnx", "torch", "mlm", "hf"]), help="The form.")
@option("--out", required=True, type=PATH, help="File (.onnx, .pt2, .json), or folder for hf.")
@option_with_default(
    "--precision",
    default="fp32",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Of the numbers inside an ONNX file.",
)
@option(
    "--tiles",
    multiple=True,
    type=PATH,
    help="Raster to compare both on; may be repeated.  [default: generated tiles]",
)
@option_with_default(
    "--reader",
    default="any",
    type=click.Choice(["any", "geodeep"]),
    help="Of an ONNX file; GeoDeep takes one size of tiles and standardises none.",
)
@option("--overwrite", is_flag=True, help="Replace what exists.")
def export(model: str, **options: Any) -> None:
    """Write a model as other programs take it.

    onnx: one file, for onnxruntime, OpenVINO and QGIS's Deepness. torch: a torch.export program.
    mlm: a STAC item that describes the model. hf: a folder for a model hub.
    """
    call("export", model, **options)


@command
@argument("file", type=PATH)
@option("--as", "origin", required=True, type=click.Choice(ORIGINS), help="Where it comes from.")
@option("--out", required=True, type=PATH, help="File to write (.safetensors).")
@card_options
@option("--system", metavar="NAME", help="Of a state dict of smp: smp.unet and so on.")
@option("--encoder", metavar="NAME", help="By smp's or timm's name: resnet34, tu-resnet50c.")
@option("--output-stride", type=int, help="Of the encoder: 8, 16 or 32.")
@option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of the system, which the tensors do not tell; may be repeated.",
)
@option("--encoder-only", is_flag=True, help="Write the encoder alone, to train from.")
@option(
    "--leave-out",
    multiple=True,
    metavar="NAME",
    help="Tensors of the file to do without, by the beginning of their names; may be repeated.",
)
@option(
    "--initial",
    multiple=True,
    metavar="NAME",
    help="Tensors of the network that may begin at random, likewise.",
)
@option("--overwrite", is_flag=True, help="Replace what exists.")
def import_(file: Path, origin: str, out: Path, **options: Any) -> None:
    """Make a model file of weights that another program has trained.

    FILE is a state dict (.pth, .safetensors), or a folder that segmentation-models-pytorch's
    save_pretrained has written. What became of each tensor is printed.
    """
    call("import_", file, origin, out, **options)


@command
def models(**options: Any) -> None:
    """List the models that come with geoseg."""
    call("models", **options)
