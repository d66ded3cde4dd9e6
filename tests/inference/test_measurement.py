"""What is measured before a run, against networks and rasters whose answers are known."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from geoseg.errors import ModelError
from geoseg.inference import measurement as probing
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.measurement import probe_forward
from geoseg.inference.predictor import Predictor
from geoseg.inference.probe import Probe
from geoseg.models import Model
from geoseg.raster import Source, open_raster
from geoseg.tiling import Cells, TileGrid


def probe_of(predictor: Predictor, source: Source, window: int) -> Probe:
    return probe_forward(predictor, source, TileGrid(source.height, source.width, window, 0))


class SlowAtFirst(nn.Module):
    """A network whose first forward takes a while, as those do that still choose their kernels."""

    stride = 1

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.1 if self.shapes else 1.0)
        self.shapes.append(tuple(x.shape))
        return torch.zeros(len(x), 4, *x.shape[2:])


def test_the_time_is_a_windows_share_of_a_warm_forward(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    net = SlowAtFirst()
    predictor = Predictor(make_model(net=net), ForwardOptions(), batch=4)
    probe = probe_of(predictor, open_raster(make_raster()), 16)
    assert net.shapes == [(4, 3, 16, 16)] * len(net.shapes)
    assert len(net.shapes) >= 3
    assert 0.02 < probe.seconds < 0.2, "0.1 s for 4 windows, and some for a busy machine"
    assert probe.peak_bytes > 2**20


def test_a_run_of_few_windows_does_not_measure_for_longer_than_it_must(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    model, source = make_model(), open_raster(make_raster())
    grid = TileGrid(source.height, source.width, 16, 0)
    for forwards, least, most in ((90, 2, 2), (10**9, 4, 99)):
        predictor = Predictor(model, ForwardOptions())
        probe_forward(predictor, source, grid, forwards)
        assert least <= predictor.forwards <= most


def test_windows_are_measured_in_a_thread_that_ends_with_it(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    """What kernels keep for a thread goes with it."""
    ran: set[threading.Thread] = set()

    class Threaded(nn.Module):
        stride = 1

        def forward(self, x: Tensor) -> Tensor:
            ran.add(threading.current_thread())
            return x[:, [0, 1, 2, 0]]

    predictor = Predictor(make_model(net=Threaded()), ForwardOptions())
    probe_of(predictor, open_raster(make_raster()), 16)
    (thread,) = ran
    assert thread is not threading.main_thread()
    assert not thread.is_alive()


def test_a_network_that_gives_nan_is_refused(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    class Broken(nn.Module):
        stride = 1

        def forward(self, x: Tensor) -> Tensor:
            return x[:, [0, 1, 2, 0]] * float("nan")

    said = "the network gives NaN; its weights or the card's mean and std are broken"
    with pytest.raises(ModelError, match=said):
        probe_of(
            Predictor(make_model(net=Broken()), ForwardOptions()), open_raster(make_raster()), 16
        )


class Stripes(nn.Module):
    """A network that sees a class in each row of bright pixels, and another one elsewhere."""

    stride = 1

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], -x[:, :1], x[:, :1] - 99, x[:, :1] - 99], 1)


def test_the_probe_counts_the_regions_of_the_window_in_the_middle(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    data = np.full((3, 48, 48), 10, np.uint8)
    data[:, 16:32:2, 16:32] = 250
    predictor = Predictor(make_model(net=Stripes()), ForwardOptions(), batch=2)
    probe = probe_of(predictor, open_raster(make_raster(data=data)), 16)
    assert probe.regions_per_pixel == 16 / 256
    small = probe_of(predictor, open_raster(make_raster(data=data[:, 16:24, 16:20])), 16)
    assert small.regions_per_pixel == 8 / 32
    invalid = open_raster(make_raster(data=data, nodata=250), nodata=250)
    assert probe_of(predictor, invalid, 16).regions_per_pixel == 8 / 256


class SplitStripes(Stripes):
    """The same in two parts, the first of which says on how large cells it was run."""

    pitch = 4

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        self.seen.append(x.shape[-1])
        return {"features": x[:, :, :: self.pitch, :: self.pitch]}

    def decode(self, maps: dict[str, Tensor]) -> Tensor:
        return self(maps["features"].repeat_interleave(4, 2).repeat_interleave(4, 3))


@pytest.mark.parametrize(("cells", "seen"), [(Cells(32, 8), [48, 48]), (Cells(4, 2), [8, 8, 16])])
def test_the_window_is_cut_from_the_cell_unless_that_is_smaller(
    cells: Cells,
    seen: list[int],
    make_raster: Callable[..., Path],
    make_model: Callable[..., Model],
) -> None:
    data = np.full((3, 64, 64), 10, np.uint8)
    data[:, 24:40:8, 24:40] = 250
    net = SplitStripes()
    predictor = Predictor(make_model(net=net), ForwardOptions(), batch=2)
    grid = TileGrid(64, 64, 16, 0, cells=cells)
    probe = probe_forward(predictor, open_raster(make_raster(data=data)), grid)
    assert probe.regions_per_pixel == 4 / 256
    assert probe.map_bytes == 3 * 4 / 4**2
    assert net.seen == seen, "a fast cell is encoded twice, as the first time chooses kernels"


def test_a_cell_that_takes_long_is_encoded_once(
    make_raster: Callable[..., Path],
    make_model: Callable[..., Model],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probing, "_MOST_SECONDS", 0.0)
    net = SplitStripes()
    predictor = Predictor(make_model(net=net), ForwardOptions())
    source = open_raster(make_raster())
    grid = TileGrid(source.height, source.width, 16, 0, cells=Cells(16, 4))
    probe = probe_forward(predictor, source, grid)
    assert net.seen == [24]
    assert probe.cell_seconds > 0


def test_noise_has_more_regions_and_corners_and_deflates_worse_than_one_class(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    predictor = Predictor(make_model(net=Stripes()), ForwardOptions())
    noise = np.random.default_rng(0).choice([10, 250], (3, 256, 256)).astype(np.uint8)
    even = np.full((3, 256, 256), 10, np.uint8)
    fine, coarse = (
        probe_of(predictor, open_raster(make_raster(data=data)), 256) for data in (noise, even)
    )
    assert coarse.regions_per_pixel == 1 / 256**2
    assert coarse.corners_per_pixel == 4 / 256**2
    assert fine.corners_per_pixel > 4 * fine.regions_per_pixel > 0.1
    assert fine.deflate_seconds > 2 * coarse.deflate_seconds > 0


def test_slowness_is_how_much_longer_known_work_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.cumsum([0.0, 0.2, 0.0, 0.02, 0.0, 0.04, 0.0, 9.0]))
    monkeypatch.setattr(probing.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(probing, "polygonize_part", lambda *_: None)
    # A quarter of a second is over after three rounds; the first one does not count.
    assert probing._slowness() == pytest.approx(0.03 / 0.0065)


def test_processes_fit_as_often_as_their_threads_into_the_processors(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(make_model(net=Stripes()), ForwardOptions())
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for threads, at_once in ((1, 8), (3, 2), (8, 1), (16, 1)):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert predictor.at_once == at_once


def test_a_raster_that_cannot_be_read_in_its_middle_has_a_plan(
    make_raster: Callable[..., Path], make_model: Callable[..., Model]
) -> None:
    source = open_raster(make_raster())
    source.path.unlink()
    predictor = Predictor(make_model(net=Stripes()), ForwardOptions())
    assert probe_of(predictor, source, 16).regions_per_pixel == 0
