from __future__ import annotations

import pytest

from geoseg.commands.systems import run
from geoseg.errors import ConfigError
from geoseg.models import HEADS
from geoseg.models.paper_tables import TABLES


def test_costs_of_every_head_stand_in_the_report_and_its_text() -> None:
    report = run("6x8")
    entries = {entry["name"]: entry for entry in report.data["systems"]}
    assert set(entries) == {name for name, head in HEADS.items() if head.stages}
    assert report.data["features"] == [1, 2048, 6, 8]
    for name, entry in entries.items():
        assert name in report.text
        assert set(entry) == {"name", "params", "conv_macs", "matmul_macs", "peak_bytes", *TABLES}
        assert {table for table in TABLES if entry[table]} == {
            t for t, rows in TABLES.items() if name in rows(1, 8, 3)
        }
        assert entry["params"] > 0
        assert entry["conv_macs"] > 0


def test_the_papers_counts_stand_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "geoseg.commands.systems.HEADS", {name: HEADS[name] for name in ("ppm", "isnet", "fcn")}
    )
    report = run("128x128")
    rows = {line.split()[0]: line for line in report.text.splitlines()[2:]}
    assert rows["ppm"].endswith("  23.07, 309.45       23.08, 618.59")
    assert rows["isnet"].endswith("  11.02, 180.60")
    assert rows["fcn"].endswith("  64")
    assert report.data["systems"][1]["isnet_table2"]["params"] == 11_018_240


def test_a_map_too_large_to_run_ranet_on_leaves_it_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "geoseg.commands.systems.HEADS", {name: HEADS[name] for name in ("fcn", "ranet")}
    )
    report = run("512x512")
    assert "ranet" not in {entry["name"] for entry in report.data["systems"]}
    assert "ranet, whose cost depends on the image: left out above 65536 positions" in report.text


@pytest.mark.parametrize("size", ["64", "0x8", "axb", "64x128x3", "-1x4", "64X128", ""])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(
        ConfigError, match="give the height and width of a feature map, such as 64x128"
    ):
        run(size)
