"""JSON files that verify, or count as none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OutputError
from geoseg.inference.verified import read_verified, write_verified

TEXT = st.text()
VALUES = st.recursive(
    st.none() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


@given(st.dictionaries(TEXT.filter(lambda name: name not in ("key", "checksum")), VALUES))
def test_what_is_written_is_read_under_its_key_alone(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("a") / "b.json"
    write_verified(path, {"key": "1", **document}, sync=False)
    assert read_verified(path, "1") == {"key": "1", **document}
    assert read_verified(path, "2") is None
    assert json.loads(path.read_text()).keys() == {"key", "checksum", *document}


@pytest.mark.parametrize("content", [None, b"", b"[]", b"7", b'{"key": "1"}', b"\xff\xfe"])
def test_what_is_missing_or_another_file_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_verified(tmp_path / "a.json", "1") is None


@given(st.data())
def test_of_a_changed_file_nothing_is_read_that_was_not_written(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("a") / "b.json"
    document = {"key": "1", "parts": {"3": [0, 12, 5000]}}
    write_verified(path, document, sync=False)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert read_verified(path, "1") in (None, document)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(OutputError, match=r"b\.json: cannot be written"):
        write_verified(tmp_path / "a/b.json", {"key": "1"}, sync=False)
