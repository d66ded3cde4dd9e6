"""What all rasters of one run of ``geoseg predict`` share: made once, passed on, never changed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geoseg.inference.engine import Process
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.keys import pixel_settings
from geoseg.inference.options import PredictOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision
from geoseg.inference.slots import ThreadSlots
from geoseg.inference.stories import Slots
from geoseg.locks import WORK_FOLDER
from geoseg.models import Model, write_model


@dataclass(frozen=True, slots=True)
class PredictRun:
    """One model, one set of options, one output folder."""

    model: Model
    options: PredictOptions
    predictor: Predictor
    out: Path
    threads: int
    """Torch threads of each process that runs windows."""
    settings: dict[str, Any]
    """What decides the pixels of all rasters."""

    @classmethod
    def from_options(cls, model: Model, options: PredictOptions, out: Path) -> PredictRun:
        """The run of a model on this machine.

        Raises:
            ConfigError: this machine does not have the device or the precision.
        """
        device = choose_device(options.device)
        precision = choose_precision(options.precision, device)
        forward = ForwardOptions(
            str(device), precision, options.scales, options.flip, options.value_range
        )
        return cls(
            model=model,
            options=options,
            predictor=Predictor(model, forward, options.batch_size),
            out=out,
            threads=max(1, torch.get_num_threads() // max(1, options.workers)),
            settings=pixel_settings(model, forward, options.nodata),
        )

    @contextmanager
    def open_slots(self, on_window: Callable[[int], None], *, workers: bool) -> Iterator[Slots]:
        """The places where the tasks of this run are run.

        Args:
            on_window: called with the number of windows done.
            workers: start those that the options ask for; else all is done in this process.
        """
        if not (workers and self.options.workers):
            cores = torch.get_num_threads()
            process = Process(self.predictor, self.model.card.classes, cores, on_window)
            torch.set_num_threads(self.threads)  # also of parts of workers that are made anew here
            try:
                with ThreadSlots(process, cores) as slots:
                    yield slots
            finally:
                torch.set_num_threads(cores)
            return
        from geoseg.inference.cluster import ClusterSlots, RemoteRun, local_cluster

        with self._model_for_workers() as model, local_cluster(self.options.workers) as client:
            run = RemoteRun(
                uuid.uuid4().hex,
                model,
                self.predictor.options,
                self.options.batch_size,
                self.threads,
            )
            with ClusterSlots(client, run, on_window) as slots:
                yield slots

    @contextmanager
    def _model_for_workers(self) -> Iterator[Path]:
        """The file from which workers load the model.

        It holds the model as it is in memory, which may differ from the one it came from.
        """
        file = self.work / f"model-{self.settings['model'][:16]}.safetensors"
        write_model(self.model.net, self.model.card, file)
        try:
            yield file.absolute()
        finally:
            file.unlink(missing_ok=True)

    @property
    def work(self) -> Path:
        """The folder of unfinished parts."""
        return self.out / WORK_FOLDER
