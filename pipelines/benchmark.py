r"""A benchmark from its folders to metrics, class rasters and polygons.

    python pipelines/benchmark.py vaihingen --data ISPRS_semantic_labeling_Vaihingen --system hcnet
    python pipelines/benchmark.py potsdam --data Potsdam
    python pipelines/benchmark.py cityscapes --data cityscapes --system ocrnet

DATA is the benchmark as it is distributed (docs/prepare.md lists the expected files). OUT gets
``data`` (prepared), ``train`` (the model), ``predicted`` and ``evaluated``; for Cityscapes also
``labelIds``, the class rasters in the ids that the benchmark's server takes. The recipe is
``configs/BENCHMARK_SYSTEM.yaml``, for Potsdam ``configs/potsdam_hcnet.yaml`` with any system;
without a GPU try ``--steps`` and ``--encoder``. Run it again after a stop: finished work is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geoseg
from geoseg.classes import CITYSCAPES, ClassScheme

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What distinguishes a benchmark from the others."""

    scored_part: str
    """The part that is predicted and evaluated."""
    protocol: str
    instances: str | None = None
    """Pattern below DATA of objects for HCNet's scale-sensitive IoU."""
    server_scheme: ClassScheme | None = None
    """The label values that the benchmark's server takes."""


BENCHMARKS = {
    # The contest erodes the borders of the reference by three pixels; most papers leave clutter out
    # of the means.
    "vaihingen": Benchmark("test", "isprs-geoseg"),
    "potsdam": Benchmark("test", "isprs-geoseg"),
    # The labels of the test images are not public.
    "cityscapes": Benchmark(
        "val", "cityscapes", "**/gtFine/val/*/*_gtFine_instanceIds.png", CITYSCAPES
    ),
}


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("benchmark", choices=BENCHMARKS)
    add("--data", required=True, type=Path, help="folder of the benchmark")
    add("--out", type=Path, help="folder of the run (runs/BENCHMARK)")
    add("--system", default="hcnet", metavar="NAME", help="system, and its recipe (%(default)s)")
    add("--split", help="as geoseg prepare takes it; geoseg's own without it")
    add(
        "--images", help="others, such as '3_Ortho_IRRG/*.tif' of Potsdam with --set data.bands=..."
    )
    add("--crs", help="of images that have none; for Vaihingen probably EPSG:32632")
    add("--encoder", help="another encoder than the recipe's, trained from scratch")
    add("--steps", type=int, help="steps of the training; the recipe's without it")
    add("--scales", default="1", help="averaged in the prediction (%(default)s; papers: 0.5,1,2)")
    add("--erode", type=int, help="radius of the reference's erosion; 0 where it is eroded already")
    add("--set", action="append", default=[], metavar="KEY.PATH=VALUE", help="change the recipe")
    chosen = parser.parse_args(arguments)
    chosen.out = chosen.out or Path("runs") / chosen.benchmark
    known = systems(chosen.benchmark)
    if chosen.system not in known:
        parser.error(f"--system {chosen.system}: choose {', '.join(known)}")
    return chosen


def systems(benchmark: str) -> Sequence[str]:
    """The systems that a benchmark has recipes for; with one recipe, all of geoseg's."""
    recipes = sorted(CONFIGS.glob(f"{benchmark}_*.yaml"))
    if len(recipes) == 1:
        return geoseg.systems()
    return [path.stem.removeprefix(f"{benchmark}_") for path in recipes]


def recipe(chosen: argparse.Namespace, data: Path) -> tuple[Path, list[str]]:
    """The config, and what this run changes in it."""
    parts = {
        part: {kind: str(data / part / kind) for kind in ("images", "labels")}
        for part in ("train", "val")
        if (data / part).is_dir()
    }
    changes = [f"data.{part}={json.dumps(parts.get(part, []))}" for part in ("train", "val")]
    changes.append(f"data.classes={json.dumps(str(data / 'classes.yaml'))}")
    config = CONFIGS / f"{chosen.benchmark}_{chosen.system}.yaml"
    if not config.exists():
        config = CONFIGS / f"{chosen.benchmark}_hcnet.yaml"
        changes += [f"model.system={chosen.system}", "train.aux_weights={}"]
    if chosen.steps is not None:
        changes.append(f"train.steps={chosen.steps}")
    if chosen.encoder is not None:
        changes += [f"model.encoder={chosen.encoder}", "model.encoder_weights=null"]
    return config, [*changes, *chosen.set]


def run(chosen: argparse.Namespace) -> int:
    """Prepare, train, predict and evaluate; returns the exit code."""
    benchmark = BENCHMARKS[chosen.benchmark]
    out, data = chosen.out, chosen.out / "data"
    scored = data / benchmark.scored_part
    options = {name: getattr(chosen, name) for name in ("split", "images", "crs")}
    prepared = geoseg.prepare(chosen.benchmark, chosen.data, data, **options)
    print(prepared)
    config, changes = recipe(chosen, data)
    trained = geoseg.train(config, out=out / "train", overrides=changes, resume=True)
    print(trained)
    model = trained.data["model"]
    predicted = geoseg.predict(
        scored / "images", model, out=out / "predicted", scales=chosen.scales
    )
    print(predicted)
    rules: dict[str, Any] = {"protocol": benchmark.protocol, "erode": chosen.erode}
    if benchmark.instances is not None:
        rules["instances"] = f"{chosen.data}/{benchmark.instances}"
    if benchmark.server_scheme is not None:
        for raster in sorted((out / "predicted").glob("*_classes.tif")):
            png = out / "labelIds" / f"{raster.stem.removesuffix('_classes')}.png"
            geoseg.write_label_values(raster, png, benchmark.server_scheme)
    evaluated = geoseg.evaluate(
        out / "predicted", scored / "labels", data / "classes.yaml", out / "evaluated", **rules
    )
    print(evaluated)
    return max(prepared.exit_code, predicted.exit_code, evaluated.exit_code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a benchmark, with an error in one line; returns the exit code."""
    chosen = parse(arguments)
    try:
        return run(chosen)
    except geoseg.GeosegError as error:
        print(f"{chosen.benchmark}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
