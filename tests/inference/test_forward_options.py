"""How windows are run is refused where it makes no sense."""

from __future__ import annotations

import pytest

from geoseg.errors import ConfigError
from geoseg.inference import forward_options
from geoseg.inference.forward_options import (
    ForwardOptions,
    check_backend,
    check_device_name,
    check_precision,
)


def test_scales_and_ranges_without_sense_are_refused() -> None:
    for scales in ((), (0.0,), (1.0, 9.0)):
        with pytest.raises(
            ConfigError, match=r"scales .*: give one or more factors between 0.1 and 8"
        ):
            ForwardOptions(scales=scales)
    with pytest.raises(
        ConfigError, match=r"value range .*: the first value must be below the second"
    ):
        ForwardOptions(source_range=(255.0, 0.0))


def test_the_limits_of_scales_belong_to_them() -> None:
    assert ForwardOptions(scales=(0.1, 8.0)).scales == (0.1, 8.0)
    for scale in (0.09, 8.1):
        with pytest.raises(ConfigError, match="give one or more factors"):
            ForwardOptions(scales=(1.0, scale))
    with pytest.raises(ConfigError, match="the first value must be below the second"):
        ForwardOptions(source_range=(5.0, 5.0))
    assert ForwardOptions() == ForwardOptions("cpu", "fp32", (1.0,), False, None)


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_a_known_device_is_taken(name: str) -> None:
    assert check_device_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:x", "cuda:0 ", "cuda:all", "CPU", "mps"]
)
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"device {name!r} is unknown; use auto, cpu, cuda"):
        check_device_name(name)


def test_a_precision_is_one_of_four_names() -> None:
    names = ["auto", "fp32", "bf16", "fp16"]
    assert [check_precision(name) for name in names] == names
    with pytest.raises(ConfigError, match="precision 'half' is unknown; use auto, fp32, bf16"):
        check_precision("half")


def test_a_backend_that_is_unknown_or_not_installed_or_not_for_the_device_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="backend 'tensorrt' is unknown; use torch, openvino or"):
        check_backend("tensorrt")
    monkeypatch.setattr(forward_options, "find_spec", lambda name: None)
    assert [check_backend(name) for name in ("torch", "compile")] == ["torch", "compile"]
    said = r"backend openvino needs a package that is not installed; run pip install 'geoseg\[op"
    with pytest.raises(ConfigError, match=said):
        check_backend("openvino")
    monkeypatch.setattr(forward_options, "find_spec", lambda name: object())
    assert check_backend("openvino") == "openvino"
    with pytest.raises(ConfigError, match="backend openvino is for CPUs, the device is cuda:1"):
        ForwardOptions("cuda:1", backend="openvino")


def test_a_plan_says_that_other_backends_prepare_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forward_options, "find_spec", lambda _: True)
    assert ForwardOptions().lines == []
    for backend in ("openvino", "compile"):
        (line,) = ForwardOptions(backend=backend).lines
        assert line.startswith(f"      without the minutes that {backend} may take")
