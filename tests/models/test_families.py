"""Families of encoders under the five heads: built, trained for a step, and run on two sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from geoseg.models import Segmenter, create_model

HEADS = ("hcnet", "ocrnet", "apcnet", "isnet", "ranet")
FAMILIES: dict[str, tuple[int, ...]] = {
    "tu-convnext_atto": (8, 16, 32),
    "tu-convnextv2_atto": (8, 16, 32),
    "tu-vit_tiny_patch16_224": (8, 16),
    "tu-vit_small_patch14_dinov2": (7, 14),
    "tu-vit_small_patch16_dinov3": (8, 16),
    "tu-deit3_small_patch16_224": (8, 16),
    "tu-eva02_tiny_patch14_224": (7, 14),
    "tu-swin_tiny_patch4_window7_224": (8, 16, 32),
    "tu-swinv2_tiny_window8_256": (8, 16, 32),
    "tu-pvt_v2_b0": (8, 16, 32),
    "mit_b0": (8, 16, 32),
    "tu-fastvit_t8": (8, 16, 32),
    "tu-edgenext_xx_small": (8, 16, 32),
    "tu-mambaout_femto": (8, 16, 32),
    "tu-mobilenetv4_conv_small": (8, 16, 32),
    "densenet121": (8, 16, 32),
    "tu-hrnet_w18_small": (4,),
}
"""Encoders and their output strides: the table of ``docs/systems.md``."""
# A head for each, in turn; all five for the families that are new to most users.
CASES = [
    (encoder, stride, head)
    for row, (encoder, strides) in enumerate(FAMILIES.items())
    for place, stride in enumerate(strides)
    for head in (HEADS if place == 0 else (HEADS[(row + place) % len(HEADS)],))
]


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "stride", "head"), CASES)
def test_a_family_runs_under_a_head(encoder: str, stride: int, head: str) -> None:
    torch.manual_seed(0)
    net = create_model(head, encoder=encoder, output_stride=stride, classes=4)
    assert net.stride == stride
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    before = {name: each.detach().clone() for name, each in net.named_parameters()}
    loss = train_step(net, torch.randn(2, 3, 96, 96), optimizer)
    assert torch.isfinite(loss)
    changed = [n for n, each in net.named_parameters() if not torch.equal(each, before[n])]
    assert any(name.startswith("encoder.") for name in changed)
    assert any(name.startswith("head.") for name in changed)
    net.eval()
    with torch.no_grad():
        for size in ((1, 3, 100, 132), (1, 3, 64, 224)):
            logits = net(torch.randn(size))
            assert logits.shape == (1, 4, *size[2:])
            assert torch.isfinite(logits).all()


def train_step(net: Segmenter, x: torch.Tensor, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    target = torch.randint(0, 4, (len(x), *x.shape[2:]))
    loss = F.cross_entropy(net(x).logits, target)
    loss.backward()
    optimizer.step()
    return loss.detach()


def test_the_table_of_encoders_is_that_of_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "systems.md").read_text()
    for encoder, strides in FAMILIES.items():
        assert f"| `{encoder}` | {', '.join(map(str, strides))} |" in text
