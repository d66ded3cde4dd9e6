"""What no export can hold is refused with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import geoseg
from geoseg.errors import ModelError
from geoseg.export.traced import _for_any_size, trace


def test_ranet_is_refused_with_the_systems_to_use() -> None:
    net = geoseg.create_model("pixel", classes=2)
    net.spec = replace(net.spec, system="ranet")
    with pytest.raises(ModelError, match=r"ranet cannot be exported: .*export another system"):
        trace(net.eval())


def test_encoders_that_attend_in_windows_are_refused_with_another_one() -> None:
    net = geoseg.create_model("pixel", classes=2)
    net.spec = replace(net.spec, system="fcn", encoder="tu-swin_tiny_patch4_window7_224")
    with pytest.raises(ModelError, match=r"tu-swin_tiny.* cannot be exported: .*tu-convnext_tiny"):
        trace(net.eval())


def test_encoders_with_positions_of_one_size_are_refused_with_another_one() -> None:
    net = geoseg.create_model("pixel", classes=2)
    net.rope = type("RotaryEmbeddingDinoV3", (nn.Module,), {})()
    net.spec = replace(net.spec, system="fcn", encoder="tu-vit_small_patch16_dinov3")
    with pytest.raises(ModelError, match=r"dinov3 cannot be exported: .*patch14_dinov2"):
        trace(net.eval())


@pytest.mark.parametrize("multiple", [1, 14, 32])
def test_sides_are_of_whatever_multiple_a_network_takes(multiple: int) -> None:
    net = geoseg.create_model("pixel", classes=2).eval()
    net.multiple = multiple
    image = torch.rand(1, 3, 2 * multiple, 3 * multiple)
    found = trace(net).module()(image)
    torch.testing.assert_close(found, net(image).softmax(1))


def test_pools_of_other_libraries_are_replaced_by_the_same_for_any_size() -> None:
    net = geoseg.create_model("pixel", classes=2).eval()
    net.head.pools = nn.Sequential(nn.AdaptiveAvgPool2d(6), nn.AdaptiveAvgPool2d((3, 3)))
    six, three = _for_any_size(net).head.pools
    for pool, size in ((six, 6), (three, 3)):
        x = torch.rand(2, 3, 17, 23)
        assert type(pool) is not nn.AdaptiveAvgPool2d
        torch.testing.assert_close(pool(x), nn.functional.adaptive_avg_pool2d(x, size))
    assert type(net.head.pools[0]) is nn.AdaptiveAvgPool2d
