"""``--scheduler``: any Dask cluster gives the bytes of one process, or is refused in a line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
import torch

import geoseg
from geoseg import buckets
from geoseg.errors import ConfigError
from geoseg.inference import cluster as clusters
from geoseg.inference import roll_call
from geoseg.progress import Progress
from geoseg.stores import StorePath
from tests.chaos.outcome import differences, outcome
from tests.chaos.processes import ExternalCluster
from tests.fixtures.bucket import assert_same

Make = Callable[..., Path]
# Bits depend on the number of torch threads; the client's number is the workers' too.
pytestmark = pytest.mark.usefixtures("two_threads")

RUN = {"confidence": True, "precision": "fp32", "device": "cpu", "block": 40, "encode": "window"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalCluster]:
    """Two worker processes of four threads, started elsewhere."""
    with ExternalCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.start_worker(threads=4)
        cluster.start_worker(threads=4)
        cluster.await_workers(2)
        yield cluster


class Deleting(Progress):
    """Deletes a file once the run has begun."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.lines: list[str] = []

    def begin(self, *_: object) -> None:
        self._file.unlink()

    def note(self, line: str) -> None:
        self.lines.append(line)


def loads() -> int:
    """How often this worker has loaded a model."""
    from geoseg.inference import worker

    return worker.processes.made


def test_workers_started_elsewhere_give_the_same_bytes_with_one_load_each(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.tif", "b.tif"):
        make_raster(f"in/{name}", height=70, width=90)
    boxes = [shapely.box(500_000, 5_399_960, 500_001 + side, 5_400_000) for side in range(40)]
    geopandas.GeoDataFrame(geometry=boxes, crs=32632).to_file("zones.gpkg")
    run: dict[str, Any] = {**RUN, "zones": "zones.gpkg"}
    geoseg.predict("in", model_file, out="here", **run)
    with cluster.client() as client:
        before = client.run(loads)
        client.run(os.chdir, "/")
        listener = Deleting(model_file)
        report = geoseg.predict(
            "in", model_file, out="there", scheduler=cluster.file, progress=listener, **run
        )
        after = client.run(loads)
    assert report.exit_code == 0, report.data["failures"]
    assert differences(outcome(tmp_path / "there"), outcome(tmp_path / "here")) == []
    assert [after[each] - before[each] for each in after] == [1, 1]
    assert {worker["address"] for worker in report.data["workers"]} == set(after)
    assert report.data["threads"] == torch.get_num_threads() == 2


def test_workers_write_the_same_bytes_into_a_bucket_with_their_own_credentials(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    bucket: StorePath,
) -> None:
    scene = make_raster("a.tif", height=70, width=90)
    call: dict[str, Any] = {"sources": scene, "model": model_file, **RUN}
    geoseg.predict(**call, out=tmp_path / "out")
    call |= {"out": str(bucket), "scheduler": cluster.address}
    own = {name: text for name, text in os.environ.items() if name.startswith("AWS_")}
    elsewhere = {**own, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with cluster.client() as client:
        client.run(os.environ.update, elsewhere)
        unreached = r"cannot use the output folder .* \(s3://.*reached.*AWS_ENDPOINT_URL"
        with pytest.raises(ConfigError, match=rf"^worker tcp://\S+ {unreached}"):
            geoseg.predict(**call)
        client.run(os.environ.update, own)
        client.run(buckets.forget_clients)
    report = geoseg.predict(**call)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    assert_same(tmp_path / "out", bucket)


@pytest.mark.slow
def test_every_way_of_running_gives_the_same_bytes_features_and_counts(
    cluster: ExternalCluster,
    make_raster: Make,
    hcnet_file: Path,
    tmp_path: Path,
) -> None:
    """With a network whose context depends on where its window lies."""
    for name in ("a.tif", "sub/b.tif"):
        make_raster(f"in/{name}", height=90, width=130)
    ways: dict[str, dict[str, Any]] = {
        "threads": {"block": "auto"},
        "blocks": {"block": 50},
        "workers": {"workers": 2},
        "cluster": {"scheduler": cluster.file, "progress": Deleting(hcnet_file)},
    }
    run = {"confidence": True, "probabilities": True, "precision": "fp32", "device": "cpu"}
    outcomes = {}
    for way, options in ways.items():
        report = geoseg.predict(tmp_path / "in", hcnet_file, tmp_path / way, **run, **options)
        assert report.exit_code == 0, (way, report.data["failures"])
        outcomes[way] = outcome(tmp_path / way)
    assert not hcnet_file.exists()
    rasters = {name for name in outcomes["threads"] if name.endswith(".tif")}
    assert len(rasters) == 6
    found = {way: differences(each, outcomes["threads"]) for way, each in outcomes.items()}
    assert found == {way: [] for way in ways}


def test_a_worker_that_joins_late_takes_part_and_loads_the_model_once(
    cluster: ExternalCluster, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    make_raster("in/a.tif", height=150, width=300)

    class Late(Progress):
        def begin(self, *_: object) -> None:
            cluster.start_worker()
            cluster.await_workers(3)

    late = Late()
    geoseg.predict(
        tmp_path / "in", model_file, out=tmp_path / "out", scheduler=cluster.address,
        progress=late, **RUN,
    )  # fmt: skip
    with cluster.client() as client:
        assert min(client.run(loads).values()) == 1, "those of the other tests have loaded two"
    cluster.workers.pop().end()


def test_a_dry_run_asks_the_workers_and_writes_nothing(
    cluster: ExternalCluster, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    scene = make_raster()
    report = geoseg.predict(
        scene, model_file, out=tmp_path / "out", scheduler=cluster.address, dry_run=True, **RUN
    )
    assert report.data["plan"]["forwards"] > 0
    assert len(report.data["workers"]) == 2
    assert not (tmp_path / "out").exists()


def test_a_folder_that_workers_do_not_see_is_refused_with_the_worker_and_nothing_left(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = make_raster()
    # The client's file never reaches the folder that workers see under this name.
    monkeypatch.setattr(roll_call, "write_text", lambda path, text: path.parent.is_dir())
    with pytest.raises(ConfigError, match=r"worker tcp://\S+ does not see the output folder .*out"):
        geoseg.predict(scene, model_file, out=tmp_path / "out", scheduler=cluster.address, **RUN)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no address such as tcp://"), ("{}", "no file that .*scheduler-file")],
)
def test_what_is_no_scheduler_file_is_refused(
    make_raster: Make, model_file: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=message):
        geoseg.predict(make_raster(), model_file, out=tmp_path / "out", scheduler=str(file))


def test_a_scheduler_that_is_not_there_is_refused_from_its_file_too(
    make_raster: Make, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 0.5)
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:9"}))
    with pytest.raises(ConfigError, match=r"scheduler tcp://127\.0\.0\.1:9 cannot be reached"):
        geoseg.predict(make_raster(), model_file, out=tmp_path / "out", scheduler=file)
    assert not (tmp_path / "out").exists()


def test_a_cluster_without_workers_is_refused(
    make_raster: Make, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "WORKERS_SECONDS", 0.2)
    root = tmp_path / "cluster"
    root.mkdir()
    with (
        ExternalCluster(root) as empty,
        pytest.raises(ConfigError, match="has no worker; start some with `dask worker tcp:"),
    ):
        geoseg.predict(make_raster(), model_file, out=tmp_path / "out", scheduler=empty.address)
