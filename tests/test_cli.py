"""The command line: help, exit codes, one clear line per error."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import geoseg
from geoseg.cli import cli

ROOT = Path(__file__).parents[1]


@pytest.fixture
def model_file(tmp_path):
    net = geoseg.create_model("pixel", classes=3, in_channels=3)
    return geoseg.save_model(
        net,
        tmp_path / "model.safetensors",
        classes=["road", "roof", "grass"],
        bands=["red", "green", "blue"],
        value_range=(0, 255),
        mean=[120.0] * 3,
        std=[60.0] * 3,
        window=32,
        overlap=8,
    )


def call(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_and_stands_in_the_documentation(name):
    result = call(name, "--help")
    assert result.exit_code == 0
    assert cli.commands[name].help
    texts = (ROOT / "README.md").read_text() + "".join(
        page.read_text() for page in (ROOT / "docs").glob("*.md")
    )
    assert f"geoseg {name}" in texts


def test_every_option_of_predict_is_documented():
    page = (ROOT / "docs/predict.md").read_text()
    for parameter in cli.commands["predict"].params:
        for option in parameter.opts:
            if option.startswith("--") and option not in ("--model", "--out"):
                assert option in page


def test_predict_prints_what_it_did_and_json_prints_the_report(make_raster, model_file, tmp_path):
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


def test_info_tells_of_models_and_rasters(make_raster, model_file):
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
