"""What no export can hold is refused with what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

import geoseg
from geoseg.errors import ModelError
from geoseg.export.traced import trace


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
