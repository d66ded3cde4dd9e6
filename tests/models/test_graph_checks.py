"""A traced network runs in mixed precision and on other devices as its module does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import geoseg
from geoseg.models.external_file import load_external_network, trace_module
from tests.models.test_external_file import FULL


class Island(nn.Module):
    """A convolution in any precision, and what follows in float32."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.second(x.float().square())


def foreign(module: nn.Module) -> bytes:
    """A program as torch writes it, for images of one size."""
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 32, 32),)), buffer)
    return buffer.getvalue()


@pytest.fixture(params=["of geoseg", "of another program"])
def content(request: pytest.FixtureRequest) -> bytes:
    module = Island().eval()
    if request.param == "of geoseg":
        return trace_module(module, bands=3, multiple=1, side=None)
    return foreign(module)


def test_in_mixed_precision_it_gives_what_the_module_gives(content: bytes) -> None:
    loaded, module = load_external_network("torch.export", content, "x.pt2"), Island().eval()
    image = torch.rand(1, 3, 32, 32)
    exact = module(image)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        wanted = module(image)
        assert not torch.equal(wanted, exact)
        assert torch.equal(loaded(image), wanted)


def test_it_is_bound_to_no_device(content: bytes) -> None:
    loaded = load_external_network("torch.export", content, "x.pt2").to("meta")
    assert loaded(torch.zeros(1, 3, 32, 32, device="meta")).shape == (1, 2, 32, 32)


def test_a_file_that_geoseg_writes_holds_no_check() -> None:
    program = io.BytesIO(trace_module(Island().eval(), bands=3, multiple=1, side=None))
    assert "_assert_tensor_metadata" not in str(torch.export.load(program).graph)


def test_a_file_of_a_network_with_types_of_its_own_is_predicted_in_bf16(tmp_path: Path) -> None:
    (tmp_path / "x.pt2").write_bytes(foreign(Island().eval()))
    (tmp_path / "card.yaml").write_text(FULL)
    model = geoseg.load_model(tmp_path / "x.pt2")
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8).numpy()
    options = {"window": 32, "overlap": 0}
    labels = [
        geoseg.predict_array(image, model, precision=precision, **options)[0]
        for precision in ("fp32", "bf16")
    ]
    assert (labels[0] == labels[1]).mean() > 0.9
