from __future__ import annotations

import os
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from geoseg.buckets import ConflictError
from geoseg.errors import ConfigError, OutputError, StoreError
from geoseg.places import any_path, files_in, folders_in, path_below, remove_tree
from geoseg.stores import StorePath
from tests.fixtures.bucket import AZURITE, GOOGLE

of_amazon = pytest.mark.skipif(
    GOOGLE or AZURITE is not None, reason="Amazon's variables are looked at"
)


def test_a_url_is_never_a_path_of_this_machine() -> None:
    place = any_path("s3://bucket/folder/a.tif")
    assert str(place) == f"{place}" == "s3://bucket/folder/a.tif"
    for take in (Path, os.fspath, os.path.lexists, open):
        with pytest.raises(TypeError):
            take(place)
    assert any_path("/tmp/a.tif") == Path("/tmp/a.tif")


@pytest.mark.parametrize(
    "given",
    ["s3://bucket/x/y", "S3://bucket/x//y/", "s3:/bucket/x/y", Path("s3://bucket/x/y")],
)
def test_a_url_is_read_as_it_was_meant(given: str | Path) -> None:
    assert str(any_path(given)) == "s3://bucket/x/y"


@pytest.mark.parametrize("name", ["s3://", "gs:///folder", "az://bucket/../other"])
def test_a_url_without_a_bucket_or_that_leads_out_of_it_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="names no folder in a bucket; give"):
        any_path(name)


def test_a_place_in_a_bucket_has_the_names_that_a_path_would_have() -> None:
    place, path = any_path("s3://bucket/some/a.b.tif"), Path("/some/a.b.tif")
    for name in ("name", "stem", "suffix"):
        assert getattr(place, name) == getattr(path, name)
    for other in ("parent", "with_name", "with_suffix"):
        arguments = {"with_name": ("c.x",), "with_suffix": (".y",)}.get(other, ())
        made = [getattr(each, other) for each in (place, path)]
        here, there = (each(*arguments) if arguments else each for each in made)
        assert str(here) == f"s3://bucket{there}"
    assert path_below(any_path("s3://bucket"), place) == path.relative_to("/")
    assert pickle.loads(pickle.dumps(place)) == place


def test_an_object_is_what_was_put_with_what_it_was_made_from(
    bucket: StorePath, tmp_path: Path
) -> None:
    place = bucket / "a#?%20.bin"
    assert (place.exists(), place.size(), place.fact("x")) == (False, None, None)
    with pytest.raises(FileNotFoundError):
        place.read_bytes()
    place.put(memoryview(b"abc"))
    assert (place.read_bytes(), place.size(), place.fact("x")) == (b"abc", 3, None)
    large = tmp_path / "large"
    large.write_bytes(os.urandom(2**10) * 9 * 2**10)  # sent in two pieces
    place.put(large, {"x": "0123"})
    assert (place.size(), place.fact("x")) == (9 * 2**20, "0123")
    place.fetch(tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()
    place.unlink()
    place.unlink(missing_ok=True)
    assert not place.exists()


def test_folders_are_listed_and_removed_with_all_that_is_below(bucket: StorePath) -> None:
    for name in ("b/1", "b/c/2", "a", "bb/3"):
        (bucket / name).put(b"")
    assert files_in(bucket) == [bucket / "a"]
    assert folders_in(bucket) == [bucket / "b", bucket / "bb"]
    remove_tree(bucket / "b")
    assert (files_in(bucket), folders_in(bucket)) == ([bucket / "a"], [bucket / "bb"])
    assert files_in(bucket / "nothing") == []


def test_of_two_that_create_or_replace_a_version_one_is_refused(bucket: StorePath) -> None:
    place = bucket / "lock"
    first = place.put_if(b"1", None)
    with pytest.raises(ConflictError):
        place.put_if(b"2", None)
    second = place.put_if(b"2", first)
    with pytest.raises(ConflictError):
        place.put_if(b"3", first)
    assert place.version()[:2] == second[:2]


def test_a_missing_bucket_is_named(bucket: StorePath) -> None:
    scheme = bucket.bucket.partition(":")[0]
    missing = any_path(f"{scheme}://no-such-bucket/out")
    for ask in (missing.refuse_unusable, missing.read_bytes, lambda: missing.put(b"")):
        with pytest.raises(StoreError, match=r"^\w+://no-such-bucket: there is no such"):
            ask()
    bucket.refuse_unusable()


@of_amazon
def test_missing_credentials_are_named_with_the_variables_to_set(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")  # nobody lends any there
    with pytest.raises(StoreError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in"):
        bucket.refuse_unusable()
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StoreError, match="set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACC"):
        any_path("az://container/out").refuse_unusable()


@of_amazon
def test_a_server_that_is_gone_is_named(bucket: StorePath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"cannot be reached \(.*\); look .* AWS_ENDPOINT_URL"):
        bucket.refuse_unusable()


@of_amazon
def test_a_server_that_denies_access_is_named(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Denying(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = answer  # noqa: N815 - the library's names
        log_message = lambda *_: None  # noqa: E731

    with HTTPServer(("127.0.0.1", 0), Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for ask in (bucket.refuse_unusable, bucket.read_bytes, lambda: bucket.put(b"")):
            with pytest.raises(StoreError, match="the server denies access to whom AWS_ACCESS"):
                ask()
        server.shutdown()


def test_a_name_that_no_server_takes_fails_alone(bucket: StorePath) -> None:
    with pytest.raises(OutputError, match="a bucket takes no such name"):
        (bucket / "a\nb").put(b"")


def test_without_obstore_one_is_told_what_to_install(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(ConfigError, match=r"pip install 'geoseg\[cloud\]'"):
        bucket.refuse_unusable()
