r"""ISPRS Vaihingen from the benchmark's folders to figures, class rasters and polygons.

    python pipelines/vaihingen.py --data ISPRS_semantic_labeling_Vaihingen --system hcnet

DATA holds ``top`` and the ground truth as the benchmark hands them out. OUT gets ``data`` (prepared), ``train`` (the
model), ``predicted`` (the test tiles) and ``evaluated``. The recipe is ``configs/vaihingen_SYSTEM.yaml``; without a GPU
try ``--steps`` and ``--encoder``. Run again after a stop: finished work is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import geoseg

CONFIGS = Path(__file__).parents[1] / "configs"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder of the benchmark")
    parser.add_argument(
        "--out", default=Path("runs/vaihingen"), type=Path, help="folder of the run (%(default)s)"
    )
    systems = [
        path.stem.removeprefix("vaihingen_") for path in sorted(CONFIGS.glob("vaihingen_*.yaml"))
    ]
    parser.add_argument(
        "--system", default="hcnet", choices=systems, help="whose recipe (%(default)s)"
    )
    parser.add_argument(
        "--split", default="geoseg", help="geoseg, isprs or audebert12-4 (%(default)s)"
    )
    parser.add_argument("--encoder", help="another encoder than the recipe's, learnt from scratch")
    parser.add_argument("--steps", type=int, help="steps of the training; the recipe's without it")
    parser.add_argument(
        "--crs", help="coordinate system of the tiles, which name none (probably EPSG:32632)"
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
            "vaihingen", chosen.data, data, split=chosen.split, crs=chosen.crs
        )
        print(prepared)
        config = CONFIGS / f"vaihingen_{chosen.system}.yaml"
        trained = geoseg.train(
            config, out=out / "train", overrides=overrides(chosen, data), resume=True
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
        print(f"vaihingen: {error}", file=sys.stderr)
        return 2
    return max(prepared.exit_code, predicted.exit_code, evaluated.exit_code)


if __name__ == "__main__":
    sys.exit(main())
