"""Runs into a bucket that die after each change of it, and those that continue them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.store import MemoryStore

import geoseg
from geoseg import buckets
from geoseg.places import any_path
from geoseg.stores import StorePath
from tests.fixtures.bucket import files

OUT = "s3://bucket/out"
PLAIN: dict[str, Any] = {"block": 64, "preview": True}
EVERY = {**PLAIN, "confidence": True, "vectors": "gpkg,shp,geojsonl"}
OTHER = {"min_confidence": 0.9, "overwrite": True}
LESS = {"block": 64, "preview": False, "vectors": "none", **OTHER}
WHOLE = {"preview": False, "vectors": "none", "window": 256}
SQUARES = {**WHOLE, "max_output_pixels": 2**18}


class Dead(KeyboardInterrupt):
    """What nothing of a killed process comes after."""


class DyingStore:
    """A bucket in memory, after so many changes of which a process is dead.

    Args:
        monkeypatch: puts it in the place of any server.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = MemoryStore()
        self._put, self._delete = obstore.put, obstore.delete
        self._lock = threading.RLock()
        self.changes, self.last = 0, -1
        monkeypatch.setattr(buckets, "client", lambda *_, **__: self._store)
        monkeypatch.setattr(obstore, "put", self.put)
        monkeypatch.setattr(obstore, "delete", self.delete)

    def _change(self, change: Callable[[], Any]) -> Any:
        with self._lock:
            if self.changes == self.last:
                raise Dead
            result = change()
            self.changes += 1
            return result

    def put(self, store: Any, path: str, content: Any, **options: Any) -> Any:
        # The store would keep the memory of a buffer, which is GDAL's.
        kept = content if isinstance(content, Path) else bytes(memoryview(content))
        return self._change(lambda: self._put(store, path, kept, **options))

    def delete(self, store: Any, paths: str | list[str]) -> None:
        for path in [paths] if isinstance(paths, str) else paths:
            with suppress(FileNotFoundError):  # servers do not say so
                self._change(lambda path=path: self._delete(store, path))

    def content(self) -> dict[str, tuple[bytes, dict[str, str]]]:
        found = {}
        for name in files(any_path("s3://bucket")):
            got = obstore.get(self._store, name)
            found[name] = (bytes(got.bytes()), dict(got.attributes))
        return found

    def fill(self, content: dict[str, tuple[bytes, dict[str, str]]]) -> None:
        """Begin anew, with this in it."""
        self._store, self.changes, self.last = MemoryStore(), 0, -1
        for name, (data, facts) in content.items():
            self._put(self._store, name, data, attributes=facts or None)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[DyingStore]:
    monkeypatch.setenv("OGR_CURRENT_DATE", "2020-01-01T00:00:00Z")  # else a GeoPackage has the time
    monkeypatch.setattr("geoseg.stores.client", lambda *_, **__: made._store)
    made = DyingStore(monkeypatch)
    yield made
    buckets.forget_clients()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dying", "before", "after"),
    [
        pytest.param(EVERY, None, None, id="anew"),
        pytest.param({**EVERY, **OTHER}, EVERY, None, id="over others"),
        pytest.param(LESS, EVERY, None, id="less over more"),
        pytest.param(EVERY, None, LESS, id="another run continues"),
        pytest.param({**SQUARES, "overwrite": True}, WHOLE, None, id="squares over one file"),
        pytest.param({**WHOLE, "overwrite": True}, SQUARES, None, id="one file over squares"),
        pytest.param(SQUARES, None, {**WHOLE, "overwrite": True}, id="one file after squares"),
    ],
)
def test_after_any_death_the_next_run_makes_what_one_alone_makes(
    store: DyingStore,
    make_raster: Callable[..., Path],
    model_file: Path,
    dying: dict[str, Any],
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
) -> None:
    large = WHOLE.keys() <= dying.keys()
    size = {"height": 520, "width": 530} if large else {}
    scene = make_raster("a.tif", **size)

    def predict(options: dict[str, Any]) -> None:
        report = geoseg.predict(scene, model_file, out=OUT, precision="fp32", **options)
        assert (report.exit_code, report.data["failures"]) == (0, [])

    if before is not None:
        predict(before)
    kept = store.content()
    predict(after or dying)
    whole = {name: found for name, found in store.content().items() if name != "out/report.json"}
    store.fill(kept)
    predict(dying)
    for last in range(1, store.changes):
        store.fill(kept)
        store.last = last
        with pytest.raises(Dead):
            predict(dying)
        store.last = -1
        StorePath.unlink(any_path(f"{OUT}/.geoseg/lock"), missing_ok=True)  # it grows old
        predict(after or dying)
        found = store.content()
        assert found.pop("out/report.json")
        assert found.keys() == whole.keys(), last
        assert found == whole, last
