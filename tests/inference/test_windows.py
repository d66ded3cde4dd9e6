"""Windows that share maps: the same bits whatever the blocks, and those of whole windows where
nothing is cut."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoseg.inference.choice import Choice
from geoseg.inference.duration import seconds_of
from geoseg.inference.encode_options import make_grid
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.measurement import probe_forward
from geoseg.inference.peak import peak_of
from geoseg.inference.plan import RasterPlan
from geoseg.inference.predictor import Predictor
from geoseg.inference.probe import Probe
from geoseg.inference.rows_left import cells_left
from geoseg.inference.stream import stream_block
from geoseg.models import create_model
from geoseg.models.sharing import Sharing
from geoseg.raster import Reader, open_raster
from geoseg.tiling import Cells, TileGrid
from tests.fixtures.models import context_network


class Shared(torch.nn.Module):
    """Maps of 4 x 4 means and their neighbours, and logits that depend on the whole window."""

    stride = pitch = multiple = 4

    def __init__(self, classes=4):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.own = torch.nn.Parameter(torch.randn(classes, 3, 3, 3, generator=generator))

    def encode(self, x):
        down, right = (-side % 4 for side in x.shape[2:])
        x = torch.nn.functional.pad(x, (0, right, 0, down), mode="replicate")
        pooled = torch.nn.functional.avg_pool2d(x, 4)
        return {"x": torch.nn.functional.conv2d(pooled, self.own, padding=1)}

    def decode(self, maps):
        outs = []
        for x in maps["x"].split(1):
            rows, cols = (torch.arange(side, dtype=x.dtype) for side in x.shape[2:])
            place = torch.sin(rows * 0.7)[:, None] + torch.cos(cols * 1.3)
            x = x - x.mean((2, 3), keepdim=True) + place
            outs.append(x.repeat_interleave(4, 2).repeat_interleave(4, 3))
        return torch.cat(outs)

    def forward(self, x):
        height, width = x.shape[2:]
        return torch.cat([self.decode(self.encode(each)) for each in x.split(1)])[
            :, :, :height, :width
        ]


def labels_of(model, source, grid, block="auto", batch=1, wanted=None):
    predictor = Predictor(model, ForwardOptions(), batch)
    labels = np.full((source.height, source.width), 77, np.uint8)
    confidence = labels.copy()
    for piece in grid.blocks(block, classes=predictor.classes):
        for _, band in stream_block(piece, source, predictor, wanted=wanted):
            labels[band.area.slices()] = band.labels
            confidence[band.area.slices()] = band.confidence
    return labels, confidence, predictor


def same(first, second):
    for one, other in zip(first[:2], second[:2], strict=True):
        np.testing.assert_array_equal(one, other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 5).flatmap(
        lambda window: st.tuples(st.just(4 * window), st.integers(0, window - 1).map((4).__mul__))
    ),
    st.sampled_from(["blend", "crop"]),
    st.integers(1, 7).map((4).__mul__),
    st.integers(0, 3).map((4).__mul__),
    st.integers(4, 40),
    st.integers(0, 99),
    st.booleans(),
)
def test_shared_labels_do_not_depend_on_blocks_or_batches(
    make_raster, make_model, height, width, sizes, stitch, cell, halo, block, seed, holes
):
    data = np.random.default_rng(seed).integers(1, 255, (3, height, width)).astype(np.uint8)
    if holes:
        data[:, height // 3 :, width // 4 : width // 2 + 1] = 0
    model = make_model(window=sizes[0], overlap=sizes[1], net=Shared())
    source = open_raster(make_raster(data=data, nodata=0))
    grid = TileGrid(height, width, *sizes, stitch, 4, Cells(cell, halo))
    whole = labels_of(model, source, grid)
    same(labels_of(model, source, grid, block, batch=4), whole)
    assert ((whole[0] == 255) == (data == 0).all(0)).all()
    assert whole[2].encodings <= len(Cells(cell, halo).covering(0, height)) * len(
        Cells(cell, halo).covering(0, width)
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 7).map((4).__mul__),
    st.sampled_from(["blend", "crop"]),
)
def test_with_a_halo_of_the_radius_cells_change_nothing(
    make_raster, make_model, height, width, cell, stitch
):
    """One cell over the whole raster gives what any cells do: the features are those of it."""
    model = make_model(net=Shared())
    source = open_raster(make_raster(height=height, width=width))
    one, many = (
        labels_of(model, source, TileGrid(height, width, 16, 8, stitch, 4, cells))
        for cells in (Cells(64, 0), Cells(cell, 4))
    )
    same(many, one)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(st.integers(1, 40), st.integers(1, 40))
def test_one_window_in_one_cell_has_the_bits_of_the_window_run_by_itself(
    make_raster, make_model, height, width
):
    model = make_model(net=Shared())
    source = open_raster(make_raster(height=height, width=width))
    alone = labels_of(model, source, TileGrid(height, width, 40, 8))
    same(labels_of(model, source, TileGrid(height, width, 40, 8, "blend", 4, Cells(40, 8))), alone)


@pytest.fixture(
    scope="module",
    params=[
        "hcnet",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ocrnet", "isnet", "ranet")),
    ],
)
def net(request):
    """A real network, whose context depends on the window."""
    return context_network(request.param)


def test_a_real_network_shares_with_the_same_bits_in_any_blocks_and_those_of_one_window(
    make_raster, make_model, net
):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = make_model(window=48, overlap=16, net=net)
        source = open_raster(make_raster(height=75, width=90))
        grid = TileGrid(75, 90, 48, 16, "blend", 8, Cells(64, 32))
        same(labels_of(model, source, grid, 40, batch=3), labels_of(model, source, grid))
        alone = TileGrid(75, 90, 96, 0)
        one = TileGrid(75, 90, 96, 0, "blend", 8, Cells(96, 0))
        same(labels_of(model, source, one), labels_of(model, source, alone))
    finally:
        torch.set_num_threads(before)


def test_each_cell_is_encoded_once_and_each_pixel_read_once(make_raster, make_model, monkeypatch):
    read, rows = Reader.read, []

    def noting(self, row, col, height, width):
        rows.extend(range(row, row + height))
        return read(self, row, col, height, width)

    monkeypatch.setattr(Reader, "read", noting)
    source = open_raster(make_raster(height=100, width=60))
    grid = TileGrid(100, 60, 16, 8, "blend", 4, Cells(20, 4))
    _, _, predictor = labels_of(make_model(net=Shared()), source, grid)
    assert predictor.encodings == 5 * 3
    assert predictor.forwards == len(grid)
    assert rows == list(range(100))


def test_only_the_cells_under_wanted_bands_are_encoded(make_raster, make_model):
    model, source = make_model(net=Shared()), open_raster(make_raster(height=200, width=40))
    grid = TileGrid(200, 40, 16, 8, "blend", 4, Cells(20, 4))
    everything = labels_of(model, source, grid)
    (block,) = grid.blocks()
    some = labels_of(model, source, grid, wanted={2, 20})
    for row in (2, 20):
        rows, cols = block.band(row).slices()
        np.testing.assert_array_equal(some[0][rows, cols], everything[0][rows, cols])
    assert 0 < some[2].encodings < everything[2].encodings / 2


def test_cells_without_a_valid_pixel_are_encoded_only_where_a_window_sees_them(
    make_raster, make_model
):
    data = np.random.default_rng(0).integers(1, 255, (3, 100, 100)).astype(np.uint8)
    data[:, 30:] = 0
    source = open_raster(make_raster(data=data, nodata=0))
    grid = TileGrid(100, 100, 16, 8, "blend", 4, Cells(20, 4))
    labels, _, predictor = labels_of(make_model(net=Shared()), source, grid)
    assert (labels[30:] == 255).all()
    assert (labels[:30] < 4).all()
    assert predictor.encodings == 2 * 5  # rows 0 to 39 are seen by windows that are run


@pytest.mark.parametrize("system", ["pixel", "fcn"])
def test_a_network_without_context_gives_a_pixel_what_the_whole_raster_gives_it(
    make_raster, make_model, system
):
    torch.manual_seed(0)
    options = {} if system == "pixel" else {"encoder": "resnet18", "channels": 8}
    net = create_model(system, classes=4, in_channels=3, **options).eval()
    source = open_raster(make_raster(height=150, width=170))
    halo = 0 if system == "pixel" else 64
    shared = Sharing(Cells(64, halo), net.stride, contextual=False)
    grid = make_grid(150, 170, 16, 4, "blend", shared)
    cut = labels_of(make_model(net=net), source, grid, batch=4)
    whole = labels_of(make_model(net=net), source, TileGrid(150, 170, 170, 0))
    assert (cut[0] == whole[0]).mean() > (0.99 if halo else 0.9999)
    if system == "pixel":
        same(cut, whole)
        assert cut[2].forwards == 3 * 3


def test_the_plan_counts_the_cells_that_are_encoded_and_the_maps_that_are_held(
    make_raster, make_model
):
    model, source = make_model(net=Shared()), open_raster(make_raster(height=200, width=90))
    grid = TileGrid(200, 90, 16, 8, "blend", 4, Cells(20, 4))
    blocks = grid.blocks(50)
    everything = [tuple(block.band_rows) for block in blocks]
    encoded = [
        labels_of(model, source, grid, 50, wanted=wanted)[2].encodings
        for wanted in (None, {3, 4, 20})
    ]
    cells = [cells_left(*each) for each in zip(blocks, everything, strict=True)]
    assert sum(count for count, _ in cells) == encoded[0]
    assert cells[0] == (4 * 4, (24 + 28 + 28 + 28) ** 2), "cells 0 to 3, each with its halo"
    some = [[row for row in rows if row in {3, 4, 20}] for rows in everything]
    assert sum(cells_left(*each)[0] for each in zip(blocks, some, strict=True)) == encoded[1]
    plan = RasterPlan.from_blocks(blocks, source, 4, False, forwards=1, cells=cells)
    assert plan.cells == encoded[0]
    assert plan.encoded == sum(seen for _, seen in cells)
    less, more = (peak_of(plan, Probe(0.5, 0, map_bytes=each), Choice()) for each in (1e6, 2e6))
    assert (
        more - less == 1e6 * (16 + 20) * 64
    )  # a window's height and a cell's, and all columns seen
    alone, encoded_too = (
        seconds_of(plan, Probe(0.5, 0, cell_seconds=each), Choice()) for each in (0.0, 2.0)
    )
    assert encoded_too - alone == pytest.approx(2.0 * encoded[0])


def test_the_probe_measures_a_cell_and_the_bytes_of_its_maps(make_raster, make_model):
    source = open_raster(make_raster(height=200, width=90))
    predictor = Predictor(make_model(net=Shared()), ForwardOptions())
    shared = probe_forward(predictor, source, TileGrid(200, 90, 16, 8, "blend", 4, Cells(20, 4)))
    assert shared.map_bytes == 4 * 4 / 4**2  # float32 of 4 channels, each 4 px
    assert shared.cell_seconds > 0 < shared.seconds
    alone = probe_forward(predictor, source, TileGrid(200, 90, 16, 8))
    assert (alone.map_bytes, alone.cell_seconds) == (0, 0)
