"""Other backends against torch itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from geoseg.errors import ConfigError, ModelError
from geoseg.inference.backends import with_backend
from geoseg.inference.forward_options import ForwardOptions
from geoseg.inference.predictor import Predictor
from geoseg.models import Model, create_model
from tests.inference.forwards import probabilities_of

pytestmark = pytest.mark.usefixtures("two_threads")


def windows(count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, side, side)).astype(np.uint8)
    return pixels, np.ones((count, side, side), np.bool_)


@pytest.fixture
def model(make_model: Callable[..., Model]) -> Model:
    torch.manual_seed(0)
    net = create_model("fcn", encoder="resnet18", classes=4, output_stride=32, channels=16)
    return make_model(net=net)


def test_openvino_gives_the_same_probabilities_in_any_batch_and_at_any_size(model: Model) -> None:
    pytest.importorskip("openvino")
    predictor = Predictor(model, ForwardOptions(backend="openvino"), batch=3)
    plain = Predictor(model, ForwardOptions(), batch=3)
    three, one = windows(3, 64), windows(1, 50)
    found = probabilities_of(predictor, *three)
    np.testing.assert_allclose(found, probabilities_of(plain, *three), atol=1e-5)
    alone = probabilities_of(predictor, three[0][2:], three[1][2:])
    np.testing.assert_array_equal(alone[0], found[2])
    np.testing.assert_allclose(
        probabilities_of(predictor, *one), probabilities_of(plain, *one), atol=1e-5
    )
    assert not np.array_equal(found[0], found[1]), "what one gave is not overwritten by the next"


def test_openvino_runs_in_half_precision_too(model: Model) -> None:
    pytest.importorskip("openvino")
    predictor = Predictor(model, ForwardOptions(backend="openvino", precision="bf16"))
    found = probabilities_of(predictor, *windows(1, 64))
    wanted = probabilities_of(Predictor(model, ForwardOptions()), *windows(1, 64))
    np.testing.assert_allclose(found, wanted, atol=0.1)


def test_what_openvino_cannot_convert_is_refused_in_a_line(make_model: Callable[..., Any]) -> None:
    pytest.importorskip("openvino")

    class Strange(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(np.zeros((1, 4, 9, 9))) if x.numpy().any() else "no tensor"

    run = with_backend(Strange(), ForwardOptions(backend="openvino"))
    with pytest.raises(ModelError, match=r"OpenVINO cannot run the network \(.*; use --backend t"):
        run(torch.zeros(1, 3, 9, 9))


@pytest.mark.slow
def test_a_compiled_network_gives_the_same_probabilities(model: Model) -> None:
    if not shutil.which("g++"):
        pytest.skip("no compiler")
    predictor = Predictor(model, ForwardOptions(backend="compile"), batch=1)
    expected = probabilities_of(Predictor(model, ForwardOptions()), *windows(1, 64))
    found = probabilities_of(predictor, *windows(1, 64))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_compile_asks_for_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="backend compile needs a C\\+\\+ compiler, and none is"):
        with_backend(torch.nn.Identity(), ForwardOptions(backend="compile"))
