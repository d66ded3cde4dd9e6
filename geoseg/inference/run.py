"""What all rasters of one run of ``geoseg predict`` share: made once, passed on, never changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch

from geoseg.foreign import remote_allowed
from geoseg.inference import engine
from geoseg.inference.agreement import Agreement, Cluster, agree
from geoseg.inference.choice import Choice
from geoseg.inference.engine import Process
from geoseg.inference.fork_server import START_METHOD
from geoseg.inference.forward_options import ALL_GPUS, ForwardOptions, Precision
from geoseg.inference.gpus import facts_of_gpus, visible_gpus, workers_on
from geoseg.inference.keys import pixel_settings
from geoseg.inference.measurement import probe_forward
from geoseg.inference.model_for_workers import model_for_workers
from geoseg.inference.openmp import let_others_sleep
from geoseg.inference.options import PredictOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision
from geoseg.inference.probe import Probe, peak_memory
from geoseg.inference.rates import KeptRate, facts_of_rate
from geoseg.inference.run_facts import RunFacts
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import Slots, Stage, Story, Task, tell_stories
from geoseg.inference.zones import Zones, shared_zones
from geoseg.locks import WORK_FOLDER
from geoseg.memory import held_memory
from geoseg.models import Model
from geoseg.places import AnyPath
from geoseg.raster import Source
from geoseg.tiling import TileGrid

GPU_SHARE = 0.9
"""Of a GPU's free memory, what a run takes that is told nothing."""


@dataclass(frozen=True)
class PredictRun:
    """One model, one set of options, one output folder."""

    model: Model
    options: PredictOptions
    forward: ForwardOptions
    out: AnyPath
    threads: int
    """Torch threads of each process that runs windows."""
    settings: dict[str, Any]
    """What decides the pixels of all rasters."""
    cluster: Cluster | None = None
    """Workers that run already."""
    gpus: tuple[str, ...] = ()
    """That the worker processes share, as CUDA_VISIBLE_DEVICES names them; none: each sees all."""
    agreement: Agreement | None = None
    """Of the workers of the cluster, or of the GPUs."""
    owned: bool = False
    """Whether nobody else has the model, so that it may be changed."""
    choice: Choice | None = None
    """What is in memory at once, once it is planned."""
    zones: Zones | None = None
    """In which classes are measured, likewise."""

    @classmethod
    def from_options(
        cls,
        model: Model,
        options: PredictOptions,
        out: AnyPath,
        cluster: Cluster | None = None,
        *,
        owned: bool = False,
    ) -> PredictRun:
        """The run of a model on this machine, or on the workers of a cluster.

        Args:
            model: the network and its card.
            options: of the command.
            out: folder of the outputs.
            cluster: workers that run already.
            owned: nobody else has the model, so that it may be changed.

        Raises:
            ConfigError: this machine does not have the device or the precision, or its GPUs are not
                alike and may not be mixed.
        """
        gpus = visible_gpus() if options.device == ALL_GPUS else []
        options = replace(options, workers=workers_on(gpus, options.workers))
        threads = max(1, torch.get_num_threads() // max(1, options.workers))
        agreed = None if cluster is None else cluster.agreement
        if gpus:
            facts = facts_of_gpus(gpus, options.precision)
            agreed = agree(facts, mixed=options.mixed, threads=threads)
        if agreed is None:
            device = str(choose_device(options.device))
            precision = str(choose_precision(options.precision, torch.device(device)))
        else:
            device, precision, threads = agreed.device, agreed.precision, agreed.threads
        asked = (options.scales, options.flip, options.value_range, options.backend)
        forward = ForwardOptions(device, cast("Precision", precision), *asked)
        settings = pixel_settings(model, forward, options.nodata)
        return cls(
            *(model, options, forward, out, threads, settings),
            *(cluster, tuple(gpus), agreed, owned),
        )

    def planned(self, choice: Choice) -> PredictRun:
        """This run as it is planned; a predictor that has measured a window has no second one.

        Raises:
            ConfigError: zones cannot be used.
            OutputError: the folder for what tasks share cannot be written.
        """
        zones = shared_zones(self.options.zones, self.work)
        planned = replace(self, choice=choice, zones=zones)
        if "predictor" in vars(self):
            vars(planned)["predictor"] = self.predictor
        return planned

    @cached_property
    def predictor(self) -> Predictor:
        """The model on the device of this process."""
        limit = None if self.options.max_gpu_memory is None else self.gpu_memory
        owned = self.owned and not self.processes
        return Predictor(self.model, self.forward, self.options.batch_size, limit, owned=owned)

    @property
    def gpu_memory(self) -> int | None:
        """Bytes of a GPU that each process may hold; None where this process sees none.

        Processes on one GPU share what is given, or what is free.
        """
        given = self.options.max_gpu_memory
        device = torch.device(self.forward.device)
        if device.type != "cuda" or (given is None and (self.cluster is not None or self.gpus)):
            return None  # what is free on other machines, or other GPUs, nobody has asked
        if given is None:
            given = int(GPU_SHARE * torch.cuda.mem_get_info(device)[0])
        shared = 1 if self.cluster is not None else len(self.gpus) or 1
        return given // max(1, -(-self.processes // shared) if self.cluster is None else 1)

    @property
    def facts(self) -> RunFacts:
        """What the story of each raster needs to know."""
        precision = self.forward.precision
        return RunFacts(self.options, precision, self.choice, self.zones, self.processes)

    @property
    def processes(self) -> int:
        """Worker processes that run blocks; 0: none, but threads of this process."""
        return self.options.workers if self.cluster is None else self.cluster.processes

    @property
    def file_threads(self) -> int:
        """Threads of a process that make files."""
        return self.threads if self.processes else torch.get_num_threads()

    def probe(
        self, source: Source, grid: TileGrid, forwards: int, note: Callable[[str], None]
    ) -> Probe:
        """What one window of a raster takes, on a worker of a cluster or here.

        Here, a rate that an earlier run has measured does for a short run.

        Args:
            source: the raster.
            grid: its lattice.
            forwards: windows that are left to run.
            note: called with a line about rates that cannot be kept.

        Raises:
            ModelError: the network does not fit into memory or gives NaN.
        """
        if self.cluster is None:
            facts = facts_of_rate(self.settings, grid, self.options.batch, self.forward.device)
            kept = KeptRate(facts, note)
            probe = None if self.options.dry_run else kept.read(forwards)
            if probe is not None:  # this run may have read more before
                more = max(0, held_memory() - probe.held_bytes)
                probe = replace(
                    probe,
                    peak_bytes=max(peak_memory(), probe.peak_bytes + more),
                    held_bytes=probe.held_bytes + more,
                )
            else:
                probe = probe_forward(self.predictor, source, grid, forwards)
                kept.write(probe)
            return replace(probe, at_once=len(self.gpus)) if self.gpus else probe
        if self.options.dry_run:  # nothing is written, so workers have no model
            device = choose_device("auto")
            precision = choose_precision("auto", device)
            here = replace(self.forward, device=str(device), precision=precision)
            probe = probe_forward(
                Predictor(self.model, here, self.options.batch_size), source, grid
            )
        else:
            with self.open_slots(lambda _: None, workers=True) as slots:
                task = Task(engine.measure, (source, grid))
                probe = _result_of(task, slots)
        return replace(probe, at_once=self.processes)

    @property
    def begins_files(self) -> bool:
        """Whether files may be begun before the last part is there: by threads beside the network.

        A worker has no thread to spare for a task that waits.
        """
        choice = self.choice or Choice()
        return not self.processes and choice.beside and choice.begun

    @contextmanager
    def open_slots(
        self,
        on_window: Callable[[int], None],
        *,
        workers: bool,
        note: Callable[[str], None] = lambda _: None,
    ) -> Iterator[Slots]:
        """The places where the tasks of this run are run.

        Args:
            on_window: called with the number of windows done.
            workers: use those that the options ask for; else all is done in this process.
            note: called with lines about workers.
        """
        choice = self.choice or Choice(self.file_threads, self.processes)
        if self.cluster is None and not (workers and self.options.workers):
            cores = torch.get_num_threads()
            process = Process(self.predictor, self.model.card.classes, choice.threads, on_window)
            torch.set_num_threads(self.threads)  # also of parts of workers that are made anew here
            let_others_sleep()
            try:
                with ThreadSlots(process, choice.threads, beside=choice.beside) as slots:
                    yield slots
            finally:
                torch.set_num_threads(cores)
            return
        from geoseg.inference.cluster import local_cluster
        from geoseg.inference.cluster_slots import ClusterSlots
        from geoseg.inference.worker import RemoteRun

        with ExitStack() as stack:
            file = self.work / f"model-{self.settings['model'][:16]}.safetensors"
            await_model = stack.enter_context(model_for_workers(self.model, file))
            run = RemoteRun(
                uuid.uuid4().hex,
                file.absolute(),
                self.forward,
                self.options.batch_size,
                self.threads,
                choice.threads,
                gpu_memory=None if self.options.max_gpu_memory is None else self.gpu_memory,
                kinds=self._kinds,
                allow_remote=remote_allowed(),
            )
            if self.cluster is None:
                start = START_METHOD if self.forward.device == "cpu" else "spawn"  # CUDA needs it
                cluster = local_cluster(choice.workers, self.gpus, start)
                client = stack.enter_context(cluster)
            else:
                client = self.cluster.client
                run = replace(run, name=self.cluster.name, on_gpus=self.cluster.on_gpus)
            await_model()
            yield stack.enter_context(ClusterSlots(client, run, on_window, note))

    @property
    def _kinds(self) -> tuple[str, ...]:
        """Of the workers that may run blocks; none: of any kind."""
        kinds = self.agreement.kinds if self.agreement else ()
        return kinds if len(kinds) == 1 else ()

    @property
    def work(self) -> AnyPath:
        """The folder of unfinished parts."""
        return self.out / WORK_FOLDER


def _result_of(task: Task, slots: Slots) -> Any:
    """Of one task for the network; the slots are looked after meanwhile, as workers may freeze."""
    results: list[Any] = []

    def story() -> Story:
        results.extend((yield Stage("forward", [task])))

    tell_stories([story()], slots)
    return results[0]
