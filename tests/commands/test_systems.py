from __future__ import annotations

import pytest

from geoseg.commands.systems import run
from geoseg.errors import ConfigError
from geoseg.models import HEADS, systems
from geoseg.models.paper_tables import TABLES


def test_the_report_and_its_text_have_the_costs_of_every_head() -> None:
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


def test_the_counts_of_the_papers_are_listed_next_to_ours(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_text_that_is_not_a_size_is_refused(size: str) -> None:
    with pytest.raises(
        ConfigError, match="give the height and width of a feature map, such as 64x128"
    ):
        run(size)


def test_systems_are_listed_with_presets_and_papers() -> None:
    report = run()
    entries = {entry["name"]: entry for entry in report.data["systems"]}
    assert set(entries) == set(systems())
    assert entries["hcnet"]["presets"] == list(HEADS["hcnet"].presets)
    assert "arxiv.org" in entries["hcnet"]["paper"]
    assert entries["smp.unet"] == {
        "name": "smp.unet",
        "presets": ["geoseg"],
        "paper": "segmentation-models-pytorch's own decoder",
    }
    lines = report.text.splitlines()
    assert [line.split()[0] for line in lines] == list(systems())
    assert lines[0].endswith(f"{HEADS['hcnet'].paper}  [geoseg, paper]")
    assert (
        len(
            {
                line.index(entry["paper"])
                for line, entry in zip(lines, entries.values(), strict=True)
            }
        )
        == 1
    )


def test_a_line_of_costs_has_its_numbers_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "geoseg.commands.systems.HEADS", {"self_attention": HEADS["self_attention"]}
    )
    monkeypatch.setattr("geoseg.commands.systems.systems", lambda: ("self_attention",))
    report = run("128x128")
    first, header, line, *notes = report.text.splitlines()
    assert first == "one forward on 128x128 features of 2048 channels, 19 classes, float32"
    assert header.split()[:7] == ["params", "conv", "GMAC", "matmul", "GMAC", "peak", "MiB"]
    assert line.split()[:5] == ["self_attention", "10.50M", "171.96", "137.44", "192"]
    assert header.index("peak MiB") + len("peak MiB") == line.index("192") + 3
    assert notes[0] == "ranet, whose cost depends on the image: on regions of 16x16 positions"
    assert report.data["classes"] == 19
