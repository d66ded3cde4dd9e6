"""Several systems or settings, trained on the same seeds and one budget, side by side.

The story: name the runs; train those without a result, each in its own folder; then one table
and one plot. Several processes may work on one folder: each takes the runs that no other one has
locked.

    OUT/<variant>/seed<k>/   a run folder of `train`, and result.json when it is done
    OUT/compare.json, compare.csv, compare.png
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoseg.commands import train
from geoseg.config import Comparison, TrainConfig, dump_config, load_config
from geoseg.errors import ConfigError, FolderInUseError, GeosegError, OutputError, RunError
from geoseg.evaluation.comparison import (
    compare_results,
    comparison_text,
    refuse_foreign_files,
    write_comparison,
)
from geoseg.failures import LOG, begun, failure_line, naming_the_rest
from geoseg.files import write_text
from geoseg.foreign import with_allow_remote
from geoseg.given import given_path
from geoseg.inference.keys import key_of
from geoseg.locks import lock_folder
from geoseg.models.spec import make_spec
from geoseg.places import refuse_folders
from geoseg.progress import Progress
from geoseg.report import Report, nothing_usable

RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Run:
    """One training."""

    variant: str
    seed: int
    config: TrainConfig
    folder: Path

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.variant}, seed {self.seed}"

    @property
    def key(self) -> str:
        """Changes with anything in the config that the run depends on."""
        return key_of({"config": dump_config(self.config)})


@with_allow_remote
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
        out: folder of the runs and of the comparison; finished runs there are kept, and unfinished
            ones are continued.
        overrides: ``key.path=value`` each, over the file or mapping.
        progress: is informed of what happens; by default a bar in notebooks and terminals.

    Returns:
        Mean, spread and paired difference of each variant. `exit_code` is 1 where some runs failed
        or are still being trained by another process; those are listed.

    Raises:
        ConfigError: the config is wrong, has no ``compare`` or no validation tiles, or a finished
            run was trained with another one; or no run could be trained.
        OutputError: the folder cannot be written.
    """
    listener, common = progress or Progress(), tuple(overrides)
    folder = Path(given_path("out", out))
    base = load_config(config, common)
    if base.compare is None:
        file = "" if isinstance(config, Mapping) else f"{os.fspath(config)}: "
        raise ConfigError(
            f"{file}compare: is missing; "
            "give compare: {systems: [hcnet, fcn], seeds: [0, 1, 2], steps: 1000}"
        )
    runs = _runs(base, base.compare, config, common, folder)
    refuse_foreign_files(folder)
    refuse_folders(one.folder / RESULT for one in runs)
    for one in runs:
        _result(one)  # refuses a run of another config before any work
    failures: list[str] = []
    waiting = [one.name for one in runs if _result(one) is None]
    for number, one in enumerate(runs, 1):
        if _result(one) is None:
            listener.note(f"run {number} of {len(runs)}: {one.name}")
            waiting.remove(one.name)
            with begun(), naming_the_rest(waiting, failures):
                failure = _train(one, listener)
            failures += [failure] if failure else []
    with lock_folder(folder, timeout=-1):  # of several processes the last one sees all results
        return _report(base.compare, runs, folder, failures)


def _runs(
    base: TrainConfig,
    comparison: Comparison,
    source: str | os.PathLike[str] | Mapping[str, Any],
    overrides: tuple[str, ...],
    out: Path,
) -> list[Run]:
    """All runs, seed by seed, so that an early end leaves whole pairs.

    Args:
        base: the config that the variants change.
        comparison: its ``compare``.
        source: what it was read from. Each variant is read again: values that the config leaves out
            follow from those of the variant.
        overrides: of all variants.
        out: folder of the comparison.

    Raises:
        ConfigError: a variant's values do not fit, or there is no such system, preset or switch.
    """
    runs = []
    for seed in comparison.seeds:
        for name, changes in comparison.changes(base.model.system).items():
            steps = comparison.steps or base.train.steps
            values = {
                "train.seed": seed,
                "train.steps": steps,
                "train.validate_every": steps,
                "train.save_every": base.train.save_every or base.train.validate_every,
                **changes,
            }
            changed = [f"{key}={json.dumps(value)}" for key, value in values.items()]
            with _naming(name):
                config = load_config(source, [*overrides, *changed])
                _check_pairs(config, seed)
            config = config.model_copy(update={"compare": None})
            runs.append(Run(name, seed, config, out / name / f"seed{seed}"))
    for one in runs:  # after all that can be refused without torch
        with _naming(one.variant):
            _check_network(one.config)
    return runs


@contextmanager
def _naming(variant: str) -> Iterator[None]:
    """Errors of a variant, as errors of the config that say which."""
    try:
        yield
    except GeosegError as error:
        raise ConfigError(f"compare, {variant}: {error}") from error


def _check_pairs(config: TrainConfig, seed: int) -> None:
    """Refuse what could not be compared, before the first of many trainings."""
    if config.train.seed != seed:
        raise ConfigError(
            f"train.seed: {config.train.seed} would break the pairs; "
            "give all seeds in compare.seeds"
        )
    if not config.data.val:
        raise ConfigError("data.val is missing; give the tiles on which all are validated")


def _check_network(config: TrainConfig) -> None:
    """Refuse a preset or an option that a system lacks, before the first of many trainings."""
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
    """The result of a finished run; None where it is not finished.

    Raises:
        ConfigError: it was trained with another config.
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


def _train(one: Run, progress: Progress) -> str | None:
    """Train one run; one line where it has no result.

    `train` locks the folder. A process that comes in after its end and before the result is written
    finds a finished training, which gives the same result once more.
    """
    try:
        done = train.run(one.config, out=one.folder, resume=True, progress=progress).data
        result = {"key": one.key, "variant": one.variant, "seed": one.seed, **done}
        write_text(one.folder / RESULT, json.dumps(result, indent=2) + "\n")
    except FolderInUseError:
        return (
            f"{one.folder}: another process trains it; the same command later makes the whole table"
        )
    except RunError:
        raise  # every further run would meet it
    except Exception as error:
        LOG.debug("%s", one.folder, exc_info=True)
        return f"{one.name}: {failure_line(one.folder, error)}"
    return None


def _report(comparison: Comparison, runs: list[Run], folder: Path, failures: list[str]) -> Report:
    results: dict[str, dict[int, dict[str, Any]]] = {one.variant: {} for one in runs}
    for one in runs:
        result = _result(one)
        if result is not None:
            results[one.variant][one.seed] = result
    if not any(results.values()):
        raise nothing_usable(failures)
    baseline = comparison.baseline or runs[0].variant
    variants = compare_results(results, baseline)
    data: dict[str, Any] = {"baseline": baseline, "variants": variants, "failures": failures}
    with begun(), naming_the_rest((), failures):
        files = write_comparison(folder, data)
    data["files"] = {kind: str(path) for kind, path in files.items()}
    return Report(comparison_text(variants, baseline), data, 1 if failures else 0)
