"""Comparisons of tiny models: what is paired, what is kept, and what is refused."""

import csv
import errno
import importlib
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

import geoseg
from geoseg.cli import cli
from geoseg.commands import compare
from geoseg.config import load_config
from geoseg.errors import ConfigError, DeviceError, DiskError, OutputError
from geoseg.failures import exit_code_of
from geoseg.locks import lock_folder
from geoseg.progress import Progress
from tests.fixtures.faults import stages_and_faults

undrawn = pytest.mark.usefixtures("nothing_drawn")


class Notes(Progress):
    def __init__(self):
        self.lines = []

    def note(self, line):
        self.lines.append(line)


@pytest.fixture
def variants(config):
    """The same network at two learning rates."""
    rates = {"fast": {"train.learning_rate": 0.5}, "slow": {"train.learning_rate": 0.001}}
    return config | {
        "compare": {"variants": rates, "seeds": [3, 5], "steps": 4, "baseline": "slow"}
    }


def test_each_variant_is_trained_once_a_seed_and_its_differences_are_paired(variants, tmp_path):
    report = geoseg.compare(variants, out=tmp_path / "out")
    assert report.exit_code == 0
    fast, slow = (report.data["variants"][name]["mean_iou"] for name in ("fast", "slow"))
    assert len(fast["runs"]) == len(slow["runs"]) == 2
    assert fast["difference"][0] == pytest.approx(np.mean(np.subtract(fast["runs"], slow["runs"])))
    assert slow["difference"] == [0.0, 0.0, 0.0]
    assert fast["std"] == pytest.approx(np.std(fast["runs"], ddof=1))
    for seed, value in zip((3, 5), fast["runs"], strict=True):
        alone = geoseg.train(
            {key: value for key, value in variants.items() if key != "compare"},
            out=tmp_path / f"alone{seed}",
            overrides=[f"train.seed={seed}", "train.steps=4", "train.validate_every=4"],
        )
        assert alone.data["validation"]["mean_iou"] == value
    rows = list(csv.DictReader((tmp_path / "out/compare.csv").open()))
    assert [row["variant"] for row in rows] == ["fast", "slow"]
    assert json.loads((tmp_path / "out/compare.json").read_text())["variants"].keys() == {
        "fast",
        "slow",
    }
    assert (tmp_path / "out/compare.png").read_bytes().startswith(b"\x89PNG")
    assert "fast " in report.text
    assert "against slow" in report.text


@undrawn
def test_runs_that_are_done_are_kept_and_another_config_is_refused(variants, tmp_path):
    first = geoseg.compare(variants, out=tmp_path / "out")
    notes = Notes()
    again = geoseg.compare(variants, out=tmp_path / "out", progress=notes)
    assert notes.lines == []
    assert again.data["variants"] == first.data["variants"]
    with pytest.raises(
        ConfigError,
        match=r"fast/seed3: was trained with another config; set it back, or give another",
    ):
        geoseg.compare(variants, out=tmp_path / "out", overrides=["train.batch=1"])
    wider = variants | {"compare": variants["compare"] | {"seeds": [3, 5, 7]}}
    geoseg.compare(wider, out=tmp_path / "out", progress=notes)
    assert [line for line in notes.lines if line.startswith("run ")] == [
        "run 5 of 6: fast, seed 7",
        "run 6 of 6: slow, seed 7",
    ]


def configs(document, out):
    """The config of each run, by its variant."""
    base = load_config(document)
    runs = compare._runs(base, base.compare, document, (), out)
    return {one.variant: one.config for one in runs}


def test_systems_bring_their_own_switches(config, tmp_path):
    config["model"] |= {
        "system": "hcnet",
        "encoder": "tu-test_resnet",
        "options": {"channels": 8, "pixel": False},
    }
    runs = configs(config | {"compare": {"systems": ["fcn", "hcnet"], "seeds": [0]}}, tmp_path)
    assert (runs["fcn"].model.system, runs["fcn"].model.options) == ("fcn", {})
    assert runs["hcnet"].model.options == {"channels": 8, "pixel": False}
    assert runs["fcn"].model.encoder == "tu-test_resnet"


def test_what_the_config_leaves_out_follows_from_the_variant(config, tmp_path):
    sides = {
        "small": {"train.crop": 16},
        "large": {"train.crop": 48},
        "own": {"predict.window": 24},
    }
    del config["predict"]
    runs = configs(config | {"compare": {"variants": sides, "seeds": [0]}}, tmp_path)
    assert {name: (run.predict.window, run.predict.overlap) for name, run in runs.items()} == {
        "small": (16, 4),
        "large": (48, 12),
        "own": (24, 6),
    }
    assert all(run.compare is None for run in runs.values())


@undrawn
def test_a_run_that_another_process_trains_is_left_to_it(variants, tmp_path):
    with lock_folder(tmp_path / "out/fast/seed5"):
        report = geoseg.compare(variants, out=tmp_path / "out")
    assert report.exit_code == 1
    assert report.data["failures"][0].endswith(
        "another process trains it; the same command later makes the whole table"
    )
    assert report.data["variants"]["fast"]["seeds"] == [3]
    assert geoseg.compare(variants, out=tmp_path / "out").exit_code == 0


@undrawn
def test_a_failed_run_is_named_and_the_others_continue(variants, tmp_path):
    variants["compare"]["variants"]["broken"] = {"train.class_weights": [1.0]}
    report = geoseg.compare(variants, out=tmp_path / "out")
    assert report.exit_code == 1
    assert report.data["failures"][0].startswith("broken, seed 3: ")
    assert report.data["variants"].keys() == {"fast", "slow"}


STAGES = {
    "opening": ("geoseg.commands.train", "_open"),
    "building": ("geoseg.commands.train", "_network"),
    "reading": ("geoseg.commands.train", "_statistics"),
    "training": ("geoseg.training.loop", "fit"),
    "noting the result": ("geoseg.commands.compare", "write_text"),
}
FAULTS = [TypeError("not\nunderstood"), OSError(errno.EMFILE, "files"), MemoryError()]


def break_run(monkeypatch, stage, error, number):
    """Let the n-th run that passes a stage raise there."""
    module = importlib.import_module(STAGES[stage][0])
    healthy, passed = getattr(module, STAGES[stage][1]), []

    def broken(*arguments, **options):
        passed.append(stage)
        if len(passed) == number:
            raise error
        return healthy(*arguments, **options)

    monkeypatch.setattr(module, STAGES[stage][1], broken)


@undrawn
@pytest.mark.parametrize(("stage", "error"), stages_and_faults(STAGES, FAULTS))
def test_whatever_one_run_raises_at_any_stage_the_others_are_trained(
    variants, tmp_path, monkeypatch, stage, error
):
    with monkeypatch.context() as patch:
        break_run(patch, stage, error, number=2)
        report = geoseg.compare(variants, out=tmp_path / "out")
    assert report.exit_code == 1
    (line,) = report.data["failures"]
    assert line.startswith("slow, seed 3: ")
    assert type(error).__name__ in line
    assert "\n" not in line
    assert report.data["variants"]["slow"]["seeds"] == [5]
    assert report.data["variants"]["fast"]["seeds"] == [3, 5]
    again = geoseg.compare(variants, out=tmp_path / "out")
    assert again.exit_code == 0
    assert again.data["variants"]["slow"]["seeds"] == [3, 5]


@undrawn
@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("training", DeviceError("cuda: lost")),
        ("noting the result", DiskError("out: the disk is full")),
    ],
)
def test_a_fault_of_the_comparison_stops_it_once_and_lists_the_runs_that_are_left(
    variants, tmp_path, monkeypatch, stage, error
):
    with monkeypatch.context() as patch:
        break_run(patch, stage, error, number=2)
        with pytest.raises(type(error)) as caught:
            geoseg.compare(variants, out=tmp_path / "out")
    assert exit_code_of(caught.value) == 1
    assert str(caught.value).splitlines() == [
        str(error),
        "the run was stopped there; not done: fast, seed 5, slow, seed 5; "
        "the same command continues",
    ]
    assert geoseg.compare(variants, out=tmp_path / "out").exit_code == 0


@undrawn
def test_runs_whose_rasters_or_folders_cannot_be_used_are_named_too(
    variants, make_raster, tmp_path
):
    make_raster("labels/wrong_gt.tif", data=np.full((1, 64, 80), 77, np.uint8))
    wrong = {
        "images": f"{tmp_path}/images/train_1_ortho.tif",
        "labels": f"{tmp_path}/labels/wrong_gt.tif",
    }
    variants["compare"]["variants"]["wrong"] = {"data.train": wrong}
    (tmp_path / "out/fast").mkdir(parents=True)
    (tmp_path / "out/fast/seed3").touch()
    report = geoseg.compare(variants, out=tmp_path / "out")
    fast, wrong, again = report.data["failures"]
    assert fast.startswith("fast, seed 3: output folder ")
    assert "cannot be written" in fast
    assert wrong.startswith("wrong, seed 3: ")
    assert "value 77" in wrong
    assert again.startswith("wrong, seed 5: ")
    assert {name: entry["seeds"] for name, entry in report.data["variants"].items()} == {
        "fast": [5],
        "slow": [3, 5],
    }


def test_where_no_run_succeeds_there_is_no_table(variants, tmp_path):
    with pytest.raises(ConfigError, match=r"fast, seed 3: .*class_weights"):
        geoseg.compare(variants, out=tmp_path / "out", overrides=["train.class_weights=[1]"])
    assert not list((tmp_path / "out").glob("compare.*"))


def test_a_damaged_result_is_named(variants, tmp_path):
    (tmp_path / "out/fast/seed3").mkdir(parents=True)
    (tmp_path / "out/fast/seed3/result.json").write_text('{"key": ')
    with pytest.raises(
        OutputError, match=r"result\.json: cannot be read \(.*\); remove it to train this run again"
    ):
        geoseg.compare(variants, out=tmp_path / "out")


@undrawn
def test_one_seed_has_no_spread(variants, tmp_path):
    variants["compare"]["seeds"] = [3]
    report = geoseg.compare(variants, out=tmp_path / "out")
    assert report.data["variants"]["fast"]["mean_iou"]["std"] is None
    assert "±" not in report.text
    row = next(csv.DictReader((tmp_path / "out/compare.csv").open()))
    assert (row["mean_iou_std"], row["mean_iou_low"], row["mean_iou_high"]) == ("", "", "")
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(variants))
    shown = CliRunner().invoke(
        cli, ["compare", str(tmp_path / "one.yaml"), "--out", str(tmp_path / "out"), "--json"]
    )
    document = json.loads(
        shown.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )
    assert document["variants"]["fast"]["mean_iou"]["difference"][1:] == ["-inf", "inf"]


@undrawn
def test_an_unfinished_run_continues(variants, tmp_path):
    class Pulled(Progress):
        left = 3

        def begin(self, what, total):
            self.counts = what == "training"

        def advance(self, count):
            self.left -= count * self.counts
            if self.left == 0:
                raise KeyboardInterrupt

    variants["train"] |= {"validate_every": 2}
    whole = geoseg.compare(variants, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        geoseg.compare(variants, out=tmp_path / "out", progress=Pulled())
    assert (tmp_path / "out/fast/seed3/last.safetensors").exists()
    assert (
        geoseg.compare(variants, out=tmp_path / "out").data["variants"].keys()
        == whole.data["variants"].keys()
    )
    rows = [
        (tmp_path / name / "fast/seed3/metrics.csv").read_text().splitlines()
        for name in ("whole", "out")
    ]
    assert [row.split(",")[3:] for row in rows[0]] == [row.split(",")[3:] for row in rows[1]]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (None, "compare: is missing; give compare: {systems:"),
        ({"seeds": [1]}, "compare: nothing to compare; give systems"),
        ({"systems": ["fcn", "fcn"]}, "compare: fcn is given twice"),
        ({"systems": ["fcn"], "seeds": [1, 1]}, "compare: 1 is given twice"),
        (
            {"variants": {"a": {"train.seed": 1}}},
            "compare, a: train.seed: 1 would break the pairs; give all seeds in",
        ),
        ({"variants": {"a/../../b": {}}}, "compare: variant 'a/../../b' cannot name a folder"),
        ({"variants": {"..": {}}}, "compare: variant '..' cannot name a folder"),
        (
            {"variants": {"a": {"data.val": []}}},
            "compare, a: data.val is missing; give the tiles on which all are validated",
        ),
        ({"systems": ["fcn"], "baseline": "hcnet"}, "compare: baseline 'hcnet' is not one of fcn"),
        (
            {"variants": {"a": {"train.stepz": 3}}},
            "compare, a: train.stepz: unknown key; did you mean steps?",
        ),
        (
            {"systems": ["pixel", "hcnett"]},
            "compare, hcnett: model.system: there is no system 'hcnett'; there are hcnet",
        ),
        (
            {"variants": {"a": {"model.options": {"width": 3}}}},
            "compare, a: pixel has no option 'width'; it has none",
        ),
        ({"sytems": ["fcn"]}, "compare.sytems: unknown key; did you mean systems?"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(config, tmp_path, section, message):
    document = config if section is None else config | {"compare": section}
    with pytest.raises(ConfigError, match=message.replace("?", r"\?").replace("{", r"\{")):
        geoseg.compare(document, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
