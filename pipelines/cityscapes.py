r"""Cityscapes from the benchmark's folders to figures, class rasters and polygons.

    python pipelines/cityscapes.py --data cityscapes --system hcnet

DATA holds ``leftImg8bit`` and ``gtFine`` as the benchmark hands them out. OUT gets ``data`` (prepared), ``train`` (the
model), ``predicted`` (the validation images: test labels are not public), ``labelIds`` (the same in the ids that the
benchmark's server takes) and ``evaluated``. The recipe is ``configs/cityscapes_SYSTEM.yaml``; without a GPU try
``--steps`` and ``--encoder``. Run again after a stop: finished work is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import geoseg
from geoseg.classes import CITYSCAPES

CONFIGS = Path(__file__).parents[1] / "configs"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of the benchmark")
    parser.add_argument(
        "--out", default=Path("runs/cityscapes"), type=Path, help="folder of the run (%(default)s)"
    )
    systems = [
        path.stem.removeprefix("cityscapes_") for path in sorted(CONFIGS.glob("cityscapes_*.yaml"))
    ]
    parser.add_argument(
        "--system", default="hcnet", choices=systems, help="whose recipe (%(default)s)"
    )
    parser.add_argument("--encoder", help="another encoder than the recipe's, learnt from scratch")
    parser.add_argument("--steps", type=int, help="steps of the training; the recipe's without it")
    parser.add_argument(
        "--scales",
        default="1",
        help="scales to average in prediction (%(default)s; paper: 0.5,1,2)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change the recipe"
    )
    return parser.parse_args(arguments)


def overrides(chosen: argparse.Namespace, data: Path) -> list[str]:
    """What this run changes in the recipe."""
    folders = {
        part: {kind: str(data / part / kind) for kind in ("images", "labels")}
        for part in ("train", "val")
    }
    changes = [f"data.{part}={json.dumps(folders[part])}" for part in folders]
    changes.append(f"data.classes={json.dumps(str(data / 'classes.yaml'))}")
    if chosen.steps is not None:
        changes.append(f"train.steps={chosen.steps}")
    if chosen.encoder is not None:
        changes += [f"model.encoder={chosen.encoder}", "model.encoder_weights=null"]
    return [*changes, *chosen.set]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, train, predict and evaluate; gives back the exit code."""
    chosen = parse(arguments)
    out, data = chosen.out, chosen.out / "data"
    try:
        prepared = geoseg.prepare("cityscapes", chosen.data, data)
        print(prepared)
        config = CONFIGS / f"cityscapes_{chosen.system}.yaml"
        trained = geoseg.train(
            config, out=out / "train", overrides=overrides(chosen, data), resume=True
        )
        print(trained)
        predicted = geoseg.predict(
            data / "val" / "images",
            trained.data["model"],
            out=out / "predicted",
            scales=chosen.scales,
        )
        print(predicted)
        for raster in sorted((out / "predicted").glob("*_classes.tif")):
            target = out / "labelIds" / f"{raster.stem.removesuffix('_classes')}.png"
            geoseg.write_label_values(raster, target, CITYSCAPES)
        reference, classes = data / "val" / "labels", data / "classes.yaml"
        objects = f"{chosen.data}/**/gtFine/val/*/*_gtFine_instanceIds.png"  # for HCNet's scale-sensitive IoU
        evaluated = geoseg.evaluate(
            out / "predicted",
            reference,
            classes,
            out / "evaluated",
            protocol="cityscapes",
            instances=objects,
        )
        print(evaluated)
    except geoseg.GeosegError as error:
        print(f"cityscapes: {error}", file=sys.stderr)
        return 2
    return max(prepared.exit_code, predicted.exit_code, evaluated.exit_code)


if __name__ == "__main__":
    sys.exit(main())
