"""For how long a server that does not answer is waited for, and by whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from geoseg import buckets
from geoseg.errors import StoreError
from geoseg.stores import StorePath
from tests.fixtures.bucket import AZURITE, GOOGLE

pytestmark = pytest.mark.skipif(
    GOOGLE or AZURITE is not None, reason="the server speaks as Amazon's does"
)


class Overloaded:
    """Answers that it is, so many times; then as if all were well."""

    def __init__(self, left: int) -> None:
        self.left, self.asked = left, 0

    @contextmanager
    def serving(self) -> Iterator[str]:
        state = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                state.asked += 1
                state.left -= 1
                self.send_response(503 if state.left >= 0 else 200)
                self.send_header("ETag", '"x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = answer  # noqa: N815 - the library's name
            log_message = lambda *_: None  # noqa: E731

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "_MOST_WAIT", timedelta(seconds=0.1))


def test_a_server_may_refuse_more_often_than_a_moment_lasts(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Overloaded(11)
    with server.serving() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        (bucket / "a").put(b"content")
    assert server.asked == 12


def test_one_that_was_waited_for_in_vain_is_not_waited_for_again_until_it_answers(
    bucket: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "PATIENCE", timedelta(seconds=0.5))
    server = Overloaded(10**9)
    counts = []

    def put() -> None:
        before = server.asked
        with pytest.raises(StoreError, match="the server does not do what it is asked"):
            (bucket / "a").put(b"content")
        counts.append(server.asked - before)

    with server.serving() as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        put()
        put()
        server.left = buckets.FEW
        (bucket / "a").put(b"content")
        server.left = 10**9
        put()
    first, again, after = counts
    assert again == buckets.FEW + 1
    assert min(first, after) > again


def test_a_lease_that_cannot_be_renewed_for_as_long_says_so_too(bucket: StorePath) -> None:
    patient = buckets.client(bucket.bucket)
    buckets.note_silence(bucket.bucket, 10.0)
    assert buckets.client(bucket.bucket) is patient
    buckets.note_silence(bucket.bucket, buckets.PATIENCE.total_seconds())
    assert buckets.client(bucket.bucket) is not patient
    bucket.refuse_unusable()
    assert buckets.client(bucket.bucket) is patient
