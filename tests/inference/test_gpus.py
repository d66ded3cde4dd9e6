"""``--device cuda:all``: a worker process on each GPU, or one line; the GPUs are pretended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import geoseg
from geoseg.errors import ConfigError
from geoseg.inference.gpus import visible_gpus, workers_on
from geoseg.inference.run import PredictRun

MakeRun = Callable[..., PredictRun]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Have torch see GPUs of these names, whatever the machine has."""

    def see(*names: str, chosen: str | None = None) -> None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if chosen is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: names[device.index])
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))

    return see


@pytest.mark.parametrize(
    ("count", "chosen", "names"),
    [(2, None, ["0", "1"]), (2, "3,1", ["3", "1"]), (1, "GPU-8932f937,9", ["GPU-8932f937"])],
)
def test_gpus_have_the_names_by_which_the_user_chose_them(
    pretend: Callable[..., None], count: int, chosen: str | None, names: list[str]
) -> None:
    pretend(*["H200"] * count, chosen=chosen)
    assert visible_gpus() == names


def test_each_gpu_gets_a_process_or_as_many_as_were_asked_for(
    pretend: Callable[..., None], make_run: MakeRun
) -> None:
    pretend("H200", "H200", "H200")
    run = make_run(device="cuda:all", precision="auto")
    assert (run.processes, run.gpus, run.forward.device) == (3, ("0", "1", "2"), "cuda")
    assert run.forward.precision == "bf16"
    assert run.agreement is not None
    assert run.agreement.warning is None
    assert make_run(device="cuda:all", workers=7).processes == 7
    with pytest.raises(ConfigError, match="workers 2: each of 3 GPUs needs one; leave the option"):
        make_run(device="cuda:all", workers=2)
    assert workers_on([], 2) == 2


def test_gpus_that_are_not_alike_are_refused_or_said(
    pretend: Callable[..., None], make_run: MakeRun
) -> None:
    pretend("H200", "H200", "A4000")
    with pytest.raises(ConfigError, match=r"not alike .*A4000.*such as on GPU 2.*--mixed"):
        make_run(device="cuda:all")
    mixed = make_run(device="cuda:all", mixed=True)
    assert mixed.agreement is not None
    assert "A4000" in str(mixed.agreement.warning)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"dry_run": True}])
def test_a_machine_without_gpus_is_refused_before_anything_is_written(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="'cuda:all' is not there: no CUDA device found; use cpu"):
        geoseg.predict(
            make_raster(), model_file, out=tmp_path / "out", device="cuda:all", **options
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_all_gpus_give_the_labels_of_one(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    scene = make_raster(height=100, width=200)
    for device in ("cuda", "cuda:all"):
        report = geoseg.predict(scene, model_file, out=tmp_path / device, device=device, block=40)
        assert report.exit_code == 0, report.data["failures"]
    one, each = (tmp_path / device / "scene_classes.tif" for device in ("cuda", "cuda:all"))
    assert each.read_bytes() == one.read_bytes()
