from __future__ import annotations

import pytest

from geoseg.commands.systems import run
from geoseg.errors import ConfigError
from geoseg.models import HEADS


def test_costs_of_every_head_stand_in_the_report_and_its_text() -> None:
    report = run("6x8")
    entries = {entry["name"]: entry for entry in report.data["systems"]}
    assert set(entries) == {name for name, head in HEADS.items() if head.stages}
    assert report.data["features"] == [1, 2048, 6, 8]
    for name, entry in entries.items():
        assert name in report.text
        assert set(entry) == {"name", "params", "conv_macs", "matmul_macs", "peak_bytes"}
        assert entry["params"] > 0
        assert entry["conv_macs"] > 0


def test_a_map_too_large_to_run_ranet_on_leaves_it_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geoseg.commands.systems.HEADS", {name: HEADS[name] for name in ("fcn", "ranet")})
    report = run("512x512")
    assert "ranet" not in {entry["name"] for entry in report.data["systems"]}
    assert "ranet, whose cost depends on the image: left out above 65536 positions" in report.text


@pytest.mark.parametrize("size", ["64", "0x8", "axb", "64x128x3", "-1x4", "64X128", ""])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(ConfigError, match="give the height and width of a feature map, such as 64x128"):
        run(size)
