"""The rows of two papers come out as printed, which only their authors' way of counting gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from geoseg.models import HEADS
from geoseg.models.cost import Table, cost
from geoseg.models.paper_tables import TABLES, TableRow

PAGE = (Path(__file__).parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
ATTENTION = 2 * 256 * (128 * 128) ** 2
"""Multiply-accumulates of self-attention over a map of 128x128, keys and values of 256 channels."""
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
"""Multiply-accumulates of the authors' matrix products, which their tool does not see."""


OCR_TABLE_4: list[tuple[str, dict[str, Any], str, str]] = [
    ("ppm", {}, "23.1", "619"),
    ("aspp", {}, "15.5", "492"),
    ("self_attention", {}, "10.5", "619"),
    ("ocrnet", {"classes": 150}, "10.5", "340"),
]


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
    """All that the authors' arrangement of a row of ISNet's table 2 multiplies."""
    classes = options.get("classes", 19)
    row = TABLES["isnet_table2"](N, 2048, classes)[system]
    given = {name: value for name, value in options.items() if name != "classes"}
    with torch.device("meta"):
        head = HEADS[system](
            (1024, 2048)[-HEADS[system].stages :], classes, **{**row.options, **given}
        )
        row.adjust(head)
    convolutions = [
        (name, part) for name, part in head.named_modules() if isinstance(part, nn.Conv2d)
    ]
    attentions = 2 - len(options) if system == "isnet" else 0
    products = ISNET_PRODUCTS.get(system, 0) + attentions * ATTENTION
    return products + sum(
        conv.weight.numel() * row.positions_of(name, N) for name, conv in convolutions
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


def test_isnet_of_table_2_costs_at_most_320_giga_in_truth() -> None:
    counted = cost("isnet", as_in="isnet_table2")
    assert counted.conv_macs + counted.matmul_macs <= 320e9


def test_every_row_of_a_table_is_a_head() -> None:
    for table in TABLES.values():
        assert set(table(1, 8, 3)) <= set(HEADS)


@pytest.fixture
def head() -> nn.Module:
    """A part of two convolutions, normalised, and a classifier."""
    body = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3), nn.ReLU())
    body.append(nn.Conv2d(3, 5, 1))
    return nn.ModuleDict({"body": body, "classify": nn.Conv2d(5, 7, 1)})


def test_hooked_modules_count_products_biases_normalised_and_pooled_elements(
    head: nn.Module,
) -> None:
    row = TableRow(pooled={"body": 1000, "no such part": 5})
    assert row.params(head) == 54 + 6 + 20 + 42
    assert row.count(head, 100, matmul_macs=1) == 1000 + 100 * (54 + 2 * 3 + 3 + 20 + 42)


def test_convolutions_of_ocrnets_table_all_have_a_bias_and_count_twice(head: nn.Module) -> None:
    row = TableRow(counted="convolutions")
    assert row.params(head) == 54 + 3 + 6 + 20 + 42
    assert row.count(head, 10, matmul_macs=1) == 10 * (2 * (54 + 15 + 35) + 3 + 5 + 7)
    row = TableRow(counted="convolutions and products")
    assert row.count(head, 10, matmul_macs=40) == 10 * (2 * (54 + 15 + 35) + 3 + 5 + 7) + 2 * 40


@pytest.mark.parametrize("counted", ["modules", "convolutions"])
def test_a_part_of_no_positions_is_left_out(head: nn.Module, counted: Any) -> None:
    row = TableRow(positions={"classify": 0, "body": 4}, counted=counted)
    assert row.left_out() == ["classify"]
    whole = TableRow(counted=counted)
    assert row.params(head) == whole.params(head) - 42
    assert row.count(head, 100, 0) == TableRow(positions={"classify": 0}, counted=counted).count(
        head, 4, 0
    )


def test_the_longest_name_of_a_part_decides_and_names_end_at_dots() -> None:
    row = TableRow(positions={"a": 2, "a.b": 3, "a.b.c": 4})
    names = ("a.x", "a.b", "a.bc", "a.b.c.d", "ab", "")
    assert [row.positions_of(name, 9) for name in names] == [2, 3, 2, 4, 9, 9]
