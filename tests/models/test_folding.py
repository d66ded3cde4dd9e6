"""Folded networks against the plain ones, in both memory layouts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from geoseg.models import Segmenter, create_model
from geoseg.models.folding import fold_batch_norms
from geoseg.models.spec import ModelSpec


def settled(net: Segmenter) -> Segmenter:
    """The network with statistics and weights of normalization that are no identity."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            for each, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 2.0),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.3, 0.3),
            ):
                with torch.no_grad():
                    each.uniform_(low, high, generator=generator)
    return net.eval()


def norms(net: nn.Module) -> int:
    return sum(isinstance(each, nn.modules.batchnorm._BatchNorm) for each in net.modules())


def largest_difference(net: Segmenter, folded: Segmenter, layout: torch.memory_format) -> float:
    """Of the logits, relative to the largest of them."""
    x = torch.randn(1, net.spec.in_channels, 72, 104, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        x = x.contiguous(memory_format=layout)
        expected = net.to(memory_format=layout)(x)
        found = folded.to(memory_format=layout)(x)
    return float((found - expected).abs().max() / expected.abs().max())


LAST, PLANES = torch.channels_last, torch.contiguous_format


@pytest.mark.parametrize(
    ("system", "encoder", "left", "layout"),  # a head norms a sum of convolutions
    [
        ("hcnet", "resnet18", 1, LAST),
        ("hcnet", "resnet18", 1, PLANES),
        ("fcn", "tu-tf_efficientnet_lite0", 0, LAST),  # dilated, depthwise, norms with activations
        ("smp.unet", "resnet18", 0, LAST),
        ("smp.unet", "resnet18", 0, PLANES),
        ("smp.linknet", "resnet18", 0, LAST),  # transposed convolutions
        ("fcn", "densenet121", 62, LAST),  # norms before convolutions
    ],
)
def test_a_folded_network_gives_the_same_logits(
    system: str, encoder: str, left: int, layout: torch.memory_format
) -> None:
    torch.manual_seed(0)
    net = settled(create_model(system, encoder=encoder, classes=4))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    folded = fold_batch_norms(net)
    assert (norms(folded), norms(net) > left) == (left, True)
    assert largest_difference(net, folded, layout) < 1e-5
    after = net.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


class Head(nn.Module):
    """Of each thing that must not be folded, one; and of what may, two."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.first, self.second = (
            nn.Conv2d(3, 3, 1),
            nn.BatchNorm2d(3),
            nn.BatchNorm2d(3),
        )
        self.seen, self.after_seen = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.early, self.changed, self.after_changed = (
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 3, 1, bias=False),
            nn.BatchNorm2d(3),
        )
        self.plain, self.after_plain = nn.Conv2d(3, 3, 1, bias=False), nn.SyncBatchNorm(3)
        self.turned, self.after_turned = nn.ConvTranspose2d(3, 4, 2, stride=2), nn.BatchNorm2d(4)
        self.groups, self.after_groups = nn.ConvTranspose2d(4, 4, 1, groups=2), nn.BatchNorm2d(4)
        self.loose = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        x = maps[0]
        x = self.first(self.shared(x)) + self.second(self.shared(x))
        seen = self.seen(x)
        x = self.after_seen(seen) + seen
        x = self.after_changed(self.changed(self.early(x)).sin())
        x = self.after_plain(self.plain(x))
        x = self.after_turned(self.turned(x))
        return self.loose(self.after_groups(self.groups(x))), {}


def test_what_is_shared_seen_elsewhere_or_changed_before_is_left_alone() -> None:
    spec = ModelSpec("pixel", None, None, 3, 4)
    net = settled(Segmenter(spec, None, Head(), 1, 1))
    folded = fold_batch_norms(net)
    kept = {
        name
        for name, module in folded.head.named_children()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }
    assert kept == {
        "first",
        "second",
        "after_seen",
        "early",
        "after_changed",
        "after_groups",
        "loose",
    }
    assert largest_difference(net, folded, torch.contiguous_format) < 1e-5
