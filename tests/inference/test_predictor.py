from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoseg.errors import ConfigError, DeviceError, ModelError
from geoseg.inference import predictor as predictor_module
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor, choose_device, choose_precision
from geoseg.models import Model, create_model
from tests.inference.forwards import probabilities_of

CPU = torch.device("cpu")


class SmallMemory(nn.Module):
    """A network for at most `most` images at once; more do not fit."""

    stride = 1

    def __init__(self, net: nn.Module, most: int) -> None:
        super().__init__()
        self.net, self.most = net, most
        self.batches: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            raise torch.cuda.OutOfMemoryError("stand-in")
        self.batches.append(len(x))
        result: Tensor = self.net(x)
        return result


def windows(count: int = 7, side: int = 16, dtype: str = "uint8") -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 255, (count, 3, side, side)).astype(dtype)
    return pixels, np.ones((count, side, side), np.bool_)


def normalized(model: Model, pixels: np.ndarray) -> Tensor:
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in (model.card.mean, model.card.std))
    return (torch.from_numpy(pixels.astype(np.float32)) - mean) / std


def test_a_batch_halves_until_it_fits_and_the_answer_is_the_same(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    pixels, valid = windows()
    alone = np.concatenate(
        [
            probabilities_of(Predictor(model, ForwardOptions()), pixels[i : i + 1], valid[:1])
            for i in range(7)
        ]
    )
    small = SmallMemory(model.net, most=3)
    predictor = Predictor(make_model(net=small), ForwardOptions(), batch=None)
    predictor.batch = 8
    np.testing.assert_allclose(probabilities_of(predictor, pixels, valid), alone, rtol=1e-5)
    assert small.batches == [2, 2, 2, 1]
    assert predictor.with_batch(None) is predictor, "what was found to fit stays found"
    assert predictor.forwards == 7


def test_a_batch_that_was_asked_for_is_not_changed(make_model: Callable[..., Model]) -> None:
    model = make_model()
    predictor = Predictor(make_model(net=SmallMemory(model.net, most=3)), ForwardOptions(), batch=4)
    with pytest.raises(
        ModelError,
        match=r"4 windows of 16 px do not fit into the GPU's memory; use a smaller --batch",
    ):
        probabilities_of(predictor, *windows())


def test_one_window_that_does_not_fit_is_refused(make_model: Callable[..., Model]) -> None:
    predictor = Predictor(
        make_model(net=SmallMemory(nn.Identity(), most=0)), ForwardOptions(), batch=None
    )
    with pytest.raises(ModelError, match=r"1 windows of 16 px do not fit .* or --window"):
        probabilities_of(predictor, *windows())


def test_scales_and_flip_average_what_each_alone_gives(make_model: Callable[..., Model]) -> None:
    model = make_model()
    pixels, valid = windows(2)
    x = normalized(model, pixels)
    with torch.no_grad():
        runs = []
        for scale in (0.5, 1.0, 1.6):
            side = round(16 * scale)
            scaled = F.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
            for mirror in (False, True):
                seen = model.net(scaled.flip(3) if mirror else scaled).softmax(1)
                seen = seen.flip(3) if mirror else seen
                runs.append(
                    F.interpolate(seen, size=(16, 16), mode="bilinear", align_corners=False)
                )
    found = probabilities_of(
        Predictor(model, ForwardOptions(scales=(0.5, 1.0, 1.6), flip=True)), pixels, valid
    )
    np.testing.assert_allclose(found, torch.stack(runs).mean(0).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)


def test_scaled_windows_are_multiples_of_the_output_stride(
    make_model: Callable[..., Model],
) -> None:
    sizes: list[tuple[int, ...]] = []

    class Strided(nn.Module):
        stride = 8

        def forward(self, x: Tensor) -> Tensor:
            sizes.append(tuple(x.shape[2:]))
            return x

    probabilities_of(
        Predictor(make_model(net=Strided()), ForwardOptions(scales=(0.1, 0.7, 1.0, 1.3))),
        *windows(1, side=48),
    )
    assert sizes == [(8, 8), (32, 32), (48, 48), (64, 64)]


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_every_dtype_gives_the_same_answer(make_model: Callable[..., Model], dtype: str) -> None:
    model = make_model()
    expected = probabilities_of(Predictor(model, ForwardOptions()), *windows())
    np.testing.assert_array_equal(
        probabilities_of(Predictor(model, ForwardOptions()), *windows(dtype=dtype)), expected
    )


def test_a_source_range_is_mapped_to_the_cards_and_clipped(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    pixels, valid = windows()
    stretched = pixels.astype(np.int32) * 20 + 1000  # 0..255 as 1000..6100
    stretched[0, :, 0, 0] = 9000
    pixels[0, :, 0, 0] = 255
    found = probabilities_of(
        Predictor(model, ForwardOptions(source_range=(1000.0, 6100.0))), stretched, valid
    )
    np.testing.assert_allclose(
        found, probabilities_of(Predictor(model, ForwardOptions()), pixels, valid), atol=1e-5
    )


def test_invalid_pixels_look_like_the_mean_whatever_they_hold(
    make_model: Callable[..., Model],
) -> None:
    model = make_model()
    pixels, valid = windows(1, dtype="float32")
    valid[0, :4] = False
    filled = pixels.copy()
    filled[0, :, :4] = 127.5  # the card's mean
    pixels[0, :, :4] = np.nan
    found = probabilities_of(Predictor(model, ForwardOptions()), pixels, valid)
    np.testing.assert_allclose(
        found, probabilities_of(Predictor(model, ForwardOptions()), filled, valid), atol=1e-6
    )


def test_bf16_keeps_probabilities_in_float32_and_near_those_of_fp32(
    make_model: Callable[..., Model],
) -> None:
    torch.manual_seed(0)
    net = create_model("fcn", encoder="tu-test_resnet", classes=3, output_stride=8, channels=16)
    model = make_model(classes=3, net=net)
    pixels, valid = windows(1, side=64)
    exact = probabilities_of(Predictor(model, ForwardOptions()), pixels, valid)
    found = probabilities_of(Predictor(model, ForwardOptions(precision="bf16")), pixels, valid)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-6)
    assert 0.0 < np.abs(found - exact).max() < 0.02, "computed in bf16, and near"


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ("avx2", "fp32"),
        ("avx512", "fp32"),
        ("avx512_bf16", "bf16"),
        ("amx_bf16", "bf16"),
        ("bf16", "bf16"),
    ],
)
def test_auto_takes_bf16_where_the_processor_has_the_instructions(
    monkeypatch: pytest.MonkeyPatch, capability: str, expected: str
) -> None:
    monkeypatch.setattr(predictor_module.torch.cpu, "get_capabilities", lambda: {capability: True})
    assert choose_precision("auto", CPU) == expected


def test_precisions_and_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"precision fp16 is for GPUs; on a CPU use bf16, fp32 or auto"
    ):
        choose_precision("fp16", CPU)
    with pytest.raises(
        ConfigError, match=r"precision 'half' is unknown; use auto, fp32, bf16 or fp16"
    ):
        choose_precision("half", CPU)
    with pytest.raises(
        ConfigError, match=r"device 'gpu' is unknown; use auto, cpu, cuda or cuda:N"
    ):
        choose_device("gpu")
    with pytest.raises(ConfigError, match=r"device 'mps' is unknown"):
        choose_device("mps")
    with pytest.raises(
        ConfigError, match=r"device 'cuda:99' is not there: \d+ CUDA devices found; use cpu"
    ):
        choose_device("cuda:99")


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_auto_takes_bf16_on_gpus_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_precision("auto", torch.device("cuda")) == expected


def test_a_precision_that_the_device_has_is_taken() -> None:
    assert [choose_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert choose_precision("fp16", torch.device("cuda")) == "fp16"


def test_devices_count_from_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("cpu") == CPU
    assert [str(choose_device(name)) for name in ("cuda", "cuda:0")] == ["cuda", "cuda:0"]
    with pytest.raises(ConfigError, match="device 'cuda:1' is not there: 1 CUDA devices found"):
        choose_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU


def test_another_batch_is_another_predictor(make_model: Callable[..., Model]) -> None:
    fixed, free = (Predictor(make_model(), ForwardOptions(), batch) for batch in (4, None))
    assert free.batch == 1
    assert fixed.with_batch(4) is fixed
    assert fixed.with_batch(3).batch == 3
    assert fixed.with_batch(None).batch == 1
    assert free.with_batch(None) is free
    assert free.with_batch(1) is not free, "a batch that was asked for does not shrink"


def test_windows_and_their_time_add_up(make_model: Callable[..., Model]) -> None:
    predictor = Predictor(make_model(), ForwardOptions(flip=True), batch=3)
    probabilities_of(predictor, *windows(7))
    first = predictor.seconds
    probabilities_of(predictor, *windows(2))
    assert predictor.forwards == 9
    assert 0.0 < first < predictor.seconds < 60.0


def test_a_lost_device_is_a_fault_of_the_run(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(make_model(), ForwardOptions())

    def lost(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with ...")

    monkeypatch.setattr(predictor, "_run", lost)
    with pytest.raises(
        DeviceError, match=r"device cpu is lost \(CUDA error: .*\); run the command"
    ):
        probabilities_of(predictor, *windows(1))


def test_torch_gets_no_more_of_a_gpu_than_it_may_hold(
    make_model: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, torch.device]] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100, 8000))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda *share: asked.append(share)
    )
    monkeypatch.setattr(nn.Module, "to", lambda self, *_, **__: self)
    monkeypatch.setattr(predictor_module, "with_backend", lambda net, _: net)
    monkeypatch.setattr(predictor_module, "Stopwatch", lambda _: None)
    for limit in (2000, 9000, None):
        Predictor(make_model(), ForwardOptions("cuda:1"), gpu_memory=limit)
    Predictor(make_model(), ForwardOptions(), gpu_memory=2000)
    assert asked == [(0.25, torch.device("cuda:1")), (1.0, torch.device("cuda:1"))]


def test_weights_that_nobody_else_needs_are_folded_where_they_are(
    make_model: Callable[..., Model],
) -> None:
    kept, given_up = (
        make_model(net=create_model("fcn", encoder="resnet18", classes=4).eval()) for _ in range(2)
    )
    given_up.net.load_state_dict(kept.net.state_dict())
    before = {name: x.clone() for name, x in kept.net.state_dict().items()}
    x = torch.randn(1, 3, 64, 64)
    one, other = (
        Predictor(model, ForwardOptions(), owned=owned).scores(x).values
        for model, owned in ((kept, False), (given_up, True))
    )
    assert torch.equal(one, other)
    assert all(torch.equal(x, before[name]) for name, x in kept.net.state_dict().items())
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in given_up.net.modules())
