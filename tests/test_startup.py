"""What can be refused without a library that takes long to import is refused before it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

NETWORKS = {"torch", "segmentation_models_pytorch", "timm", "torchvision", "accelerate"}
FILES = {"pyogrio", "pandas", "scipy", "matplotlib"}
"""What finding and writing polygons and drawing need; pyogrio imports pandas where that is."""
HEAVY = {*NETWORKS, *FILES, "dask", "distributed"}


def imported(code: str) -> set[str]:
    """Heavy modules that a Python process holds after some code, whatever error ended that."""
    end = f"import sys; print([m for m in {sorted(HEAVY)} if m in sys.modules])"
    program = f"try:\n    {code}\nexcept BaseException as error:\n    print(error)\n{end}"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(json.loads(result.stdout.splitlines()[-1].replace("'", '"')))


def imported_by(*arguments: object) -> tuple[str, set[str]]:
    """What the program says of an error, and the heavy modules that it has imported by then."""
    (told,) = imported_by_each([arguments])
    return told


def imported_by_each(calls: Iterable[Iterable[object]]) -> list[tuple[str, set[str]]]:
    """The same of several calls in one process, whose modules are those of all until then."""
    lines = json.dumps([[str(argument) for argument in call] for call in calls])
    program = f"""
import contextlib, io, json, sys, geoseg.cli
told = []
for call in json.loads(sys.argv[1]):
    sys.argv = ["geoseg", *call]
    with contextlib.redirect_stderr(io.StringIO()) as errors, contextlib.suppress(SystemExit):
        geoseg.cli.main()
    told.append((errors.getvalue(), [name for name in {sorted(HEAVY)} if name in sys.modules]))
print(json.dumps(told))
"""
    command = [sys.executable, "-W", "error", "-c", program, lines]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(errors, set(heavy)) for errors, heavy in json.loads(result.stdout.splitlines()[-1])]


def test_predict_refuses_files_and_options_before_torch(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    scene, wrong = make_raster(), make_raster("two.tif", bands=2)
    common = ["--model", model_file, "--out", tmp_path / "out"]
    cases: tuple[tuple[list[object], str], ...] = (
        ([tmp_path / "nowhere.tif", *common], "nowhere.tif: no such file"),
        ([wrong, *common], "two.tif"),
        ([scene, *common, "--device", "tpu"], "device 'tpu' is unknown"),
        ([scene, *common, "--scales", "0"], "factors between 0.1 and 8"),
        ([scene, *common, "--vectors", "dwg"], "'dwg' is not a format"),
        ([scene, *common, "--overlap", "99"], "overlap=99 does not fit window=32"),
        ([scene, "--model", tmp_path / "no.safetensors", "--out", tmp_path], "no.safetensors"),
        ([scene, "--model", scene, "--out", tmp_path], "not a safetensors file"),
        ([scene, *common[:2], "--out", "az://there/out"], "set AZURE_STORAGE_ACCOUNT_NAME and"),
    )
    told = imported_by_each(["predict", *arguments] for arguments, _ in cases)
    for (errors, heavy), (_, message) in zip(told, cases, strict=True):
        assert message in errors
        assert heavy == set(), message


def test_import_refuses_files_and_cards_before_torch(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"")
    common = ["--as", "smp", "--out", tmp_path / "a.safetensors", "--classes", "a,b"]
    told = ["--bands", "red", "--value-range", "0,255", "--mean", "1", "--std", "1"]
    cases: tuple[tuple[list[object], str], ...] = (
        (["a.pth", *common], "nothing says the network's bands, value_range, mean, std"),
        (["nowhere.pth", *common, *told], "nowhere.pth: no such file or folder"),
        (["a.pth", *common, *told, "--system", "unet"], "there is no system 'unet'"),
    )
    told = imported_by_each(
        ["import", tmp_path / str(name), *options] for (name, *options), _ in cases
    )
    for (errors, heavy), (_, message) in zip(told, cases, strict=True):
        assert message in errors
        assert heavy == set(), message


def test_a_config_is_refused_before_torch(tmp_path: Path) -> None:
    cases = (
        ("train", "train.lerning_rate=1", "did you mean learning_rate?"),
        ("compare", "train.lerning_rate=1", "did you mean learning_rate?"),
        ("train", "model.system=hcnt", "there is no system 'hcnt'"),
        ("compare", "model.system=hcnt", "there is no system 'hcnt'"),
        ("train", "train.best_by=iou_nothing", "there is no metric 'iou_nothing'"),
        ("train", "data.train={images: nowhere/*.tif, labels: nowhere/*.png}", "nowhere"),
    )
    rasters = {"images": "images/*.tif", "labels": "labels/*.tif"}
    document: dict[str, Any] = {
        "data": {"train": rasters, "val": rasters, "classes": ["a", "b"]},
        "model": {"system": "pixel"},
        "compare": {"systems": ["pixel"]},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    out = ["--out", tmp_path / "out"]
    told = imported_by_each(
        [command, tmp_path / "config.yaml", "--set", key, *out] for command, key, _ in cases
    )
    for (errors, heavy), (command, key, message) in zip(told, cases, strict=True):
        assert message in errors, (command, key)
        assert heavy == set(), (command, key)


def test_a_variants_typo_is_refused_before_any_network_is_looked_up(tmp_path: Path) -> None:
    rasters = {"images": "images/*.tif", "labels": "labels/*.tif"}
    document: dict[str, Any] = {
        "data": {"train": rasters, "val": rasters, "classes": ["a", "b"]},
        "model": {"system": "pixel"},
        "compare": {"variants": {"good": {}, "bad": {"train.stepps": 5}}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(document))
    errors, heavy = imported_by("compare", tmp_path / "config.yaml", "--out", tmp_path / "out")
    assert "compare, bad: train.stepps: unknown key" in errors
    assert heavy == set()


def test_commands_without_a_network_never_import_torch_nor_cause_a_warning_of_python(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    labels = make_raster("labels.tif", bands=1, nodata=255)
    (tmp_path / "classes.yaml").write_text("classes: [a, b]\nignor: 255\n")
    cases: tuple[list[object], ...] = (
        ["info", make_raster()],
        ["vectorize", labels, "--out", tmp_path / "polygons.gpkg"],
        ["evaluate", labels, labels, "--classes", "isprs", "--out", tmp_path / "scores"],
        ["prepare", "folder", tmp_path, tmp_path / "dst", "--classes", tmp_path / "classes.yaml"],
    )
    for (errors, heavy), arguments in zip(imported_by_each(cases), cases, strict=True):
        assert heavy & {*NETWORKS, "distributed"} == set(), arguments[0]
        assert "Warning" not in errors, arguments[0]


def test_options_for_a_model_are_found_without_torch(
    make_raster: Callable[..., Path], model_file: Path
) -> None:
    arguments = ["info", make_raster(dtype="uint16"), "--model", model_file]
    assert imported_by(*arguments)[1] & {*NETWORKS, "distributed"} == set()


def test_a_raster_is_described_and_missing_files_are_refused_without_what_comes_later(
    make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    assert imported_by("info", make_raster()) == ("", set())
    nowhere, out = tmp_path / "nowhere.tif", ["--out", tmp_path / "out"]
    cases: tuple[list[object], ...] = (
        ["info", nowhere],
        ["vectorize", nowhere, "--out", tmp_path / "polygons.gpkg"],
        ["evaluate", nowhere, nowhere, "--classes", "isprs", *out],
        ["prepare", "folder", nowhere, tmp_path / "dst", "--classes", "isprs"],
        ["train", nowhere, *out],
        ["compare", nowhere, *out],
    )
    for (errors, heavy), arguments in zip(imported_by_each(cases), cases, strict=True):
        assert "nowhere.tif" in errors
        assert heavy == set(), arguments[0]


@pytest.mark.slow
def test_smp_and_timm_are_imported_only_where_an_encoder_of_theirs_is_built(
    model_file: Path, make_raster: Callable[..., Path], tmp_path: Path
) -> None:
    predict = (
        f"import geoseg; geoseg.predict({str(make_raster())!r}, {str(model_file)!r}, "
        f"out={str(tmp_path / 'out')!r})"
    )
    assert imported(predict) & {*NETWORKS, "distributed"} == {"torch"}
    assert (tmp_path / "out/scene_classes.tif").exists()
    train = "import torch, geoseg.training.loop, geoseg.training.losses, geoseg.training.patches"
    assert not imported(train) & {"segmentation_models_pytorch", "timm"}
    head = "import geoseg.models as m; m.HEADS['hcnet']((8, 8), 3); m.systems(); m.Card"
    assert not imported(head) & {"segmentation_models_pytorch", "timm"}


def test_importing_commands_imports_nothing_that_takes_long() -> None:
    names = ("predict", "vectorize", "train", "evaluate", "compare", "prepare", "info")
    assert imported("import " + ", ".join(f"geoseg.commands.{name}" for name in names)) == set()


HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not HUGE_PAGES.exists() or "[never]" in HUGE_PAGES.read_text(encoding="utf-8"),
    reason="this system has no huge pages",
)
def test_large_tensors_lie_in_huge_pages_also_where_torch_is_imported_first() -> None:
    held = "open('/proc/self/smaps_rollup').read().split('AnonHugePages:')[1].split()[0]"
    program = (
        f"import torch, geoseg\nbefore = int({held})\nx = torch.ones(2**25)\n"
        f"print(int({held}) - before)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert int(result.stdout) > 2**16  # KiB, of 128 MiB


def test_who_has_said_whether_tensors_lie_in_huge_pages_is_heard() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import geoseg, os; print(os.environ['THP_MEM_ALLOC_ENABLE'])"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "THP_MEM_ALLOC_ENABLE": "0"},
    )
    assert result.stdout == "0\n"


def test_what_is_left_at_the_end_of_the_program_is_not_walked_over() -> None:
    program = (
        "import atexit, gc, sys, geoseg.cli\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "sys.argv = ['geoseg', '--version']\n"
        "geoseg.cli.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "True"
