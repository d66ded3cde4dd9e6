r"""From labelled tiles and a folder of orthophotos to class rasters and polygons.

    python pipelines/orthophoto_folder.py \
        --images 'tiles/train/*_image.tif' --labels 'tiles/train/*_label.tif' \
        --val-images 'tiles/val/*_image.tif' --val-labels 'tiles/val/*_label.tif' \
        --classes road building vegetation car --predict orthophotos --out result

A star matches the text that the names of an image and its labels share. OUT gets the training under
``train`` and class rasters, previews and polygons under ``predicted``. Run it again after a stop:
finished work is kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geoseg


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--images",
        required=True,
        help="labelled images: a file, a folder, or a pattern with a star",
    )
    parser.add_argument("--labels", required=True, help="their labels, one band of class values")
    parser.add_argument(
        "--val-images", help="images to validate on; without them the last step is the model"
    )
    parser.add_argument("--val-labels", help="their labels")
    parser.add_argument(
        "--classes",
        required=True,
        nargs="+",
        help="names in the order of the label values, or a file",
    )
    parser.add_argument(
        "--predict", required=True, type=Path, help="folder of orthophotos, searched recursively"
    )
    parser.add_argument(
        "--out", required=True, type=Path, help="folder for the model and the results"
    )
    parser.add_argument("--system", default="hcnet", help="one of `geoseg systems` (%(default)s)")
    parser.add_argument(
        "--encoder", default="resnet18", help="an encoder by smp's name (%(default)s)"
    )
    parser.add_argument(
        "--weights", help="imagenet, a file or package:NAME; from scratch without it"
    )
    parser.add_argument(
        "--steps", type=int, default=5_000, help="steps of the training (%(default)s)"
    )
    parser.add_argument("--batch", type=int, default=8, help="patches per step (%(default)s)")
    parser.add_argument(
        "--crop", type=int, default=256, help="side of a patch, pixels (%(default)s)"
    )
    parser.add_argument(
        "--window",
        type=int,
        help="side of the prediction windows, pixels; by default that of the patches",
    )
    parser.add_argument(
        "--vectors", default="gpkg", help="formats of the polygons: gpkg, shp, none (%(default)s)"
    )
    chosen = parser.parse_args(arguments)
    if (chosen.val_images is None) != (chosen.val_labels is None):
        parser.error("--val-images and --val-labels go together")
    return chosen


def config(chosen: argparse.Namespace) -> dict[str, Any]:
    """The training config, as a YAML file would hold it."""
    names = chosen.classes
    data = {
        "train": {"images": chosen.images, "labels": chosen.labels},
        "classes": names[0] if len(names) == 1 else names,
    }
    if chosen.val_images is not None:
        data["val"] = {"images": chosen.val_images, "labels": chosen.val_labels}
    return {
        "data": data,
        "model": {
            "system": chosen.system,
            "encoder": chosen.encoder,
            "encoder_weights": chosen.weights,
        },
        "train": {
            "steps": chosen.steps,
            "batch": chosen.batch,
            "crop": chosen.crop,
            "validate_every": max(1, chosen.steps // 10),
            "augment": {"scale": [0.8, 1.25], "brightness": 0.1, "contrast": 0.2},
        },
        "predict": {} if chosen.window is None else {"window": chosen.window},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, predict, and say where everything is; returns the exit code."""
    chosen = parse(arguments)
    try:
        trained = geoseg.train(config(chosen), out=chosen.out / "train", resume=True)
        print(trained)
        predicted = geoseg.predict(
            chosen.predict,
            trained.data["model"],
            out=chosen.out / "predicted",
            vectors=chosen.vectors,
        )
        print(predicted)
    except geoseg.GeosegError as error:
        print(f"orthophoto_folder: {error}", file=sys.stderr)
        return 2
    return predicted.exit_code


if __name__ == "__main__":
    sys.exit(main())
