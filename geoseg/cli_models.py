"""The commands about models and files: info, systems, models, export."""

from __future__ import annotations

from typing import Any

import click
from click import argument, option

from geoseg.cli_group import call, command
from geoseg.cli_options import MODEL, PATH, option_with_default, remote_option


@command
@argument("file")
@option("--model", metavar=MODEL, help="Also say which options the raster needs for this model.")
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
@option("--overwrite", is_flag=True, help="Replace what exists.")
def export(model: str, **options: Any) -> None:
    """Write a model as other programs take it.

    onnx: one file, for onnxruntime, OpenVINO and QGIS's Deepness. torch: a torch.export program.
    mlm: a STAC item that describes the model. hf: a folder for a model hub.
    """
    call("export", model, **options)


@command
def models(**options: Any) -> None:
    """List the models that come with geoseg."""
    call("models", **options)
