"""A raster's bands, whatever the blocks, batches and the validity of its pixels."""

import threading
import tracemalloc
import weakref

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from geoseg.errors import ModelError, SourceError
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from geoseg.inference.stream import predict_bands, stream_block
from geoseg.models import create_model
from geoseg.raster import Reader, open_raster
from geoseg.tiling import TileGrid
from tests.fixtures.models import context_network
from tests.inference.forwards import probabilities_of


def labels_of(model, source, grid, block, batch=1):
    predictor = Predictor(model, ForwardOptions(), batch)
    labels = np.full((source.height, source.width), 77, np.uint8)
    confidence = labels.copy()
    for piece in grid.blocks(block, classes=predictor.classes):
        for _, band in stream_block(piece, source, predictor):
            labels[band.area.slices()] = band.labels
            confidence[band.area.slices()] = band.confidence
    return labels, confidence, predictor.forwards


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 14).flatmap(
        lambda window: st.tuples(st.just(window), st.integers(0, window - 1))
    ),
    st.sampled_from(["blend", "crop"]),
    st.integers(4, 30),
    st.integers(0, 99),
)
def test_labels_do_not_depend_on_blocks_or_batches(
    make_raster, make_model, height, width, sizes, stitch, block, seed
):
    model = make_model(window=sizes[0], overlap=sizes[1])
    source = open_raster(make_raster(height=height, width=width, seed=seed))
    grid = TileGrid(height, width, *sizes, stitch)
    whole = labels_of(model, source, grid, "auto")
    cut = labels_of(model, source, grid, block, batch=4)
    np.testing.assert_array_equal(cut[0], whole[0])
    np.testing.assert_array_equal(cut[1], whole[1])
    assert whole[2] == len(grid)
    if stitch == "crop":
        assert cut[2] == len(grid)


@pytest.fixture(scope="module")
def hcnet():
    """A real HCNet, whose context depends on the window."""
    return context_network("hcnet", prior_channels=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(
    st.integers(20, 90),
    st.integers(20, 90),
    st.sampled_from([24, 33, 48]).flatmap(
        lambda window: st.tuples(st.just(window), st.integers(0, window // 2))
    ),
    st.sampled_from(["blend", "crop"]),
    st.integers(16, 60),
)
def test_labels_of_a_real_hcnet_do_not_depend_on_blocks_or_batches(
    make_raster, make_model, hcnet, height, width, sizes, stitch, block
):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = make_model(window=sizes[0], overlap=sizes[1], net=hcnet)
        source = open_raster(make_raster(height=height, width=width))
        grid = TileGrid(height, width, *sizes, stitch)
        whole, cut = (
            labels_of(model, source, grid, "auto"),
            labels_of(model, source, grid, block, batch=4),
        )
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(cut[0], whole[0])
    np.testing.assert_array_equal(cut[1], whole[1])


def test_windows_without_a_valid_pixel_are_not_run_and_the_others_do_not_change(
    make_raster, make_model
):
    data = np.random.default_rng(0).integers(1, 255, (3, 64, 64)).astype(np.uint8)
    model = make_model(window=16, overlap=4)
    full = labels_of(
        model, open_raster(make_raster("full.tif", data=data)), TileGrid(64, 64, 16, 4), "auto"
    )
    data[:, 30:, :] = 0
    source = open_raster(make_raster("half.tif", data=data, nodata=0))
    labels, confidence, forwards = labels_of(model, source, TileGrid(64, 64, 16, 4), "auto")
    assert (labels[30:] == 255).all()
    assert (confidence[30:] == 0).all()
    assert (labels[:30] < 4).all()
    # The first 12 rows are seen by windows that hold no invalid pixel.
    np.testing.assert_array_equal(labels[:12], full[0][:12])
    assert forwards == 3 * len(TileGrid(64, 64, 16, 4).col_starts)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("batch", [2, 3, 4])
def test_empty_windows_fall_out_of_their_batch_wherever_they_are_in_it(
    make_raster, make_model, batch
):
    data = np.random.default_rng(2).integers(1, 255, (3, 30, 100)).astype(np.uint8)
    data[:, :, 20:60] = 0  # two and more empty windows side by side, then valid ones again
    source, model = open_raster(make_raster(data=data, nodata=0)), make_model()
    one, many = (
        labels_of(model, source, TileGrid(30, 100, 16, 4), "auto", size) for size in (1, batch)
    )
    np.testing.assert_array_equal(many[0], one[0])
    np.testing.assert_array_equal(many[1], one[1])
    assert many[2] == one[2] < len(TileGrid(30, 100, 16, 4))


def test_dark_windows_are_scaled_as_bright_ones_are(make_raster, make_model):
    """Scaling each window by its own maximum would change what dark ground means, with seams."""
    data = np.random.default_rng(3).integers(0, 2, (3, 40, 40)).astype(np.uint8)
    data[:, :, 20:] *= 200
    net = create_model("pixel", classes=4, in_channels=3).eval()
    labels, _, _ = labels_of(
        make_model(net=net), open_raster(make_raster(data=data)), TileGrid(40, 40, 16, 4), "auto"
    )
    with torch.inference_mode():
        logits = net(torch.from_numpy((data.astype(np.float32) - 127.5) / 64.0)[None])
    np.testing.assert_array_equal(labels, logits.argmax(1)[0].numpy())


class HeldTensors(TorchDispatchMode):
    """The most bytes that tensors made in here have held at once."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.seen = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            storage = result.untyped_storage()
            if storage.data_ptr() not in self.seen:
                self.seen.add(storage.data_ptr())
                self.now += storage.nbytes()
                self.most = max(self.now, self.most)
                weakref.finalize(storage, self.freed, storage.data_ptr(), storage.nbytes())
        return result

    def freed(self, address, size):
        self.seen.discard(address)
        self.now -= size


def test_memory_does_not_grow_with_the_rasters_height(make_raster, make_model):
    peaks = []
    for height in (200, 1000):
        source, model = (
            open_raster(make_raster(f"{height}.tif", height=height, width=60)),
            make_model(overlap=0),
        )
        tracemalloc.start()
        with HeldTensors() as held:
            for _ in predict_bands(model, source):
                pass
        peaks.append((tracemalloc.get_traced_memory()[1], held.most))
        tracemalloc.stop()
    assert peaks[0][1] > 4 * 4 * 16 * 60, "the sums at least"
    for short, tall in zip(*peaks, strict=True):
        # not even one byte for each pixel more; sums alone would take 16
        assert tall - short < 800 * 60


def test_a_raster_without_a_valid_pixel_is_all_255(make_raster, make_model):
    source = open_raster(make_raster(data=np.zeros((3, 40, 30), np.uint8), nodata=0))
    labels, confidence, forwards = labels_of(make_model(), source, TileGrid(40, 30, 16, 4), "auto")
    assert (labels == 255).all()
    assert (confidence == 0).all()
    assert forwards == 0


@pytest.mark.parametrize("stitch", ["blend", "crop"])
@pytest.mark.parametrize("size", [(1, 9), (9, 1), (10, 12)])
def test_a_raster_smaller_than_the_window_is_given_as_it_is(make_raster, make_model, size, stitch):
    data = np.random.default_rng(1).integers(1, 255, (3, *size)).astype(np.uint8)
    model = make_model(window=16, overlap=4)
    seen = []
    model.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    (band,) = predict_bands(model, open_raster(make_raster(data=data)), stitch=stitch)
    with torch.inference_mode():
        logits = model.net(torch.from_numpy((data.astype(np.float32) - 127.5) / 64.0)[None])
    assert seen[0] == (1, 3, *size)
    np.testing.assert_array_equal(band.labels, logits.argmax(1)[0].numpy())


def test_only_the_windows_that_touch_wanted_bands_run(make_raster, make_model):
    model = make_model(window=16, overlap=4)
    source = open_raster(make_raster(height=100, width=40))
    grid = TileGrid(100, 40, 16, 4)
    (block,) = grid.blocks()
    everything = dict(stream_block(block, source, Predictor(model, ForwardOptions())))
    predictor = Predictor(model, ForwardOptions())
    some = dict(stream_block(block, source, predictor, wanted={2, 5}))
    assert sorted(some) == [2, 5]
    for lattice_row, band in some.items():
        np.testing.assert_array_equal(band.labels, everything[lattice_row].labels)
        np.testing.assert_array_equal(band.confidence, everything[lattice_row].confidence)
    assert predictor.forwards == 4 * len(grid.col_starts)


@pytest.mark.parametrize(
    "options", [{"flip": True}, {"scales": (0.5, 1.0, 2.0)}, {"scales": (0.75,), "flip": True}]
)
def test_augmented_probabilities_still_sum_to_one(make_model, options):
    predictor = Predictor(make_model(window=20, overlap=4), ForwardOptions(**options))
    pixels = np.random.default_rng(2).integers(0, 255, (2, 3, 20, 20)).astype(np.uint8)
    probabilities = probabilities_of(predictor, pixels, np.ones((2, 20, 20), bool))
    assert probabilities.shape == (2, 4, 20, 20)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-5)


def test_flip_averages_the_mirrored_run(make_model):
    model = make_model(window=12, overlap=4)
    pixels = np.random.default_rng(2).integers(0, 255, (1, 3, 12, 12)).astype(np.uint8)
    valid = np.ones((1, 12, 12), bool)
    once = probabilities_of(Predictor(model, ForwardOptions()), pixels, valid)
    turned = probabilities_of(Predictor(model, ForwardOptions()), pixels[..., ::-1], valid)
    both = probabilities_of(Predictor(model, ForwardOptions(flip=True)), pixels, valid)
    np.testing.assert_allclose(both, (once + turned[..., ::-1]) / 2, rtol=1e-6)


def test_source_ranges_are_mapped_onto_the_models(make_raster, make_model):
    data = np.random.default_rng(0).integers(1, 255, (3, 30, 30)).astype(np.uint8)
    model = make_model()
    (plain,) = predict_bands(
        model, open_raster(make_raster("a.tif", data=data)), window=30, overlap=0
    )
    stretched = make_raster("b.tif", data=(data.astype(np.uint16) * 257))
    (same,) = predict_bands(
        model, open_raster(stretched), window=30, overlap=0, source_range=(0, 65535)
    )
    np.testing.assert_array_equal(plain.labels, same.labels)


def test_a_network_that_gives_nan_is_named(make_raster, make_model):
    model = make_model()
    with torch.no_grad():
        model.net.own.fill_(float("nan"))
    with pytest.raises(
        ModelError, match="the network gives NaN; its weights or the card's mean and std are broken"
    ):
        list(predict_bands(model, open_raster(make_raster())))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from(["blend", "crop"]),
    st.integers(1, 7),
    st.integers(0, 2),
    st.sampled_from(["auto", 20]),
)
def test_batches_across_lattice_rows_and_bands_that_wait_change_nothing(
    make_raster, make_model, height, width, stitch, batch, ahead, block
):
    """As on a GPU; with a network that gives the same bits in any batch."""
    data = np.random.default_rng(5).integers(0, 3, (3, height, width)).astype(np.uint8)
    source, model = open_raster(make_raster(data=data, nodata=0)), make_model()
    grid = TileGrid(height, width, 16, 4, stitch)
    for piece in grid.blocks(block):
        expected = dict(stream_block(piece, source, Predictor(model, ForwardOptions())))
        predictor, passed = Predictor(model, ForwardOptions(), batch), []
        predictor.across, predictor.ahead = True, ahead
        found = list(stream_block(piece, source, predictor, on_window=passed.append))
        assert [row for row, _ in found] == list(expected)
        assert sum(passed) == len(piece.lattice_rows) * len(piece.lattice_cols)
        for row, band in found:
            assert band.area == expected[row].area
            np.testing.assert_array_equal(band.labels, expected[row].labels)
            np.testing.assert_allclose(band.confidence, expected[row].confidence, atol=1)


def test_the_batches_of_a_narrow_raster_are_full_where_they_may_cross_rows(make_raster, make_model):
    model, sizes = make_model(), []
    model.net.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    predictor = Predictor(model, ForwardOptions(), 5)
    predictor.across = True
    (block,) = TileGrid(64, 28, 16, 4).blocks()  # 5 lattice rows of 2 windows
    list(stream_block(block, open_raster(make_raster(height=64, width=28)), predictor))
    assert sizes == [5, 5]


def test_a_damaged_file_ends_the_stream_with_its_name(make_raster, make_model):
    path = make_raster(
        height=600, width=600, compress="deflate", tiled=True, blockxsize=128, blockysize=128
    )
    source = open_raster(path)
    with rasterio.open(path) as file:
        offset = int(file.get_tag_item("BLOCK_OFFSET_0_3", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * 4000)
    with pytest.raises(SourceError, match=r"scene\.tif"):
        list(predict_bands(make_model(window=128, overlap=16), source))


def test_an_interrupt_is_honoured_before_the_next_forward(make_raster, make_model):
    predictor = Predictor(make_model(), ForwardOptions())
    (block,) = TileGrid(64, 80, 16, 4).blocks()
    stream = stream_block(
        block, open_raster(make_raster()), predictor, stopped=lambda: predictor.forwards >= 3
    )
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert predictor.forwards == 3


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_every_window_is_reported_as_passed_also_the_empty_ones(make_raster, make_model, batch):
    data = np.random.default_rng(2).integers(1, 255, (3, 30, 100)).astype(np.uint8)
    data[:, :, 20:60] = 0
    (block,) = TileGrid(30, 100, 16, 4).blocks()
    predictor, passed = Predictor(make_model(), ForwardOptions(), batch), []
    source = open_raster(make_raster(data=data, nodata=0))
    list(stream_block(block, source, predictor, on_window=passed.append))
    assert sum(passed) == len(block.grid) > predictor.forwards
    assert min(passed) >= 1


def test_each_pixel_of_a_block_is_read_once(make_raster, make_model, monkeypatch):
    read, rows = Reader.read, []

    def noting(self, row, col, height, width):
        rows.extend(range(row, row + height))
        return read(self, row, col, height, width)

    monkeypatch.setattr(Reader, "read", noting)
    list(predict_bands(make_model(), open_raster(make_raster(height=100))))
    assert rows == list(range(100))


def test_a_network_that_gives_nan_is_named_with_the_place_and_the_values(make_raster, make_model):
    model = make_model(window=16, overlap=0)
    with torch.no_grad():
        model.net.own.fill_(float("nan"))
    data = np.zeros((3, 40, 30), np.uint8)
    data[:, 16:, 16:] = 200
    data[:, 20, 20] = 9
    source = open_raster(make_raster(data=data, nodata=0))
    said = r"scene\.tif: window at row 16, column 14, values 9 to 200: the network gives NaN"
    with pytest.raises(ModelError, match=said):
        list(predict_bands(model, source))


@pytest.mark.parametrize("value", [-9999, 1e30, float(np.finfo(np.float32).min)])
def test_values_that_nobody_can_have_measured_end_the_stream_with_what_helps(
    make_raster, make_model, value
):
    model = make_model(window=16, overlap=4)
    data = np.random.default_rng(0).uniform(0, 255, (3, 90, 40)).astype(np.float32)
    data[:, 70:72, 33] = value
    path = make_raster(data=data)
    said = r"scene\.tif: holds 2 values far beyond 0 to 255 in band 1 .* at row 70, column 33; .*"
    with pytest.raises(
        SourceError, match=f"{said} --nodata (\\S+); else --value-range 0,255 "
    ) as e:
        list(predict_bands(model, open_raster(path)))
    nodata = float(str(e.value).split("--nodata ")[1].split(";")[0])
    bands = predict_bands(model, open_raster(path, nodata=nodata))
    labels = np.concatenate([band.labels for band in bands])
    assert np.argwhere(labels == 255).tolist() == [[70, 33], [71, 33]]
    list(predict_bands(model, open_raster(path), source_range=(0, 255)))


@pytest.mark.parametrize(("height", "in_the_calling_thread"), [(64, True), (200, False)])
def test_a_block_of_one_strip_is_read_where_it_runs(
    make_raster, make_model, monkeypatch, height, in_the_calling_thread
):
    model = make_model(window=64, overlap=16)
    source = open_raster(make_raster(height=height, width=64))
    threads, read = set(), Reader.read

    def reading(*args, **kwargs):
        threads.add(threading.get_ident())
        return read(*args, **kwargs)

    monkeypatch.setattr(Reader, "read", reading)
    list(predict_bands(model, source))
    assert (threads == {threading.get_ident()}) == in_the_calling_thread
