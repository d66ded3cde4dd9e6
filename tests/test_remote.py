from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from geoseg.foreign import allow_remote
from geoseg.remote import RemotePath, path_beside, source_path

HTTP = "https://user:pass@host/d/a%20b.tif?X-Amz-Signature=SECRET&u=http://x//y"


@pytest.mark.parametrize(
    ("given", "gdal", "text", "name"),
    [
        (HTTP, f"/vsicurl/{HTTP}", "https://host/d/a%20b.tif?...", "a b.tif"),
        ("S3://b/k//x?.tif", "/vsis3/b/k//x?.tif", "S3://b/k//x?.tif", "x_.tif"),
        ("gs://b/x.tif", "/vsigs/b/x.tif", "gs://b/x.tif", "x.tif"),
        ("az://c/x.tif", "/vsiaz/c/x.tif", "az://c/x.tif", "x.tif"),
        (
            f"/vsicurl/{HTTP}",
            f"/vsicurl/{HTTP}",
            "/vsicurl/https://host/d/a%20b.tif?...",
            "a b.tif",
        ),
        (
            "/vsizip//z/a.ZIP/d/x.tif",
            "/vsizip/{/z/a.ZIP}/d/x.tif",
            "/vsizip//z/a.ZIP/d/x.tif",
            "x.tif",
        ),
        ("zip:///z/a.zip!x.tif", "/vsizip/{/z/a.zip}/x.tif", "zip:///z/a.zip!x.tif", "x.tif"),
        (
            "zip+https://h/a.zip?SECRET!d/x.tif",
            "/vsizip/{/vsicurl/https://h/a.zip?SECRET}/d/x.tif",
            "zip+https://h/a.zip?...!d/x.tif",
            "x.tif",
        ),
        ("https://h/..", "/vsicurl/https://h/..", "https://h/..", "image"),
        ("https://h/a%2F..%2Fb.tif", "/vsicurl/https://h/a%2F..%2Fb.tif", None, "a_.._b.tif"),
    ],
)
def test_a_name_elsewhere_is_gdals_name_and_is_shown_without_what_is_secret(
    given: str, gdal: str, text: str | None, name: str
) -> None:
    path = source_path(given)
    assert isinstance(path, RemotePath)
    assert (path.gdal, str(path), path.name) == (gdal, text or given, name)
    assert path.stem == Path(name).stem
    shown = (f"{path}", repr(path), path.public, path.href, str(path.parent), str(Path(path)))
    assert not any("SECRET" in each or "pass" in each for each in shown)
    again = pickle.loads(pickle.dumps(path))
    assert (again, hash(again), again.place) == (path, hash(path), path.place)
    assert source_path(path) is path.absolute()


def test_signatures_tell_no_files_apart_by_accident_and_other_names_are_files_here() -> None:
    one, other = (source_path(f"https://h/x.tif?id={number}") for number in (1, 2))
    assert one != other
    assert str(one) == str(other)
    for name in ("a.tif", "C:/a.tif", "/vsimem/a.tif", "ftp://h/a.tif", "/vsitar/a.tar/a.tif"):
        assert type(source_path(name)) is type(Path())
    # Whatever is made of one is a mere name.
    assert not one.with_name("y.tif").exists()
    assert type(one.with_suffix(".tfw")) is type(Path())


def test_parts_of_a_signature_in_words_of_gdal_are_hidden() -> None:
    path = source_path("https://h/c.tif?sig=SECRET/HIDDEN")
    assert isinstance(path, RemotePath)
    words = "c.tif?sig=SECRET/HIDDEN, band 1: HIDDEN: failed at https://h/c.tif?sig=SECRET/HIDDEN"
    assert path.hide(words) == "c.tif?..., band 1: ...: failed at https://h/c.tif?..."


def test_a_file_leads_elsewhere_with_leave_alone() -> None:
    with allow_remote():
        assert isinstance(path_beside(Path("d"), HTTP), RemotePath)
        assert path_beside(Path("d"), "a.tif") == Path("d/a.tif")
    with allow_remote(False):
        without = path_beside(Path("d"), HTTP)
    assert not isinstance(without, RemotePath)
    assert "SECRET" not in str(without)


@pytest.mark.parametrize(
    ("given", "gdal", "text"),
    [
        (
            HTTP,
            "{curl}https://user:pass@host/d/m/a b.tif?{query}",
            "https://host/d/m/a%20b.tif?...",
        ),
        ("s3://b/k/x y.tif", "/vsis3/b/k/m/a b.tif", "s3://b/k/m/a b.tif"),
        ("https://h/x.tif", "{curl}https://h/m/a b.tif", "https://h/m/a%20b.tif"),
        ("/vsizip//z/a.zip/d/x.tif", "/vsizip/{{/z/a.zip}}/d/m/a b.tif", None),
        (
            "zip+https://h/a.zip?SECRET!x.tif",
            "/vsizip/{{/vsicurl/https://h/a.zip?SECRET}}/m/a b.tif",
            None,
        ),
    ],
)
def test_a_file_beside_one_elsewhere_is_there_with_the_same_query(
    given: str, gdal: str, text: str | None
) -> None:
    found = source_path(given).beside("../d/./m/a b.tif" if "/d/" in given else "m/a b.tif")
    query = HTTP.partition("?")[2]
    expected = gdal.format(curl="/vsicurl/", query=query)
    if expected.startswith("/vsicurl/"):
        expected = expected.replace(" ", "%20")
    assert found.gdal == expected
    assert text is None or str(found) == text
    assert "SECRET" not in str(found)
