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
from geoseg.models.cost import Cost, Partition, Table, _checkerboard, cost, count_macs, peak_bytes
from geoseg.models.paper_tables import TABLES

ATTENTION = 2 * 256 * (128 * 128) ** 2
"""Multiply-accumulates of self-attention's two products over a map of 128x128, keys and values of 256 channels."""
FIVE = ("hcnet", "ocrnet", "apcnet", "isnet", "ranet")

PAGE = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")


def documented(section: str, height: int) -> list[Any]:
    """System, height of the map and printed figures of each row of a section's table."""
    rows = re.findall(
        r"^\| `(\w+)` \| (.+) \|$", PAGE.split(f"\n{section}\n")[1].split("\n#")[0], re.MULTILINE
    )
    return [
        pytest.param(name, height, figures, marks=pytest.mark.slow if name == "ranet" else ())
        for name, figures in rows
    ]


DOCUMENTED = [*documented("## What the heads cost", 128), *documented("### HCNet, table 2", 64)]

ISNET_TABLE_2: list[tuple[str, dict[str, Any], str, str]] = [
    ("aspp", {}, "42.21", "674.47"),
    ("ppm", {}, "23.07", "309.45"),
    ("ccnet", {}, "23.92", "397.38"),
    ("ocrnet", {"classes": 150}, "14.82", "237.45"),
    ("danet", {}, "23.92", "392.02"),
    ("ann", {}, "20.32", "335.24"),
    ("dnl", {}, "24.12", "395.25"),
    ("apcnet", {}, "30.46", "413.12"),
    ("isnet", {"semantic": False}, "10.36", "169.77"),
    ("isnet", {"image": "none"}, "10.10", "165.47"),
    ("isnet", {}, "11.02", "180.60"),
]
N = 128 * 128
ISNET_PRODUCTS: dict[str, int] = {
    "ccnet": 2 * N * (128 + 128) * (64 + 512),
    "ocrnet": N * 150 * (512 + 2 * 256),
    "danet": N * N * (64 + 512) + 2 * 512 * 512 * N,
    "ann": 2 * N * (1 + 9 + 36 + 64) * 2 * 256,
    "dnl": ATTENTION,
    "apcnet": N * (1 + 4 + 9 + 36) * 512,
}
"""Multiply-accumulates of the authors' matrix products, which their tool does not see; of ISNet: one attention each."""
OCR_TABLE_4: list[tuple[str, dict[str, Any], str, str]] = [
    ("ppm", {}, "23.1", "619"),
    ("aspp", {}, "15.5", "492"),
    ("self_attention", {}, "10.5", "619"),
    ("ocrnet", {"classes": 150}, "10.5", "340"),
]
RANET_TABLE_3 = [
    ("Asymmetric NL", "ann"),
    ("CCNet", "ccnet"),
    ("DANet", "danet"),
    ("PSANet", "psanet"),
    pytest.param("RANet", "ranet", marks=pytest.mark.slow),
]


def figures_of(counted: Cost) -> str:
    """As the page prints them."""
    conv, products, peak = (
        counted.conv_macs / 1e9,
        counted.matmul_macs / 1e9,
        counted.peak_bytes / 2**20,
    )
    return f"{counted.params / 1e6:.2f} M | {conv:.1f} | {products:.2f} | {peak:.0f}"


@pytest.mark.parametrize(("system", "height", "figures"), DOCUMENTED)
def test_page_prints_what_is_counted(system: str, height: int, figures: str) -> None:
    assert figures == figures_of(cost(system, (1, 2048, height, 128)))


def test_page_has_a_row_of_each_head_with_an_encoder() -> None:
    rows = [row.values[0] for row in documented("## What the heads cost", 128)]
    assert sorted(rows) == sorted(name for name in HEADS if HEADS[name].stages)


@pytest.mark.parametrize(("system", "options", "params", "flops"), ISNET_TABLE_2)
def test_isnets_table_2_comes_out_to_its_last_digit(
    system: str, options: dict[str, Any], params: str, flops: str
) -> None:
    counted = cost(system, as_in="isnet_table2", **options)
    assert counted.paper_count is not None
    assert f"{counted.params / 1e6:.2f}" == params
    assert f"{counted.paper_count / 1e9:.2f}" == flops
    ours = (counted.conv_macs + counted.matmul_macs) / 1e9
    true = true_macs(system, options) / 1e9
    assert re.search(
        rf"^\| .+ \| {params}, {flops} \| {params}, {flops} \| {true:.1f} \| {ours:.1f} \|$",
        PAGE,
        re.MULTILINE,
    )


def true_macs(system: str, options: dict[str, Any]) -> int:
    """Of the authors' arrangement of a row of ISNet's table 2: convolutions where they ran, and matrix products."""
    classes = options.get("classes", 19)
    row = TABLES["isnet_table2"](N, 2048, classes)[system]
    switches = {
        **row.options,
        **{name: value for name, value in options.items() if name != "classes"},
    }
    with torch.device("meta"):
        head = HEADS[system]((1024, 2048)[-HEADS[system].stages :], classes, **switches)
        row.adjust(head)
    convolutions = [
        (name, part) for name, part in head.named_modules() if isinstance(part, nn.Conv2d)
    ]
    attentions = 2 - len(options) if system == "isnet" else 0
    products = ISNET_PRODUCTS.get(system, 0) + attentions * ATTENTION
    return products + sum(
        conv.weight.numel() * row._positions(name, N) for name, conv in convolutions
    )


@pytest.mark.parametrize(("system", "options", "params", "flops"), OCR_TABLE_4)
def test_ocrnets_table_4_comes_out_as_printed(
    system: str, options: dict[str, Any], params: str, flops: str
) -> None:
    counted = cost(system, as_in="ocr_table4", **options)
    assert counted.paper_count is not None
    assert f"{counted.params / 1e6:.1f}" == params
    assert f"{counted.paper_count / 1e9:.0f}" == flops
    assert f"| {params}, {flops} | {params}, {flops} | equal" in PAGE


@pytest.mark.parametrize(
    ("system", "table"), [(name, table) for table in TABLES for name in TABLES[table](1, 8, 3)]
)
def test_two_images_count_twice(system: str, table: Table) -> None:
    one, two = (cost(system, (images, 32, 6, 8), as_in=table) for images in (1, 2))
    assert one.paper_count is not None
    assert two.paper_count == 2 * one.paper_count
    assert two.params == one.params


@pytest.mark.parametrize(
    ("system", "params", "flops"),
    [("danet", "10.6", "1110"), ("ccnet", "10.6", "804"), ("double_attention", "10.2", "338")],
)
def test_ocrnets_other_rows_agree_in_flops_alone(system: str, params: str, flops: str) -> None:
    counted = cost(system, as_in="ocr_table4")
    assert counted.paper_count is not None
    assert f"{counted.paper_count / 1e9:.0f}" == flops
    assert f"| {params}, {flops} | {counted.params / 1e6:.1f}, {flops} | FLOPs equal" in PAGE


def test_page_says_what_ocrnet_counts_at_19_classes() -> None:
    counted = cost("ocrnet", as_in="ocr_table4").paper_count
    assert counted is not None
    assert f"(at 19: {counted / 1e9:.0f})" in PAGE


@pytest.mark.parametrize(("row", "system"), RANET_TABLE_3)
def test_page_has_our_figures_for_ranets_table_3(row: str, system: str) -> None:
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
    # The blocks of segments are laid out by their number alone, so this is the count of every partition.
    products = cost("hcnet").matmul_macs
    assert products <= 0.05 * ATTENTION
    assert f"{100 * products / ATTENTION:.1f} % of self-attention's products" in PAGE


def test_page_has_the_figures_that_hcnets_table_2_is_read_by() -> None:
    n = 64 * 128
    reduction, projections, attention = 9 * 2048 * 512 * n, 2 * 512 * 128 * n, (128 + 512) * n * n
    assert f"({(reduction + projections + attention) / 1e9:.2f} GMAC)" in PAGE
    assert f"is {reduction / 1e9:.2f} GMAC, more than the 71.63" in " ".join(PAGE.split())


def test_isnet_of_table_2_costs_at_most_320_giga_in_truth() -> None:
    counted = cost("isnet", as_in="isnet_table2")
    assert counted.conv_macs + counted.matmul_macs <= 320e9


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
    assert not _checkerboard(20, 40, None).any()


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


def test_every_row_of_a_table_is_a_head() -> None:
    for table in TABLES.values():
        assert set(table(1, 8, 3)) <= set(HEADS)


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
def test_what_is_no_feature_map_is_refused(shape: Any) -> None:
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
