"""The command line: help, exit codes, one clear line per error."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import geoseg
from geoseg.cli import cli
from geoseg.errors import OutputError
from geoseg.failures import begun
from geoseg.inference.options import PredictOptions
from geoseg.progress import Progress
from geoseg.report import Report
from geoseg.terminal import TerminalProgress

ROOT = Path(__file__).parents[1]


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_is_documented(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert cli.commands[name].help
    texts = (ROOT / "README.md").read_text() + "".join(
        page.read_text() for page in (ROOT / "docs").glob("*.md")
    )
    assert f"geoseg {name}" in texts


@pytest.mark.parametrize(
    "arguments", [["predict", "", "--model", "demo", "--out", "o"], ["train", ""]]
)
def test_empty_text_is_no_path(arguments):
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "an empty text is no path; a variable of the shell may not be set" in result.output


def test_every_option_of_predict_is_documented():
    page = (ROOT / "docs/predict.md").read_text()
    for parameter in cli.commands["predict"].params:
        for option in parameter.opts:
            if option.startswith("--") and option not in ("--model", "--out"):
                assert option in page


def test_predict_prints_what_was_done_and_json_prints_the_report(make_raster, model_file, tmp_path):
    result = call("predict", make_raster(), "--model", model_file, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "plan: 1 raster" in result.stderr
    assert "1 done in" in result.stdout
    again = call(
        "predict",
        make_raster(),
        "--model",
        model_file,
        "--out",
        tmp_path / "out",
        "--json",
        "--overwrite",
    )
    assert json.loads(again.stdout)["inputs"][0]["status"] in ("done", "kept")


def test_quiet_prints_nothing(make_raster, model_file, tmp_path):
    result = call(
        "predict", make_raster(), "--model", model_file, "--out", tmp_path / "out", "--quiet"
    )
    assert (result.exit_code, result.output) == (0, "")


def test_some_failed_inputs_exit_1_and_all_exit_2(make_raster, model_file, tmp_path):
    good, bad = make_raster("good.tif"), make_raster("bad.tif", bands=1)
    some = call("predict", good, bad, "--model", model_file, "--out", tmp_path / "some")
    assert some.exit_code == 1
    assert "geoseg: " in some.stderr
    assert "bad.tif" in some.stderr
    none = call("predict", bad, "--model", model_file, "--out", tmp_path / "none")
    assert none.exit_code == 2
    assert len(none.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("predict", "a.tif", "--out", "o"),
            "Missing option '--model'; geoseg predict --help shows what there is",
        ),
        (
            ("predict", "--model", "m", "--out", "o"),
            "Missing argument 'SOURCES...'; geoseg predict --help shows",
        ),
        (
            ("info", "a.tif", "--window", "3"),
            "No such option.*--window.*; geoseg info --help shows what there is",
        ),
        (
            ("demo", "--out"),
            "Option '--out' requires an argument; geoseg demo --help shows what there is",
        ),
        (("predikt",), "No such command 'predikt'.*; geoseg --help shows what there is"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_line_and_exit_2(arguments, message):
    result = CliRunner().invoke(cli, arguments, prog_name="geoseg")
    assert result.exit_code == 2
    assert not result.stdout
    assert re.fullmatch(f"geoseg: {message}.*\n", result.stderr)


@pytest.mark.parametrize("error", [TypeError("no such thing"), KeyError(3), OSError(24, "files")])
@pytest.mark.parametrize("name", ["info", "train", "predict"])
def test_an_error_that_nobody_expects_is_one_line_too(name, error, monkeypatch):
    record(monkeypatch, name, error)
    result = call(name, *EXAMPLES[name])
    assert (result.exit_code, result.stdout) == (2, "")
    expected = (
        f"geoseg: {name}: an error that geoseg does not know .{type(error).__name__}: .*--debug"
    )
    assert re.fullmatch(f"{expected}.*\n", result.stderr)
    assert "Traceback" in call(name, *EXAMPLES[name], "--debug").stderr


def test_an_error_after_something_was_begun_exits_1(monkeypatch):
    for error in (OutputError("no"), TypeError("no")):
        with pytest.raises(type(error)), begun():
            raise error
        record(monkeypatch, "train", error)
        assert call("train", "c.yaml").exit_code == 1


def test_with_json_an_error_is_an_object_on_stdout(tmp_path):
    result = call("info", tmp_path / "nothing.tif", "--json")
    line = f"{tmp_path}/nothing.tif: no such file or folder; check the path"
    assert result.exit_code == 2
    assert result.stderr == f"geoseg: {line}\n"
    assert json.loads(result.stdout) == {"error": "SourceError", "exit_code": 2, "failures": [line]}


@pytest.mark.parametrize(
    "arguments", [("predict", "a.tif"), ("info", "a.tif", "--windw", "3"), ("demo", "--set", "1")]
)
def test_with_json_a_command_line_that_cannot_be_read_is_an_object_too(arguments):
    result = call(*arguments, "--json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["error"], document["exit_code"]) == (2, "UsageError", 2)
    assert result.stderr == f"geoseg: {document['failures'][0]}\n"


def test_errors_are_one_line_and_debug_shows_the_traceback(model_file, tmp_path):
    arguments = (
        "predict",
        tmp_path / "nothing.tif",
        "--model",
        model_file,
        "--out",
        tmp_path / "out",
    )
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("geoseg: ")
    assert len(result.stderr.strip().splitlines()) == 1
    debugged = call("--debug", *arguments)
    assert debugged.exit_code == 2
    assert "Traceback" in debugged.stderr


def test_info_describes_models_and_rasters(make_raster, model_file):
    model = call("info", model_file)
    assert model.exit_code == 0
    assert "road, roof, grass" in model.stdout
    raster = call("info", make_raster(), "--json")
    assert json.loads(raster.stdout)["height"] == 64


def test_systems_lists_each_system_with_its_paper():
    result = call("systems")
    assert result.exit_code == 0
    for name in geoseg.systems():
        assert name in result.stdout
    assert "arxiv.org/abs/2010.04962" in result.stdout


def test_vectorize_writes_polygons_of_a_prediction(make_raster, model_file, tmp_path):
    out = tmp_path / "out"
    call("predict", make_raster(), "--model", model_file, "--out", out, "--vectors", "none")
    result = call("vectorize", out / "scene_classes.tif", "--out", tmp_path / "again.gpkg")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "again.gpkg").exists()


EXAMPLES = {
    "predict": ("a.tif", "--model", "m", "--out", "o"),
    "vectorize": ("a.tif", "--out", "o"),
    "train": ("c.yaml",),
    "evaluate": ("p", "r", "--classes", "isprs", "--out", "o"),
    "compare": ("c.yaml", "--out", "o"),
    "prepare": ("folder", "src", "dst"),
    "info": ("a.tif",),
    "systems": (),
    "export": ("demo", "--to", "onnx", "--out", "m.onnx"),
    "import": ("a.pth", "--as", "smp", "--out", "m.safetensors"),
    "models": (),
    "demo": (),
    "view": ("results",),
}


class Recorder:
    """Replaces the `run` of a command."""

    def __init__(self, outcome):
        self.outcome = outcome

    def __call__(self, *arguments, **options):
        self.arguments, self.options = arguments, options
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def record(monkeypatch, name, outcome):
    recorder = Recorder(outcome)
    module = "import_" if name == "import" else name  # a word of Python
    monkeypatch.setattr(importlib.import_module(f"geoseg.commands.{module}"), "run", recorder)
    return recorder


def test_there_is_an_example_of_every_command():
    assert set(EXAMPLES) == set(cli.commands)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_command_calls_its_run_and_prints_its_report(name, monkeypatch):
    outcome = Report("done", {"warnings": ["w"], "failures": ["f"], "x": float("nan")}, 1)
    recorder = record(monkeypatch, name, outcome)
    result = call(name, *EXAMPLES[name])
    assert (result.exit_code, result.stdout) == (1, "done\n")
    assert result.stderr == "geoseg: warning: w\ngeoseg: f\n"
    as_json = call(name, *EXAMPLES[name], "--json")
    assert json.loads(as_json.stdout) == {"warnings": ["w"], "failures": ["f"], "x": "nan"}
    assert not {"as_json", "quiet", "debug"} & set(recorder.options)
    silent = name in ("vectorize", "info", "systems", "export", "import", "models")
    if silent:
        assert "progress" not in recorder.options
        return
    assert isinstance(recorder.options["progress"], TerminalProgress)
    if name == "view":  # quiet, it would not say where the map is
        return
    quiet = call(name, *EXAMPLES[name], "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (1, "", "geoseg: f\n")
    assert type(recorder.options["progress"]) is Progress


def test_arguments_and_options_reach_the_command(monkeypatch):
    recorder = record(monkeypatch, "predict", Report("done"))
    call("predict", "a.tif", "b", "--model", "m", "--out", "o", "--dry-run", "--nodata", "3")
    assert recorder.arguments == ([Path("a.tif"), Path("b")], "m", "o")
    options = dict(recorder.options)
    assert options.pop("allow_remote") is False
    assert isinstance(options.pop("progress"), TerminalProgress)
    wanted = PredictOptions.from_keywords(dry_run=True, nodata=3)
    assert PredictOptions.from_keywords(**options) == wanted  # the others have their defaults
    recorder = record(monkeypatch, "train", Report("done"))
    call("train", "c.yaml", "--set", "a=1", "--set", "b.c=2", "--resume")
    assert recorder.arguments == (Path("c.yaml"),)
    assert recorder.options["overrides"] == ("a=1", "b.c=2")
    assert (recorder.options["out"], recorder.options["resume"]) == (None, True)
    recorder = record(monkeypatch, "evaluate", Report("done"))
    call("evaluate", "p", "r", "--classes", "isprs", "--out", "o")
    assert recorder.arguments == ("p", "r")
    assert recorder.options["classes"] == "isprs"
    assert recorder.options["out"] == Path("o")
    assert (recorder.options["tolerance"], recorder.options["erode"]) == (3, None)


CONTINUES = "the same command continues where this run stopped"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        *((name, CONTINUES) for name in ("predict", "prepare", "compare", "demo")),
        *((name, "run it again") for name in ("export", "import", "info", "models", "systems")),
        ("train", "--resume continues from the last saved state"),
        ("evaluate", "nothing was written; run it again"),
        ("vectorize", "nothing was written; run it again"),
    ],
)
def test_an_interrupted_command_says_what_to_do_and_exits_130(name, advice, monkeypatch):
    record(monkeypatch, name, KeyboardInterrupt())
    result = call(name, *EXAMPLES[name])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == f"geoseg: interrupted; {advice}\n"


def test_of_processes_that_train_together_only_the_first_prints(monkeypatch):
    record(monkeypatch, "train", Report("done"))
    monkeypatch.setenv("RANK", "1")
    assert call("train", "c.yaml").stdout == ""
    monkeypatch.setenv("RANK", "0")
    assert call("train", "c.yaml").stdout == "done\n"


def test_debug_may_come_after_the_command(tmp_path):
    result = call("info", tmp_path / "nothing.tif", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "Traceback" not in call("info", tmp_path / "nothing.tif").stderr


def test_the_help_shows_every_option_below_the_heading_of_its_theme() -> None:
    text = call("predict", "--help").output
    headings = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings[0] == "Options:"
    assert len(headings) == len(set(headings)) > 3
    for parameter in cli.commands["predict"].params:
        if isinstance(parameter, click.Option):
            assert len(re.findall(rf"  {parameter.opts[0]}(?![\w-])", text)) == 1


def test_the_package_is_the_program() -> None:
    command = [sys.executable, "-m", "geoseg", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"geoseg {geoseg.__version__}\n"
