"""Several systems, or one with several switches, trained on the same seeds and one budget, and put side by side.

The story: name the runs; train those that do not stand, each in a folder of its own; when all stand, one table and
one plot. Several processes may work on one folder: each takes the runs that no other holds.

    OUT/<variant>/seed<k>/   a run folder of `train`, and result.json when it is done
    OUT/compare.json, compare.csv, compare.png
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from filelock import FileLock, Timeout

from geoseg.commands import train
from geoseg.config import Comparison, TrainConfig, dump_config, load_config
from geoseg.errors import ConfigError, GeosegError, OutputError
from geoseg.evaluation.comparison import write_comparison
from geoseg.files import replace_file
from geoseg.inference.keys import key_of
from geoseg.metrics.paired import Difference, paired_difference
from geoseg.models.spec import make_spec
from geoseg.progress import Progress
from geoseg.report import Report, nothing_usable

FIGURES = ("mean_iou", "mean_f1", "overall_accuracy")
"""What is compared, on the validation tiles after the last step."""
RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    variant: str
    seed: int
    config: TrainConfig
    folder: Path

    @property
    def key(self) -> str:
        """Changes with anything in the config that the run depends on."""
        return key_of({"config": dump_config(self.config)})


def run(
    config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    out: str | os.PathLike[str],
    overrides: Iterable[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Compare what the config's ``compare`` names.

    Args:
        config: a YAML file with a ``compare`` section, or the mapping that it would hold.
        out: folder of the runs and of the comparison; runs that are done there are kept, those that were begun are
            continued.
        overrides: ``key.path=value`` each, over the file or mapping.
        progress: who listens; nobody by default.

    Returns:
        Mean, spread and paired difference of each variant. `exit_code` is 1 where some runs failed or are still
        held by another process; those are listed.

    Raises:
        ConfigError: the config is wrong, has no ``compare`` or no validation tiles, or a run that stands was made with
            another one; or no run could be trained.
        OutputError: the folder cannot be written.
    """
    listener, folder, common = progress or Progress(), Path(out), tuple(overrides)

    def read(changes: Iterable[str] = ()) -> TrainConfig:
        return load_config(config, [*common, *changes])

    base = read()
    if base.compare is None:
        raise ConfigError(
            "compare: is missing; give compare: {systems: [hcnet, fcn], seeds: [0, 1, 2], steps: 1000}"
        )
    runs = _runs(base, base.compare, read, folder)
    for one in runs:
        _result(one)  # refuses a run of another config before any work
    failures = []
    for number, one in enumerate(runs, 1):
        if _result(one) is None:
            listener.note(f"run {number} of {len(runs)}: {one.variant}, seed {one.seed}")
            failure = _train(one, listener)
            failures += [failure] if failure else []
    with _alone(folder):  # of several processes the last one that ends knows all results
        results = {
            (one.variant, one.seed): result for one in runs if (result := _result(one)) is not None
        }
        if not results:
            raise nothing_usable(failures)
        return _report(
            base.compare,
            list(dict.fromkeys(one.variant for one in runs)),
            results,
            folder,
            failures,
        )


def _runs(
    base: TrainConfig,
    comparison: Comparison,
    read: Callable[[Iterable[str]], TrainConfig],
    out: Path,
) -> list[Run]:
    """All runs, seed by seed, so that an early end leaves whole pairs.

    Args:
        base: what the variants change.
        comparison: its own.
        read: the same with these ``key.path=value``: what the config leaves out follows from the variant.
        out: folder of the comparison.

    Raises:
        ConfigError: a variant's values do not fit, or there is no such system, preset or switch.
    """
    runs = []
    for seed in comparison.seeds:
        for name, changes in comparison.changes(base.model.system).items():
            steps = comparison.steps or base.train.steps
            given = {"train.seed": seed, "train.steps": steps, "train.validate_every": steps}
            given |= {
                "train.save_every": base.train.save_every or base.train.validate_every,
                **changes,
            }
            try:
                changed = [f"{key}={json.dumps(value)}" for key, value in given.items()]
                config = read(changed).model_copy(update={"compare": None})
                _check(config, seed)
            except GeosegError as error:
                raise ConfigError(f"compare, {name}: {error}") from error
            runs.append(Run(name, seed, config, out / name / f"seed{seed}"))
    return runs


def _check(config: TrainConfig, seed: int) -> None:
    """Refuse a network that cannot be, figures of nothing and broken pairs, before the first of many trainings."""
    if config.train.seed != seed:
        raise ConfigError(
            f"train.seed: {config.train.seed} would break the pairs; give all seeds in compare.seeds"
        )
    if not config.data.val:
        raise ConfigError("data.val is missing; give the tiles on which all are judged")
    model = config.model
    make_spec(
        model.system,
        encoder=model.encoder,
        classes=len(config.data.classes),
        output_stride=model.output_stride,
        preset=model.preset,
        **model.options,
    )


def _result(one: Run) -> dict[str, Any] | None:
    """What a finished run gave; None where it is not finished.

    Raises:
        ConfigError: it was made with another config.
        OutputError: the file is damaged.
    """
    path = one.folder / RESULT
    if not path.is_file():
        return None
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{path}: cannot be read ({error}); remove it to train this run again"
        ) from error
    if document.get("key") != one.key:
        raise ConfigError(
            f"{one.folder}: was trained with another config; set it back, or give another --out"
        )
    return document


def _train(one: Run, listener: Progress) -> str | None:
    """Train one run, unless another process does; one line where it has no result."""
    try:
        with _alone(one.folder, timeout=0):
            if _result(one) is not None:
                return None
            done = train.run(one.config, out=one.folder, resume=True, progress=listener).data
            result = {"key": one.key, "variant": one.variant, "seed": one.seed, **done}
            with replace_file(one.folder / RESULT) as made:
                made.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    except Timeout:
        return (
            f"{one.folder}: another process trains it; the same command later makes the whole table"
        )
    except GeosegError as error:
        return f"{one.variant}, seed {one.seed}: {error}"
    return None


@contextmanager
def _alone(folder: Path, timeout: float = -1) -> Iterator[None]:
    """The folder, made where it is not there, while no other process has it; waits for it `timeout` seconds, or long.

    Raises:
        Timeout: another process has it.
        OutputError: it cannot be made or written.
    """
    lock = FileLock(folder / ".lock", timeout=timeout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror}); give another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _report(
    comparison: Comparison,
    names: list[str],
    results: dict[tuple[str, int], dict[str, Any]],
    folder: Path,
    failures: list[str],
) -> Report:
    data: dict[str, Any] = {
        "baseline": comparison.baseline or names[0],
        "variants": {},
        "failures": failures,
    }
    for name in names:
        done = {seed: results[name, seed] for seed in comparison.seeds if (name, seed) in results}
        if not done:
            continue
        entry: dict[str, Any] = {
            "seeds": list(done),
            "parameters": next(iter(done.values()))["parameters"]["all"],
        }
        entry["seconds"] = sum(result["seconds"]["total"] for result in done.values()) / len(done)
        for figure in FIGURES:
            values = [result["validation"][figure] for result in done.values()]
            entry[figure] = {"runs": values, **_spread(values)}
            difference = _against(data["baseline"], done, results, figure)
            entry[figure] |= {} if difference is None else {"difference": list(difference)}
        data["variants"][name] = entry
    files = write_comparison(folder, data, FIGURES)
    data["files"] = {kind: str(path) for kind, path in files.items()}
    return Report(_table(data), data, 1 if failures else 0)


def _spread(values: list[float]) -> dict[str, float | None]:
    """Mean and standard deviation; one value has none."""
    return {"mean": fmean(values), "std": stdev(values) if len(values) > 1 else None}


def _against(
    baseline: str,
    done: dict[int, dict[str, Any]],
    results: dict[tuple[str, int], dict[str, Any]],
    figure: str,
) -> Difference | None:
    """The difference to the baseline over the seeds that both have."""
    pairs = [
        (result["validation"][figure], results[baseline, seed]["validation"][figure])
        for seed, result in done.items()
        if (baseline, seed) in results
    ]
    return paired_difference(*zip(*pairs, strict=True)) if pairs else None


def _table(data: dict[str, Any]) -> str:
    """One line a variant: mean and standard deviation over the seeds, and the difference to the baseline."""
    width = max([len(name) for name in data["variants"]] + [7])
    head = f"{'':<{width}}  seeds  " + "  ".join(f"{figure:<17}" for figure in FIGURES)
    lines = [f"{head}  mean_iou against {data['baseline']} (95 % interval)"]
    for name, entry in data["variants"].items():
        cells = "  ".join(f"{_cell(entry[figure]):<17}" for figure in FIGURES)
        line = f"{name:<{width}}  {len(entry['seeds']):>5}  {cells}"
        if name != data["baseline"] and "difference" in entry["mean_iou"]:
            mean, low, high = entry["mean_iou"]["difference"]
            line += f"  {mean:+.4f} ({low:+.4f} to {high:+.4f})"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _cell(found: dict[str, Any]) -> str:
    return f"{found['mean']:.4f}" + ("" if found["std"] is None else f" ± {found['std']:.4f}")
