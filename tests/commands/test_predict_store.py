"""``geoseg predict --out s3://...``: what a folder would hold, byte for byte."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import obstore
import pytest
import rasterio

import geoseg
from geoseg import buckets, leases
from geoseg.copies import local_copy
from geoseg.errors import ConfigError, FolderInUseError, OutputError, StoreError
from geoseg.inference import engine
from geoseg.inference.parts import PartFolder
from geoseg.places import folders_in
from geoseg.stores import StorePath
from tests.fixtures.bucket import assert_same, files

pytestmark = pytest.mark.usefixtures("two_threads")

OPTIONS = {"precision": "fp32", "block": 64, "probabilities": True, "preview": True}


def test_a_bucket_holds_the_bytes_of_a_folder(
    make_raster: Callable[..., Path],
    model_file: Path,
    bucket: StorePath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_raster("in/north/ä b.tif", height=40)
    options = {**OPTIONS, "vectors": "gpkg,shp"}
    geoseg.predict(tmp_path / "in", model_file, out=tmp_path / "out", **options)
    report = geoseg.predict(tmp_path / "in", model_file, out=str(bucket), **options)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    assert_same(tmp_path / "out", bucket)
    with rasterio.open(tmp_path / "out/north/ä b_classes.tif") as file:
        np.testing.assert_array_equal(report.inputs[0].classes, file.read(1))
    assert "data:image/png" in report._repr_html_()
    written = json.loads((bucket / "report.json").read_text())
    assert written["inputs"][0]["outputs"]["classes"] == f"{bucket}/north/ä b_classes.tif"
    with monkeypatch.context() as patched:
        patched.setattr(StorePath, "fetch", None)  # nothing that is kept
        again = geoseg.predict(tmp_path / "in", model_file, out=str(bucket), **options)
    (kept,), (done,) = again.data["inputs"], report.data["inputs"]
    assert (kept["status"], kept["pixels"]) == ("kept", done["pixels"])


def test_squares_in_a_bucket_have_the_bytes_and_the_picture_of_those_in_a_folder(
    make_raster: Callable[..., Path], model_file: Path, bucket: StorePath, tmp_path: Path
) -> None:
    scene = make_raster("a.tif", height=520, width=530)
    options = {**OPTIONS, "vectors": "none", "max_output_pixels": 2**18, "window": 256}
    options |= {"probabilities": False, "block": "auto"}
    for out in (tmp_path / "out", bucket):
        assert geoseg.predict(scene, model_file, out=str(out), **options).exit_code == 0
    assert_same(tmp_path / "out", bucket)
    assert (bucket / "a_classes/a_classes_r001_c001.tif").exists()
    (bucket / "a_classes.vrt").unlink()  # as of a run that was killed before its end
    assert geoseg.predict(scene, model_file, out=str(bucket), **options).exit_code == 0
    assert_same(tmp_path / "out", bucket)


@pytest.mark.slow
def test_two_worker_processes_write_the_same_bytes_into_a_bucket(
    make_raster: Callable[..., Path], hcnet_file: Path, bucket: StorePath, tmp_path: Path
) -> None:
    scene = make_raster("a.tif", height=128, width=128)
    geoseg.predict(scene, hcnet_file, out=tmp_path / "out", **OPTIONS)
    report = geoseg.predict(scene, hcnet_file, out=str(bucket), workers=2, **OPTIONS)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    assert_same(tmp_path / "out", bucket)


def failing_once(monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """Let the first files of a run fail, so that its parts stay."""

    def fail(*_: object) -> None:
        raise OutputError("not yet")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "write_raster", fail)
        report = geoseg.predict(**options)
    assert report.data["failures"] == ["not yet"]


def test_a_run_continues_from_its_lists_and_makes_anew_what_is_gone(
    make_raster: Callable[..., Path],
    model_file: Path,
    bucket: StorePath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = make_raster("a.tif", height=80)
    call: dict[str, Any] = {"sources": scene, "model": model_file, "vectors": "none"}
    call |= {"precision": "fp32", "preview": False, "block": 64, "encode": "window"}
    geoseg.predict(**call, out=tmp_path / "out")
    failing_once(monkeypatch, **call, out=str(bucket))
    (parts,) = folders_in(bucket / ".geoseg")
    asked: list[StorePath] = []
    get = StorePath._get

    def noting(self: StorePath, **options: Any) -> Any:
        asked.append(self)
        return get(self, **options)

    with monkeypatch.context() as patched:
        patched.setattr(StorePath, "_get", noting)
        geoseg.predict(**call, out=str(bucket), dry_run=True)
    assert {each.suffix for each in asked if each.parent == parts} == {".json"}  # plan and lists
    (parts / "0000-00001-classes.tif").unlink()
    report = geoseg.predict(**call, out=str(bucket))
    assert 0 < report.data["forwards"] < report.data["windows"]
    assert_same(tmp_path / "out", bucket)


def test_what_was_made_from_something_else_is_replaced_when_that_is_wanted(
    make_raster: Callable[..., Path], model_file: Path, bucket: StorePath
) -> None:
    scene = make_raster("a.tif", height=20)
    call: dict[str, Any] = {"sources": scene, "model": model_file, "out": str(bucket)}
    call |= {"precision": "fp32", "preview": False}
    assert geoseg.predict(**call).exit_code == 0
    (bucket / "a_polygons.gpkg-wal").put(b"another program's")
    (bucket / "a_classes.qml").put(b"<qgis>somebody's own</qgis>")
    for _ in range(2):
        report = geoseg.predict(**call, min_confidence=0.9)
        assert [line.split(" (")[0] for line in report.data["failures"]] == [
            f"{bucket}/a_classes.tif exists, made from another source, model or options"
        ]
        (bucket / "a_classes.tif").put(b"not geoseg's")
    report = geoseg.predict(**call, min_confidence=0.9, overwrite=True)
    assert report.data["inputs"][0]["status"] == "done"
    assert not (bucket / "a_polygons.gpkg-wal").exists()
    assert (bucket / "a_classes.qml").read_bytes() == b"<qgis>somebody's own</qgis>"
    with local_copy(bucket / "a_classes.tif") as copy, rasterio.open(copy) as file:
        assert set(np.unique(file.read())) <= {0, 1, 2, 3, 254}


def test_a_server_that_goes_away_ends_the_run_in_a_line_with_what_is_left_to_do(
    make_raster: Callable[..., Path],
    model_file: Path,
    bucket: StorePath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a.tif", "b.tif"):
        make_raster(f"in/{name}", height=80)
    call: dict[str, Any] = {"sources": tmp_path / "in", "model": model_file, **OPTIONS}
    geoseg.predict(**call, out=tmp_path / "out")
    put = StorePath.put

    def gone(self: StorePath, *_: object, **__: object) -> None:
        with buckets.asking(self.bucket, str(self)):
            raise obstore.exceptions.GenericError(f"error sending request for url {self}")

    with monkeypatch.context() as patched:

        def put_first(self: StorePath, *arguments: Any) -> None:
            put(self, *arguments)
            if self.suffix == ".tif":
                for method in ("put", "listed", "unlink", "_get"):
                    patched.setattr(StorePath, method, gone)

        patched.setattr(StorePath, "put", put_first)
        report = geoseg.predict(**call, out=str(bucket))
    assert report.exit_code == 1
    lost, stopped = report.data["failures"]  # not a line each of all that was to be written
    assert "error sending request for url" in lost
    assert "not done: " in stopped
    (bucket / ".geoseg/lock").unlink(missing_ok=True)  # which could not be given back
    assert geoseg.predict(**call, out=str(bucket)).exit_code == 0
    assert_same(tmp_path / "out", bucket)


@pytest.mark.parametrize(
    "last",
    [
        "a_classes.tif.aux.xml",
        "a_polygons.dbf",
        pytest.param(None, marks=pytest.mark.slow, id="any"),
    ],
)
def test_a_run_that_dies_after_any_object_of_its_outputs_is_continued(
    make_raster: Callable[..., Path],
    model_file: Path,
    bucket: StorePath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: str | None,
) -> None:
    call: dict[str, Any] = {"sources": make_raster("a.tif"), "model": model_file, **OPTIONS}
    call |= {"vectors": "gpkg,shp,parquet"}
    geoseg.predict(**call, out=tmp_path / "out")
    names = [path.name for path in sorted((tmp_path / "out").iterdir()) if path.is_file()]
    for name in [last] if last is not None else names:
        with monkeypatch.context() as patched:
            _die_after(patched, name)
            with pytest.raises(KeyboardInterrupt):
                geoseg.predict(**call, out=str(bucket))
        assert (bucket / name).exists()
        (bucket / ".geoseg/lock").unlink(missing_ok=True)  # as if it had grown old
        report = geoseg.predict(**call, out=str(bucket))
        assert report.data["failures"] == []
        assert_same(tmp_path / "out", bucket)
        bucket.remove_tree()


def _die_after(patched: pytest.MonkeyPatch, name: str) -> None:
    """Let a run end, without a chance to tidy up, when it has put an object of this name."""
    put = StorePath.put

    def dying(self: StorePath, *arguments: Any) -> None:
        put(self, *arguments)
        if self.name == name:
            for method in ("put", "unlink"):
                patched.setattr(StorePath, method, _dead)
            raise KeyboardInterrupt

    patched.setattr(StorePath, "put", dying)


def _dead(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_what_is_left_of_files_that_a_killed_run_removed_or_began_goes_where_it_is_not_asked_for(
    make_raster: Callable[..., Path], model_file: Path, bucket: StorePath
) -> None:
    call: dict[str, Any] = {"sources": make_raster("a.tif"), "model": model_file}
    call |= {"precision": "fp32", "preview": False, "out": str(bucket)}
    assert geoseg.predict(**call, confidence=True, vectors="shp,geojsonl").exit_code == 0
    for name in ("confidence.tif", "polygons.shp", "polygons.geojsonl"):
        (bucket / f"a_{name}").unlink()
    (bucket / "a_probabilities.tif.aux.xml").put(b"another program's")
    report = geoseg.predict(**call, vectors="none")
    (line,) = report.data["warnings"]
    assert line.startswith(f"4 files of earlier runs: {bucket}/a_confidence.qml, ")
    assert geoseg.predict(**call, vectors="none", overwrite=True).data["warnings"] == []
    made = {f"a_classes.{ending}" for ending in ("tif", "tif.aux.xml", "qml")}
    others = {"areas.csv", "report.json", "a_probabilities.tif.aux.xml"}
    assert set(files(bucket)) == made | others


def test_of_two_runs_into_one_place_the_second_is_refused(
    make_raster: Callable[..., Path], model_file: Path, bucket: StorePath
) -> None:
    (bucket / ".geoseg/lock").put(b"{}")
    with pytest.raises(FolderInUseError, match=f"^another run writes into {bucket};"):
        geoseg.predict(make_raster("a.tif"), model_file, out=str(bucket))
    assert sorted(files(bucket)) == [".geoseg/lock"]


def test_a_run_that_has_lost_its_lock_stops_and_leaves_the_place_to_the_other(
    make_raster: Callable[..., Path],
    model_file: Path,
    bucket: StorePath,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "RENEWAL_SECONDS", 0.05)
    write, lost = PartFolder.write, leases._Lease.refuse_lost

    def write_and_lose(*arguments: Any) -> None:
        write(*arguments)
        (bucket / ".geoseg/lock").put(b"another run's")

    monkeypatch.setattr(PartFolder, "write", write_and_lose)
    monkeypatch.setattr(engine, "write_raster", lambda *_: wait_until_lost.wait(20))
    wait_until_lost = leases.threading.Event()

    def refuse_lost(self: Any) -> None:
        try:
            lost(self)
        except StoreError:
            wait_until_lost.set()
            raise

    monkeypatch.setattr(leases._Lease, "refuse_lost", refuse_lost)
    with pytest.raises(StoreError, match="the lock of this run is lost") as caught:
        geoseg.predict(make_raster("a.tif"), model_file, out=str(bucket), vectors="none")
    assert vars(caught.value)["exit_code"] == 1
    assert (bucket / ".geoseg/lock").read_bytes() == b"another run's"
    assert not (bucket / "report.json").exists()


def test_a_place_that_no_run_can_use_is_refused_before_anything_begins(
    make_raster: Callable[..., Path], model_file: Path, bucket: StorePath
) -> None:
    missing = f"{bucket.bucket.partition(':')[0]}://no-such-bucket"
    with pytest.raises(StoreError, match=f"^{missing}: there is no such bucket"):
        geoseg.predict(make_raster("a.tif"), model_file, out=f"{missing}/out")
    with pytest.raises(ConfigError, match="names no folder in a bucket"):
        geoseg.predict(make_raster("a.tif"), model_file, out="s3://")
    assert not os.path.lexists("s3:")


def test_the_other_commands_write_into_folders_alone(
    make_raster: Callable[..., Path], bucket: StorePath
) -> None:
    labels = make_raster("labels.tif", bands=1, nodata=255)
    for call in (
        lambda: geoseg.vectorize(labels, str(bucket / "a.gpkg")),
        lambda: geoseg.evaluate(labels, labels, "isprs", out=str(bucket)),
        lambda: geoseg.prepare("folder", labels.parent, str(bucket), classes="isprs"),
        lambda: geoseg.train({}, out=str(bucket)),
    ):
        with pytest.raises(
            ConfigError, match="outputs go into folders of this machine; geoseg predict"
        ):
            call()
    assert files(bucket) == {}
