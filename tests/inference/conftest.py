"""A network whose answer depends on where its window lies, and the models made from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from geoseg.classes import ClassScheme
from geoseg.inference.options import PredictOptions
from geoseg.inference.run import PredictRun
from geoseg.inference.survey import RasterJob
from geoseg.models import Card, Model, ModelSpec
from geoseg.raster import SeenSource, open_raster


class WindowSensitive(nn.Module):
    """Logits from a pixel, its place in the window and the window's mean."""

    stride = 1

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.own = nn.Parameter(torch.randn(classes, bands, generator=generator))
        self.context = nn.Parameter(torch.randn(classes, bands, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.arange(x.shape[2], dtype=x.dtype)[:, None]
        cols = torch.arange(x.shape[3], dtype=x.dtype)[None, :]
        place = torch.sin(rows * 0.7) + torch.cos(cols * 1.3)
        own = (self.own[None, :, :, None, None] * x[:, None]).sum(2)
        context = (self.context[None] * x.mean((2, 3))[:, None]).sum(2)
        return (
            own
            + context[:, :, None, None]
            + place * torch.linspace(-1, 1, own.shape[1])[:, None, None]
        )


@pytest.fixture
def make_model() -> Callable[..., Model]:
    """A factory of window-sensitive models: ``make_model(bands=3, classes=4, window=16)``."""

    def make(
        *,
        bands: int = 3,
        classes: int = 4,
        window: int = 16,
        overlap: int = 4,
        net: nn.Module | None = None,
    ) -> Model:
        spec = ModelSpec("smp.pspnet", "resnet18", 8, bands, classes)  # its windows share nothing
        card = Card(
            spec=spec,
            classes=ClassScheme.from_names([f"class {index}" for index in range(classes)]),
            bands=tuple(f"band {index}" for index in range(bands)),
            value_range=(0.0, 255.0),
            mean=(127.5,) * bands,
            std=(64.0,) * bands,
            window=window,
            overlap=overlap,
        )
        return Model(
            net=(net or WindowSensitive(bands, classes)).eval(),
            card=card,
            digest=f"{window}-{overlap}",
            path=None,
        )

    return make


@pytest.fixture
def make_run(make_model: Callable[..., Model], tmp_path: Path) -> Callable[..., PredictRun]:
    """A factory of runs into ``tmp_path/out``: ``make_run(model=..., block=20, ...)``."""

    def make(model: Model | None = None, **options: Any) -> PredictRun:
        given = {"precision": "fp32", "device": "cpu", **options}
        chosen = PredictOptions.from_keywords(**given).for_inputs(1)
        return PredictRun.from_options(model or make_model(), chosen, tmp_path / "out")

    return make


@pytest.fixture
def make_job(make_raster: Callable[..., Path]) -> Callable[..., RasterJob]:
    """A factory of jobs on random rasters: ``make_job(run, "scene.tif", height=64, width=80)``."""

    def make(run: PredictRun, name: str = "scene.tif", **raster: Any) -> RasterJob:
        source = open_raster(make_raster(name, **raster))
        grid = run.options.grid(run.model.card, source)
        return RasterJob(source, run.out / Path(name).stem, grid, SeenSource.at(source.path))

    return make
