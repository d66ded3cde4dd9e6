import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.foreign import (
    MOST_XML,
    UnsafeXMLError,
    XMLValue,
    allow_remote,
    is_elsewhere,
    name_of,
    named_elsewhere,
    remote_allowed,
    with_allow_remote,
    without_secrets,
    xml_values,
)


def test_values_have_names_in_lower_case_and_keys() -> None:
    assert xml_values(b'<A B="c"> <MDI y="1" KEY="K" name="N">x&#47;</MDI>t<!-- -->u</A>') == [
        XMLValue("@b", "c"),
        XMLValue("@y", "1"),
        XMLValue("@key", "K"),
        XMLValue("@name", "N"),
        XMLValue("mdi:k", "x/"),
        XMLValue("mdi:n", "x/"),
        XMLValue("a", "t"),
        XMLValue("a", "u"),
    ]


@given(st.text(string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", "")))
def test_any_text_is_one_value(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert xml_values(f"<a>{escaped}</a>".encode()) == [XMLValue("a", text)] * bool(text.strip())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<a>" * 65, "more than 64 XML elements"),
        (b" " * (MOST_XML + 1), "more than 64 MB"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        ('<?xml version="1.0" encoding="utf-16"?><a>é</a>'.encode("utf-16"), "in UTF-8"),
        (b'<?xml version="1.0" encoding="cp037"?><a>\xff</a>', "in UTF-8"),
        (b"<a", "not readable XML"),
        (b"", "not readable XML"),
    ],
)
def test_what_is_beyond_the_limits_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UnsafeXMLError, match=said):
        xml_values(data)


@pytest.mark.parametrize(
    "name",
    [
        "/vsicurl/x",
        "/VSIS3/x",
        "a/vsizip/x",
        "https://a/b",
        "WMS:x",
        "GTIFF_DIR:1:a.tif",
        " http:x",
    ],
)
def test_servers_archives_and_drivers_are_elsewhere(name: str) -> None:
    assert is_elsewhere(name)


@pytest.mark.parametrize(
    "name", ["a.tif", "/a/b.tif", "C:/a.tif", "C:\\a.tif", "../a:b.tif", "vsi"]
)
def test_files_are_here(name: str) -> None:
    assert not is_elsewhere(name)


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_leave_ends_with_its_block(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    monkeypatch.delenv("GEOSEG_ALLOW_REMOTE", raising=False)
    if before is not None:
        monkeypatch.setenv("GEOSEG_ALLOW_REMOTE", before)
    with allow_remote():
        assert remote_allowed()
        with allow_remote(False):
            assert not remote_allowed()
        assert remote_allowed()
    with pytest.raises(ZeroDivisionError), allow_remote():
        _ = 1 / 0
    assert os.environ.get("GEOSEG_ALLOW_REMOTE") == before


def test_a_command_takes_the_option_and_keeps_what_was_allowed() -> None:
    def command(value: int, *, more: int) -> tuple[int, int, bool]:
        return value, more, remote_allowed()

    run = with_allow_remote(command)
    assert run(1, more=2) == (1, 2, False)
    assert run(1, more=2, allow_remote=True) == (1, 2, True)
    with allow_remote():
        assert run(1, more=2) == (1, 2, True)
        assert run(1, more=2, allow_remote=False) == (1, 2, False)


@pytest.mark.parametrize(
    "name",
    [
        "https://example.org/a.tif",
        "s3://bucket/a b.tif",
        "/vsicurl/https://example.org/a.tif?x=1",
        "/vsizip/a.zip/a.tif",
        "HTTP://example.org/a.tif",
    ],
)
def test_a_name_of_a_server_is_shown_as_it_was_given_also_after_it_was_a_path(name: str) -> None:
    for form in (name, Path(name)):
        assert name_of(form) == name
        line = named_elsewhere(form)
        assert line is not None
        shown = name.replace("?x=1", "?...")  # it may be a signature
        assert line.startswith(f"{shown}: is on a server or in an archive")


def test_files_of_this_machine_are_files_whatever_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:/a.tif").touch()
    for name in (
        "http:/a.tif",
        "a.tif",
        "http:a.tif",
        "C:/a.tif",
        "GPKG:a",
        "x/http://a",
        "missing",
    ):
        assert named_elsewhere(name) is None
        assert name_of(Path(name)) == str(Path(name))


def test_secrets_are_taken_out_of_any_text_once() -> None:
    text = "a: 'https://u:pass@h/x.tif?SECRET&a=b' failed; https://h/y.tif?SECRET: why? none"
    shown = without_secrets(text)
    assert shown == "a: 'https://h/x.tif?...' failed; https://h/y.tif?... why? none"
    assert without_secrets(f"{shown}, https://h/x?...: lost") == f"{shown}, https://h/x?...: lost"
