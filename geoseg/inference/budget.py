"""How much memory a run may take, and the choice of what is in memory at once to stay below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from geoseg.errors import ConfigError
from geoseg.inference.agreement import LIMIT_SHARE
from geoseg.inference.choice import Choice
from geoseg.inference.duration import gains_by_files_begun, seconds_of
from geoseg.inference.merged_layer import plan_merged
from geoseg.inference.peak import device_peak_of, peak_of
from geoseg.inference.plan import RasterPlan
from geoseg.inference.probe import Probe
from geoseg.memory import FREE_SHARE, free_memory, held_memory, size_text

if TYPE_CHECKING:
    from geoseg.inference.run import PredictRun
    from geoseg.inference.survey import Survey

BLOCK_SHARE = 0.5
"""Of a GPU's memory: what the arrays of a block may take beside network and forward."""
_SPARE = 1.05
"""By which the least is given larger: the next run may hold a little more."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The most memory that a run may hold, of all its processes."""

    bytes: int
    given: bool = True
    """By the user; else it is a share of what is free."""
    workers: int = 0
    """Of a cluster: then it is what one of them may hold."""
    gpu: int | None = None
    """Bytes of a GPU that a process may hold; None: there is no GPU, or nobody knows."""

    @classmethod
    def of(cls, run: PredictRun) -> Budget:
        """What the user has given, or what a cluster's workers have, or a share of what is free."""
        gpu = run.gpu_memory
        if run.cluster is not None:
            return cls(run.cluster.memory, given=False, workers=run.processes, gpu=gpu)
        if run.options.max_memory is not None:
            return cls(run.options.max_memory, gpu=gpu)
        free = free_memory() + held_memory()
        return cls(int(FREE_SHARE * free), given=False, gpu=gpu)

    def holds_on_gpu(self, size: int) -> bool:
        """Whether blocks may hold so many bytes there: the rest is for the network's forwards."""
        return self.gpu is None or size <= BLOCK_SHARE * self.gpu

    def gpu_refusal(self, least: int) -> ConfigError:
        """Why a run cannot be on a GPU, and what to do.

        Args:
            least: bytes that blocks would take of it.
        """
        enough, have = size_text(least * _SPARE / BLOCK_SHARE), size_text(self.gpu or 0)
        return ConfigError(
            f"this run needs at least {enough} of a GPU's memory for each process and may take "
            f"{have}; give --max-gpu-memory {enough}, a smaller --window, or --device cpu"
        )

    @property
    def of_all(self) -> int:
        """Bytes of all processes together."""
        return self.bytes * max(1, self.workers)

    def share(self, peak: int) -> int:
        """What of the memory of all processes is to stay below `bytes`."""
        return peak // (self.workers + 1) if self.workers else peak

    def to_json(self, choice: Choice) -> dict[str, Any]:
        """For the report: bytes, and what was chosen to stay below."""
        return {"max_memory_bytes": self.of_all, "max_memory_given": self.given} | {
            "choice": asdict(choice)
        }

    def refusal(self, least: int, *, choosable: bool, alone: bool = False) -> ConfigError:
        """Why a run cannot be, and what to do.

        Args:
            least: bytes that would do.
            choosable: geoseg has chosen the blocks.
            alone: it could be without the worker processes that were asked for.
        """
        enough, have = size_text(least * _SPARE), size_text(self.bytes)
        other = "a smaller --window or --batch" if choosable else "--block auto, or a smaller one"
        if alone:
            other = "leave out --workers"
        if self.workers:
            limit = size_text(least * _SPARE / LIMIT_SHARE)
            return ConfigError(
                f"a worker needs at least {enough} of memory for this run and has {have}; start "
                f"workers with --memory-limit {limit}, or give {other}"
            )
        if self.given:
            what = f"--max-memory is {have}"
        else:
            what = f"{FREE_SHARE:.0%} of what is free is {have}"
        return ConfigError(
            f"this run needs at least {enough} of memory, and {what}; give --max-memory {enough}, "
            f"or {other}"
        )


class Fitted(NamedTuple):
    """A run that stays within its memory."""

    choice: Choice
    first: Choice
    """What would have been chosen with any memory."""
    surveys: list[Survey]
    """Cut into blocks as chosen."""
    plan: RasterPlan
    """Of all of them."""
    memory: int
    """Bytes that it will hold, by `peak_of`."""
    seconds: float
    """That it will take."""


def fit_memory(
    surveys: Sequence[Survey],
    run: PredictRun,
    probe: Probe,
    budget: Budget,
    merged: Sequence[Survey] = (),
) -> Fitted:
    """The first way to run that fits, of those that ever less memory; what is quickest goes first.

    Args:
        surveys: of rasters that have windows left.
        run: of them.
        probe: what a window takes.
        budget: bytes.
        merged: of all rasters whose polygons become one layer.

    Raises:
        ConfigError: none fits; the least that would do is named.
    """
    fitting: list[Fitted] = []
    peaks: list[int] = []
    on_gpu: list[int] = []
    most = run.processes
    if not run.cluster:  # each holds libraries and network; more of them need not be tried
        most = min(most, max(1, budget.bytes // max(1, probe.held_bytes)))
    fewest = most if run.cluster else min(most, 1)
    for workers in range(most, fewest - 1, -1):
        for fitted in _ways(surveys, run, probe, workers, merged):
            peaks.append(budget.share(fitted.memory))
            on_gpu.append(device_peak_of(fitted.plan, probe))
            if peaks[-1] <= budget.bytes and budget.holds_on_gpu(on_gpu[-1]):
                fitting.append(fitted)
                break
        if fitting and fitting[-1].choice.widest is None:
            break  # fewer workers would only be slower
    if not fitting and not budget.holds_on_gpu(min(on_gpu)):
        raise budget.gpu_refusal(min(on_gpu))
    if not fitting:
        with_none = [] if run.cluster or not most else _ways(surveys, run, probe, 0, merged)
        alone = any(fitted.memory <= budget.bytes for fitted in with_none)
        raise budget.refusal(min(peaks), choosable=run.options.block == "auto", alone=alone)
    return min(fitting, key=lambda each: each.seconds)


def _ways(
    surveys: Sequence[Survey],
    run: PredictRun,
    probe: Probe,
    workers: int,
    merged: Sequence[Survey],
) -> Iterator[Fitted]:
    """Ever less memory; each is cut only when it is asked for."""
    first = Choice(run.file_threads, workers)
    windows = sum(survey.forwards for survey in surveys)
    cleaning = run.options.cleaning
    surveys = [survey.cut(first, probe, run.options.block, windows) for survey in surveys]
    whole = RasterPlan.total([survey.plan(first, cleaning) for survey in surveys])
    first = replace(first, begun=gains_by_files_begun(whole, probe))
    widest = max(block.area.width for survey in surveys for block in survey.blocks)
    narrowest = widest
    if run.options.block == "auto":
        narrowest = min(widest, max(survey.job.grid.window for survey in surveys))
    planned, cut, total = first, surveys, whole
    for choice in first.tighter(widest, narrowest):
        if replace(choice, begun=planned.begun) != planned:  # when files begin changes no plan
            cut = [survey.cut(choice, probe, run.options.block, windows) for survey in surveys]
            total = RasterPlan.total([survey.plan(choice, cleaning) for survey in cut])
            planned = choice
        plan = plan_merged(total, merged, run.options) if merged else total
        memory = peak_of(plan, probe, choice, len(surveys))
        joined = run.cluster is not None
        seconds = seconds_of(plan, probe, choice, len(surveys), joined=joined)
        with_any_memory = replace(first, workers=run.processes)
        yield Fitted(choice, with_any_memory, cut, plan, memory, seconds)
