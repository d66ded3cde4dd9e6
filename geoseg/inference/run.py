"""What all rasters of one run of ``geoseg predict`` share: made once, passed on, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.keys import pixel_settings
from geoseg.inference.options import PredictOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision
from geoseg.locks import WORK_FOLDER
from geoseg.models import Model


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

    @property
    def work(self) -> Path:
        """The folder of unfinished parts."""
        return self.out / WORK_FOLDER
