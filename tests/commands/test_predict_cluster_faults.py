"""Workers that cannot take part, TLS, and a scheduler that is lost: one line each, nothing lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import trustme
from distributed import versions
from distributed.versions import VersionMismatchWarning, get_versions

import geoseg
from geoseg.errors import ConfigError, SchedulerLostError
from geoseg.inference import cluster_slots, roll_call
from geoseg.inference.roll_call import known_workers, silent_workers
from geoseg.progress import Progress
from tests.chaos.faults import BLIND, OTHER_VERSION, READ_ONLY
from tests.chaos.outcome import differences, outcome
from tests.chaos.processes import ExternalCluster, wait_until

Make = Callable[..., Path]
RUN: dict[str, Any] = {"precision": "fp32", "device": "cpu", "block": 40, "encode": "window"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = tmp_path / "cluster"
    root.mkdir()
    return root


@pytest.fixture
def cluster(root: Path) -> Iterator[ExternalCluster]:
    with ExternalCluster(root) as cluster:
        yield cluster


def test_workers_without_geoseg_or_with_another_are_refused_with_what_each_has(
    cluster: ExternalCluster, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    cluster.start_worker()
    cluster.start_worker("--preload", "tests.chaos.without_geoseg")
    cluster.start_worker("--preload", "tests.chaos.broken_geoseg")
    cluster.start_worker(changed=OTHER_VERSION)
    cluster.await_workers(4)
    with pytest.raises(ConfigError) as refused:
        geoseg.predict(make_raster(), model_file, tmp_path / "out", scheduler=cluster.file, **RUN)
    line = str(refused.value)
    assert line.startswith("worker tcp://")
    assert line.count(" has no geoseg") == line.count(" has geoseg 0.0.9") == 1
    assert line.count(" cannot import its geoseg (") == 1
    assert f"; install geoseg {geoseg.__version__}, which runs here" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (BLIND, r"cannot read \S+scene\.tif; give inputs on a path that all workers share"),
        (READ_ONLY, r"cannot write into the output folder \S+out \(.*\); let its user do so"),
    ],
)
def test_a_worker_that_cannot_read_or_write_is_refused_with_its_address(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    changed: dict[str, Any],
    message: str,
) -> None:
    cluster.start_worker()
    cluster.start_worker(changed=changed)
    cluster.await_workers(2)
    with pytest.raises(ConfigError, match=rf"^worker tcp://\S+ {message}$"):
        geoseg.predict(make_raster(), model_file, tmp_path / "out", scheduler=cluster.file, **RUN)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("known", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_worker_that_is_frozen_before_the_start_is_not_waited_for(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
) -> None:
    monkeypatch.setattr(roll_call, "SILENT_SECONDS", 1.5)
    frozen = cluster.start_worker()
    cluster.start_worker()
    cluster.await_workers(2)
    frozen.freeze()
    with cluster.client() as client:
        wait_until(lambda: not known or silent_workers(known_workers(client)), "it is silent")
    report = geoseg.predict(
        make_raster(), model_file, tmp_path / "out", scheduler=cluster.file, **RUN
    )
    assert report.exit_code == 0
    assert len(report.data["workers"]) == 1


class Losing(Progress):
    """Has the scheduler die once some windows are done, and hears lines."""

    def __init__(self, cluster: ExternalCluster | None = None) -> None:
        self.lines: list[str] = []
        self._cluster = cluster

    def advance(self, _: int) -> None:
        if self._cluster is not None:
            self._cluster.scheduler.kill()

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_a_scheduler_that_is_lost_for_good_interrupts_and_the_next_run_continues(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cluster_slots, "RECONNECT_SECONDS", 0.5)
    scene = make_raster(height=70, width=150)
    geoseg.predict(scene, model_file, out=tmp_path / "here", **RUN)
    cluster.start_worker()
    cluster.await_workers(1)
    listener, out = Losing(cluster), tmp_path / "out"
    with pytest.raises(SchedulerLostError, match="the same command continues") as lost:
        geoseg.predict(scene, model_file, out, scheduler=cluster.address, progress=listener, **RUN)
    assert lost.value.exit_code == 130
    cluster.scheduler.join()
    cluster.workers.pop().end()
    cluster.start_scheduler()
    cluster.start_worker()
    cluster.await_workers(1)
    heard = Losing()
    again = geoseg.predict(scene, model_file, out, scheduler=cluster.address, progress=heard, **RUN)
    assert again.exit_code == 0
    assert any("resuming" in line for line in heard.lines)
    assert differences(outcome(out), outcome(tmp_path / "here")) == []


def test_a_tls_cluster_is_joined_with_dasks_own_settings_and_refused_without(
    root: Path, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1")
    known, secret = str(tmp_path / "ca.pem"), str(tmp_path / "own.pem")
    authority.cert_pem.write_to_path(known)
    own.private_key_and_cert_chain_pem.write_to_path(secret)
    security = ("--tls-ca-file", known, "--tls-cert", secret, "--tls-key", secret)
    settings = {"ca-file": known, "client.cert": secret, "client.key": secret}
    predict = {"scheduler": root / "scheduler.json", **RUN}
    with ExternalCluster(root, security=security) as cluster:
        cluster.start_worker()
        with pytest.raises(ConfigError, match=r"tls://\S+ cannot be reached .*Dask's own TLS set"):
            geoseg.predict(make_raster(), model_file, tmp_path / "refused", **predict)
        with dask.config.set({f"distributed.comm.tls.{key}": settings[key] for key in settings}):
            report = geoseg.predict(make_raster(), model_file, tmp_path / "out", **predict)
    assert (report.exit_code, report.data["warnings"]) == (0, [])
    assert report.data["workers"][0]["address"].startswith("tls://")


def test_other_versions_in_a_cluster_are_a_warning_in_one_line(
    cluster: ExternalCluster,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recwarn: pytest.WarningsRecorder,
) -> None:
    own = get_versions()
    own["packages"]["msgpack"] = "0.0.9"
    cluster.start_worker()
    cluster.await_workers(1)
    monkeypatch.setattr(versions, "get_versions", lambda: own)
    report = geoseg.predict(
        make_raster(), model_file, tmp_path / "out", scheduler=cluster.address, **RUN
    )
    (line,) = report.data["warnings"]
    found = r"msgpack: Client 0\.0\.9, Scheduler \d[\d.]*, Workers \d[\d.]*"
    assert re.fullmatch(rf"versions differ in the cluster \({found}\); equal ones are safest", line)
    assert not [each for each in recwarn if issubclass(each.category, VersionMismatchWarning)]
