"""Rasters made by code, for every test that needs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# One thread a process: threads of two test processes on two processors spin while they wait for
# one another, which costs more than the sums of networks as small as the tests'. It is read when
# torch and numpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import rasterio
from hypothesis import settings
from rasterio.transform import Affine, from_origin

pytest_plugins = [
    "tests.fixtures.class_rasters",
    "tests.fixtures.tiles",
    "tests.fixtures.models",
    "tests.fixtures.server",
    "tests.fixtures.bucket",
    "tests.fixtures.ranges",
]

# Examples take as long as the machine's other work lets them.
# The gate draws the same examples each time; `make test-all` looks for new ones.
settings.register_profile("geoseg", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=100)
settings.load_profile("geoseg")

# Nothing is kept in the user's own cache folder.
os.environ["GEOSEG_CACHE"] = ""

UTM = "EPSG:32632"
GRID = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)


@pytest.fixture
def make_raster(tmp_path: Path) -> Callable[..., Path]:
    """A factory of small rasters: ``make_raster("a.tif", bands=3, dtype="uint8", ...)``."""

    def make(
        name: str = "scene.tif",
        *,
        data: np.ndarray | None = None,
        bands: int = 3,
        height: int = 64,
        width: int = 80,
        dtype: str = "uint8",
        seed: int = 0,
        crs: str | None = UTM,
        transform: Affine | None = GRID,
        **profile: Any,
    ) -> Path:
        if data is None:
            high = 255 if dtype == "uint8" else 1000
            data = (
                np.random.default_rng(seed).integers(1, high, (bands, height, width)).astype(dtype)
            )
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"driver": "GTiff", "crs": crs, **profile}
        if transform is not None:
            options["transform"] = transform
        with rasterio.open(
            path,
            "w",
            count=data.shape[0],
            height=data.shape[1],
            width=data.shape[2],
            dtype=data.dtype,
            **options,
        ) as file:
            file.write(data)
        return path

    return make


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads of torch, here and in the processes that a test starts."""
    import torch  # not every process of the suite needs it

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    yield
    torch.set_num_threads(before)


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings make no pictures, which take longer than a few steps."""
    monkeypatch.setattr("geoseg.training.loop._draw", lambda *_: None)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the rasters that are opened, to be read or written, as they come."""
    names: list[str] = []
    plain = rasterio.open

    def opening(path: Any, *arguments: Any, **options: Any) -> Any:
        names.append(Path(path).name)
        return plain(path, *arguments, **options)

    monkeypatch.setattr(rasterio, "open", opening)
    return names
