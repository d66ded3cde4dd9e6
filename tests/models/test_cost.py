from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from geoseg.errors import ModelError
from geoseg.models import HEADS
from geoseg.models.cost import Cost, Partition, _checkerboard, cost, count_macs, peak_bytes

ATTENTION = 2 * 256 * (128 * 128) ** 2
"""Multiply-accumulates of self-attention over a map of 128x128, keys and values of 256 channels."""
FIVE = ("hcnet", "ocrnet", "apcnet", "isnet", "ranet")

PAGE = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")


def documented(section: str, height: int) -> list[Any]:
    """System, height of the map and printed numbers of each row of a section's table."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.+) \|$", PAGE.split(f"\n{section}\n")[1].split("\n#")[0], re.MULTILINE
    )
    return [
        pytest.param(name, height, numbers, marks=pytest.mark.slow if name == "ranet" else ())
        for name, numbers in rows
    ]


DOCUMENTED = [*documented("## What the heads cost", 128), *documented("### HCNet, table 2", 64)]

RANET_TABLE_3 = [
    ("Asymmetric NL", "ann"),
    ("CCNet", "ccnet"),
    ("DANet", "danet"),
    ("PSANet", "psanet"),
    pytest.param("RANet", "ranet", marks=pytest.mark.slow),
]


def numbers_of(counted: Cost) -> str:
    """As the page prints them."""
    conv, products, peak = (
        counted.conv_macs / 1e9,
        counted.matmul_macs / 1e9,
        counted.peak_bytes / 2**20,
    )
    return f"{counted.params / 1e6:.2f} M | {conv:.1f} | {products:.2f} | {peak:.0f}"


@pytest.mark.parametrize(("system", "height", "numbers"), DOCUMENTED)
def test_page_prints_what_is_counted(system: str, height: int, numbers: str) -> None:
    assert numbers == numbers_of(cost(system, (1, 2048, height, 128)))


def test_page_has_a_row_of_each_head_with_an_encoder() -> None:
    rows = [row.values[0] for row in documented("## What the heads cost", 128)]
    assert sorted(rows) == sorted(name for name in HEADS if HEADS[name].stages)


@pytest.mark.parametrize(("row", "system"), RANET_TABLE_3)
def test_page_has_our_numbers_for_ranets_table_3(row: str, system: str) -> None:
    counted = cost(system, (1, 2048, 97, 97))
    conv, products, peak = (
        counted.conv_macs / 1e9,
        counted.matmul_macs / 1e9,
        counted.peak_bytes / 2**20,
    )
    printed = f"{counted.params / 1e6:.2f}, {conv:.1f} + {products:.2f}, {peak:.0f}"
    assert re.search(rf"^\| {row} \| [\d, ]+ \| {re.escape(printed)} \|", PAGE, re.MULTILINE)


def test_hcnets_contexts_cost_a_twentieth_of_attention_between_all_pixels() -> None:
    assert cost("self_attention").matmul_macs == ATTENTION
    # The layout of segments depends on their number alone: this is the count of every partition.
    products = cost("hcnet").matmul_macs
    assert products <= 0.05 * ATTENTION
    assert f"{100 * products / ATTENTION:.1f} % of self-attention's products" in PAGE


def test_page_has_the_numbers_that_hcnets_table_2_is_compared_with() -> None:
    n = 64 * 128
    reduction, projections, attention = 9 * 2048 * 512 * n, 2 * 512 * 128 * n, (128 + 512) * n * n
    assert f"({(reduction + projections + attention) / 1e9:.2f} GMAC)" in PAGE
    assert f"is {reduction / 1e9:.2f} GMAC, more than the 71.63" in " ".join(PAGE.split())


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "ranet" else name for name in FIVE],
)
def test_no_system_needs_more_than_600_mebibytes(name: str) -> None:
    assert cost(name).peak_bytes <= 600 * 2**20


@pytest.mark.parametrize("labels", ["one region", "stripes", "random"])
def test_hcnets_count_is_that_of_a_real_run_on_any_partition(labels: str) -> None:
    torch.manual_seed(0)
    head = HEADS["hcnet"]((6,), 4, channels=8, prior_channels=4).eval()
    x = torch.randn(1, 6, 24, 20)
    prior = {
        "one region": torch.zeros(1, 4, 24, 20).index_fill(1, torch.tensor([2]), 9.0),
        "stripes": torch.eye(4)[torch.arange(20) % 4].T[None, :, None].expand(1, 4, 24, 20),
        "random": torch.randn(1, 4, 24, 20),
    }[labels]
    head.prior.forward = lambda _: prior
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        head([x])
    products = counter.get_flop_counts()["Global"][torch.ops.aten.bmm] // 2
    assert products == cost("hcnet", (1, 6, 24, 20), 4, channels=8, prior_channels=4).matmul_macs


class Fused(nn.Module):
    """Attention in one call."""

    def forward(self, tensors: list[Tensor]) -> Tensor:
        return F.scaled_dot_product_attention(*tensors)


class WrittenOut(nn.Module):
    """The same as two matrix products."""

    def forward(self, tensors: list[Tensor]) -> Tensor:
        query, key, value = tensors
        pairs = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return pairs.softmax(-1) @ value


@given(
    st.integers(1, 2),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(1, 9),
    *2 * [st.integers(1, 5)],
)
def test_attention_costs_what_its_two_products_cost(
    images: int, heads: int, queries: int, keys: int, width: int, channels: int
) -> None:
    sizes = (queries, width), (keys, width), (keys, channels)
    tensors = [torch.randn(images, heads, *size) for size in sizes]
    torch.testing.assert_close(Fused()(tensors), WrittenOut()(tensors))
    products = images * heads * queries * keys * (width + channels)
    assert count_macs(Fused(), tensors) == count_macs(WrittenOut(), tensors) == (0, products)


def test_memory_is_that_of_fused_attention() -> None:
    tensors = [torch.randn(1, 1, 500, 4) for _ in range(3)]
    assert peak_bytes(Fused(), tensors) <= 4 * 500 * (4 + 1)
    assert peak_bytes(WrittenOut(), tensors) >= 4 * 500 * 500


def test_a_part_that_is_left_out_is_not_counted() -> None:
    head = nn.Sequential(nn.Conv2d(2, 3, 1, bias=False), nn.Conv2d(3, 4, 1, bias=False))
    image = torch.zeros(1, 2, 5, 6)
    assert count_macs(head, image) == (5 * 6 * (2 * 3 + 3 * 4), 0)
    assert count_macs(head, image, ["1", "no such part"]) == (5 * 6 * 2 * 3, 0)


def test_counts_are_those_of_the_arithmetic() -> None:
    counted = cost("fcn", (2, 6, 5, 7), 3, channels=4)
    assert counted.params == 4 * 6 * 9 + 2 * 4 + 4 * 3 + 3
    assert counted.conv_macs == 2 * 35 * (4 * 6 * 9 + 4 * 3)
    assert counted.matmul_macs == 0
    assert counted.peak_bytes == 4 * 2 * 35 * (
        4 + 4
    )  # a convolution's output and its normalised copy
    assert counted.paper_count is None


def test_regions_are_squares_or_one() -> None:
    labels = _checkerboard(20, 40, 16)
    assert (labels[:, 1:] != labels[:, :-1]).any(0).nonzero().flatten().tolist() == [15, 31]
    assert (labels[1:] != labels[:-1]).any(1).nonzero().flatten().tolist() == [15]
    assert not _checkerboard(20, 40, 40).any()


@pytest.mark.parametrize("partition", ["uniform", "one"])
def test_ranet_on_a_sixteenth_of_the_map_needs_less_than_a_sixteenth(partition: Partition) -> None:
    counted = cost("ranet", (1, 2048, 32, 32), partition=partition)
    assert counted.peak_bytes <= 600 * 2**20 / 16
    assert counted.matmul_macs <= 0.05 * ATTENTION / 16


@pytest.mark.parametrize("system", ["hcnet", "apcnet", "isnet", "ccnet", "danet", "psanet"])
def test_fake_tensors_count_and_weigh_as_real_ones(system: str) -> None:
    torch.manual_seed(0)
    channels = (16, 32)[-HEADS[system].stages :]
    head = HEADS[system](channels, 5, channels=16).eval()
    features = [torch.randn(1, count, 13, 18) for count in channels]
    counted = cost(system, (1, 32, 13, 18), 5, channels=16)
    assert count_macs(head, features) == (counted.conv_macs, counted.matmul_macs)
    assert peak_bytes(head, features) == counted.peak_bytes


def test_nothing_is_computed() -> None:
    assert cost("self_attention", (1, 2048, 4096, 4096)).matmul_macs == 2 * 256 * 4096**4


def test_what_cannot_be_counted_is_refused_with_what_can() -> None:
    with pytest.raises(
        ModelError, match=r"'smp.unet' has no head whose cost could be counted; those that have are"
    ):
        cost("smp.unet")
    with pytest.raises(ModelError, match="isnet_table2 has no row of fcn; it has aspp, ppm"):
        cost("fcn", as_in="isnet_table2")
    with pytest.raises(
        ModelError, match="there is no table 'x'; give isnet_table2 or ocr_table4, or None"
    ):
        cost("fcn", as_in="x")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="there is no partition 'x'; give uniform or one"):
        cost("fcn", partition="x")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="fcn has no option 'chanels'"):
        cost("fcn", chanels=3)


@pytest.mark.parametrize(
    "shape", [(64, 8, 8), (1, 64, 0, 8), (1, 64, -1, 8), (0, 64, 8, 8), (1, 64.0, 8, 8), "8x8"]
)
def test_shapes_other_than_feature_maps_are_refused(shape: Any) -> None:
    with pytest.raises(
        ModelError, match=r"feature_shape=.*: give \(images, channels, height, width\)"
    ):
        cost("fcn", shape)


def test_a_map_that_has_no_half_and_classes_that_no_network_has_are_refused() -> None:
    with pytest.raises(ModelError, match=r"feature_shape=\(1, 1, 8, 8\): give 2 channels or more"):
        cost("ocrnet", (1, 1, 8, 8))
    for classes in (0, 255, 3.0):
        with pytest.raises(ModelError, match=f"classes={classes}: give 1 to 254"):
            cost("fcn", (1, 8, 4, 4), classes)  # type: ignore[arg-type]
