"""Lines that cannot be kept are said as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from geoseg.errors import DiskError
from geoseg.inference.line_stream import line_stream

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no file that is a full disk")
def test_a_full_disk_is_named_also_where_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    path.symlink_to(FULL)
    with (
        pytest.raises(DiskError, match=r"report\.jsonl: cannot be written"),
        line_stream(path) as stream,
    ):
        stream.write("a line")
