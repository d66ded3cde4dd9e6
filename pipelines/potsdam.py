r"""ISPRS Potsdam from the benchmark's folders to figures, class rasters and polygons.

    python pipelines/potsdam.py --data Potsdam --system hcnet

DATA holds ``2_Ortho_RGB`` and ``5_Labels_all`` as the benchmark hands them out. OUT gets ``data`` (prepared),
``train`` (the model), ``predicted`` (the test tiles) and ``evaluated``. The recipe is ``configs/potsdam_hcnet.yaml``
whatever the system; without a GPU try ``--steps`` and ``--encoder``. Run again after a stop: finished work is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import geoseg

CONFIG = Path(__file__).parents[1] / "configs" / "potsdam_hcnet.yaml"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of the benchmark")
    parser.add_argument(
        "--out", default=Path("runs/potsdam"), type=Path, help="folder of the run (%(default)s)"
    )
    parser.add_argument(
        "--system",
        default="hcnet",
        choices=geoseg.systems(),
        metavar="NAME",
        help="one of `geoseg systems` (%(default)s)",
    )
    parser.add_argument(
        "--split", default="geoseg", help="geoseg (without tile 7_10) or isprs (%(default)s)"
    )
    parser.add_argument("--encoder", help="another encoder than the recipe's, learnt from scratch")
    parser.add_argument("--steps", type=int, help="steps of the training; the recipe's without it")
    parser.add_argument(
        "--images",
        help="other images than RGB: '3_Ortho_IRRG/*.tif'; then also --set data.bands=...",
    )
    parser.add_argument(
        "--scales",
        default="1",
        help="scales to average in prediction (%(default)s; paper: 0.5,1,2)",
    )
    parser.add_argument(
        "--erode",
        type=int,
        help="radius that the reference is eroded by; 0 where it is eroded already",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change the recipe"
    )
    return parser.parse_args(arguments)


def overrides(chosen: argparse.Namespace, data: Path) -> list[str]:
    """What this run changes in the recipe."""
    parts = [part for part in ("train", "val") if (data / part).is_dir()]
    folders = {
        part: {kind: str(data / part / kind) for kind in ("images", "labels")} for part in parts
    }
    changes = [f"data.{part}={json.dumps(folders.get(part, []))}" for part in ("train", "val")]
    if chosen.system != "hcnet":
        changes += [f"model.system={chosen.system}", "train.aux_weights={}"]
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
        prepared = geoseg.prepare(
            "potsdam", chosen.data, data, split=chosen.split, images=chosen.images
        )
        print(prepared)
        trained = geoseg.train(
            CONFIG, out=out / "train", overrides=overrides(chosen, data), resume=True
        )
        print(trained)
        predicted = geoseg.predict(
            data / "test" / "images",
            trained.data["model"],
            out=out / "predicted",
            scales=chosen.scales,
        )
        print(predicted)
        # The contest erodes the borders of the reference by three pixels; most papers leave clutter out of the means.
        labels, rules = (
            data / "test" / "labels",
            {"protocol": "isprs-geoseg", "erode": chosen.erode},
        )
        evaluated = geoseg.evaluate(out / "predicted", labels, "isprs", out / "evaluated", **rules)
        print(evaluated)
    except geoseg.GeosegError as error:
        print(f"potsdam: {error}", file=sys.stderr)
        return 2
    return max(prepared.exit_code, predicted.exit_code, evaluated.exit_code)


if __name__ == "__main__":
    sys.exit(main())
