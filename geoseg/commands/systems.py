"""The segmentation systems by name: their papers, or the cost of their heads."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, get_args

from geoseg.errors import ConfigError
from geoseg.models import systems
from geoseg.models.context import HEADS
from geoseg.models.cost import REGION_SIDE, Table
from geoseg.models.cost import cost as count_cost
from geoseg.models.paper_tables import TABLES
from geoseg.report import Report

_SMP_DECODER = "segmentation-models-pytorch's own decoder"
_CHANNELS = 2048
_CLASSES = 19
_MEBIBYTE = 2**20
_RANET_POSITIONS = 2**16
"""Of the largest map that RANet is counted on, which takes real tensors: half a gigabyte."""


def run(cost: str | None = None) -> Report:
    """List the systems that `geoseg.create_model` knows, their presets and papers.

    Args:
        cost: size of a feature map, ``HEIGHTxWIDTH``: list what each context head costs on it
            instead, with 2048 channels and 19 classes, and what the papers' tables count for the
            configurations of their rows.

    Raises:
        ConfigError: `cost` is not such a size.
    """
    return _list_papers() if cost is None else _list_costs(*_parse_size(cost))


def _list_papers() -> Report:
    described = [
        {
            "name": name,
            "presets": list(HEADS[name].presets) if name in HEADS else ["geoseg"],
            "paper": HEADS[name].paper if name in HEADS else _SMP_DECODER,
        }
        for name in systems()
    ]
    width = max(len(name) for name in systems())
    lines = [
        f"{entry['name']:<{width}}  {entry['paper']}  [{', '.join(entry['presets'])}]"
        for entry in described
    ]
    return Report("\n".join(lines), {"systems": described})


def _parse_size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[1-9]\d{0,3}x[1-9]\d{0,3}", text):
        raise ConfigError(
            f"--cost {text}: give the height and width of a feature map, such as 64x128"
        )
    height, width = map(int, text.split("x"))
    return height, width


def _list_costs(height: int, width: int) -> Report:
    with_ranet = height * width <= _RANET_POSITIONS
    names = [
        name for name, head in HEADS.items() if head.stages and (with_ranet or name != "ranet")
    ]
    shape = (1, _CHANNELS, height, width)
    counted = [_cost_entry(name, shape) for name in names]
    column = max(len(name) for name in names)
    lines = [
        f"one forward on {height}x{width} features of {_CHANNELS} channels, {_CLASSES} classes, "
        "float32",
        f"{'':<{column}}  {'params':>8}  {'conv GMAC':>9}  {'matmul GMAC':>11}  {'peak MiB':>8}"
        + "".join(f"  {f'{table}: M, G':>18}" for table in TABLES),
    ]
    for entry in counted:
        in_tables = "".join(f"  {_as_printed(entry[table]):>18}" for table in TABLES)
        lines.append(
            f"{entry['name']:<{column}}  {entry['params'] / 1e6:>7.2f}M  "
            f"{entry['conv_macs'] / 1e9:>9.2f}  {entry['matmul_macs'] / 1e9:>11.2f}  "
            f"{entry['peak_bytes'] / _MEBIBYTE:>8.0f}{in_tables}".rstrip()
        )
    regions = f"on regions of {REGION_SIDE}x{REGION_SIDE} positions"
    left_out = f"left out above {_RANET_POSITIONS} positions"
    lines += [
        f"ranet, whose cost depends on the image: {regions if with_ranet else left_out}",
        "isnet_table2, ocr_table4: the configurations and the counts of those papers' tables",
    ]
    return Report(
        "\n".join(lines), {"features": list(shape), "classes": _CLASSES, "systems": counted}
    )


def _cost_entry(name: str, shape: tuple[int, int, int, int]) -> dict[str, Any]:
    """The cost of a head as geoseg builds it, and as each paper's table has it (None if not)."""
    entry = {"name": name, **asdict(count_cost(name, shape, _CLASSES))}
    del entry["paper_count"]
    for table in get_args(Table):
        entry[table] = None
        if name in TABLES[table](1, _CHANNELS, _CLASSES):
            row = count_cost(name, shape, _CLASSES, as_in=table)
            entry[table] = {"params": row.params, "count": row.paper_count}
    return entry


def _as_printed(row: dict[str, int] | None) -> str:
    return "" if row is None else f"{row['params'] / 1e6:.2f}, {row['count'] / 1e9:.2f}"
