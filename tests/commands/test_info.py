"""What geoseg makes of a file."""

import shlex
import shutil
import zipfile

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner
from rasterio.transform import from_origin
from safetensors.torch import save_file

import geoseg
from geoseg.cli import cli
from geoseg.commands.info import run
from geoseg.errors import ConfigError, GeosegError, ModelError, SourceError


def line_of(report, name):
    return next(
        line.removeprefix(name).strip()
        for line in report.text.splitlines()
        if line.startswith(f"{name}  ")
    )


def test_a_model_shows_its_card(model_file):
    report = run(model_file)
    assert report.data["parameters"] == 3 * 4 + 4
    assert line_of(report, "classes") == "road, roof, grass, tree"
    assert line_of(report, "value range") == "0, 255"


def test_a_network_of_another_program_is_described_by_its_card(make_raster, tmp_path):
    torch.jit.trace(torch.nn.Conv2d(1, 2, 1), torch.zeros(1, 1, 4, 4)).save(tmp_path / "x.pt")
    card = tmp_path / "my card.yaml"
    card.write_text("classes: [a, b]\nbands: [gray]\nvalue_range: [0, 255]\nmean: [0]\nstd: [1]\n")
    report = run(tmp_path / "x.pt", card=card)
    assert (line_of(report, "system"), line_of(report, "classes")) == ("external", "a, b")
    assert line_of(report, "parameters") == "4"
    raster = make_raster("gray.tif", bands=1)
    fit = run(raster, model=tmp_path / "x.pt", card=card)
    assert f"--card '{card}'" in line_of(fit, "command")
    with pytest.raises(ModelError, match=r"give --card FILE \(or a card.yaml beside it\)"):
        run(tmp_path / "x.pt")
    with pytest.raises(ConfigError, match="is of a model; give one with --model"):
        run(raster, card=card)


def test_the_folder_of_a_model_is_that_model(model_file, make_raster, tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copy(model_file, folder / "model.safetensors")
    assert run(folder).data["sha256"] == run(model_file).data["sha256"]
    make_raster("rasters/a.tif")
    (tmp_path / "rasters/beside.onnx").touch()
    assert "1 raster" in run(tmp_path / "rasters").text


def test_parameters_that_a_file_does_not_show_are_left_out(tmp_path):
    frozen = torch.jit.freeze(torch.jit.script(torch.nn.Conv2d(1, 2, 1).eval()))
    frozen.save(tmp_path / "x.pt")
    (tmp_path / "card.yaml").write_text(
        "classes: [a, b]\nbands: [gray]\nvalue_range: [0, 255]\nmean: [0]\nstd: [1]\n"
    )
    report = run(tmp_path / "x.pt")
    assert "\nparameters" not in report.text
    assert "parameters" not in report.data


def test_lists_of_lists_can_be_distinguished(model_file, tmp_path):
    model = geoseg.load_model(model_file)
    path = tmp_path / "trained.safetensors"
    card = model.card
    geoseg.save_model(
        model.net,
        path,
        classes=card.classes.names,
        bands=card.bands,
        value_range=card.value_range,
        mean=card.mean,
        std=card.std,
        window=32,
        overlap=8,
        training={"confusion_matrix": [[1, 2], [3, 4]]},
    )
    assert line_of(run(path), "training") == "confusion_matrix [1, 2], [3, 4]"


def test_a_raster_shows_its_place_to_the_last_digit(make_raster):
    report = run(make_raster(transform=from_origin(2_679_062.5, 1_248_000.25, 0.1, 0.1)))
    assert line_of(report, "transform") == "0.1, 0, 2679062.5, 0, -0.1, 1248000.25"


@pytest.mark.parametrize(
    ("bands", "profile", "masked", "expected"),
    [
        (3, {}, False, "none"),
        (3, {"nodata": 0}, False, "nodata"),
        (4, {"photometric": "RGB", "alpha": "YES"}, False, "alpha (band 4)"),
        (3, {}, True, "mask"),
    ],
)
def test_a_raster_shows_what_masks_it(make_raster, bands, profile, masked, expected):
    path = make_raster(bands=bands, **profile)
    if masked:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(np.eye(*file.shape) > 0)
    assert line_of(run(path), "masked by") == expected


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"nothing\.tif: no such file or folder; check the path"):
        run(tmp_path / "nothing.tif")


def test_a_raster_shows_descriptions_and_colours_of_its_bands(make_raster):
    path = make_raster()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("nir", "red", "green")
    assert line_of(run(path), "band names") == "nir, red, green"
    assert line_of(run(path), "band colors") == "red, green, blue"


@pytest.mark.parametrize("name", ["scene.tif", "a b;$(c).tif", "-9.tif"])
@pytest.mark.parametrize("relative", [True, False])
def test_the_command_for_a_model_runs_as_it_is_printed(
    make_raster, model_file, tmp_path, monkeypatch, name, relative
):
    data = np.random.default_rng(0).integers(1, 3000, (4, 64, 80)).astype(np.int16)
    data[:, :20, :20] = -9999
    path = make_raster(name, data=data, photometric="MINISBLACK")
    monkeypatch.chdir(tmp_path)
    report = run(path.name if relative else path, model_file)
    assert report.data["fit"]["fits"]
    assert line_of(report, "command") == report.data["fit"]["command"]
    words = shlex.split(report.data["fit"]["command"])
    words[words.index("OUT")] = str(tmp_path / "out")
    result = CliRunner().invoke(cli, [*words[1:], "--quiet"])
    assert result.exit_code == 0, result.output
    assert "nodata" in report.data["fit"]["options"]


def test_a_raster_that_no_option_helps_says_why(make_raster, model_file):
    report = run(make_raster(bands=1), model_file)
    assert not report.data["fit"]["fits"]
    assert report.data["fit"]["command"] is None
    assert "it lacks bands" in line_of(report, "refused")


def test_what_predict_will_warn_of_is_among_the_warnings(make_raster, model_file):
    report = run(make_raster(transform=from_origin(5e5, 5.4e6, 5, 5)), model_file)
    (warning,) = report.data["warnings"]
    assert "ground sampling is 5 m, the model's 0.5 m" in warning


def test_a_model_takes_no_model(model_file):
    with pytest.raises(ConfigError, match="is a model itself; --model goes with a raster"):
        run(model_file, model_file)


def test_weights_of_another_program_lead_to_import(tmp_path):
    weights = torch.nn.Conv2d(1, 2, 1).state_dict()
    torch.save(weights, tmp_path / "net.pth")
    torch.save(weights, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    save_file(weights, tmp_path / "bare.safetensors")
    for name in ("net.pth", "old.ckpt", "bare.safetensors"):
        with pytest.raises(ModelError, match=rf"{name}: .*geoseg import"):
            run(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "rasters.zip", "w") as archive:
        archive.writestr("a.tif", b"II*\0")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "net.pth").read_bytes()[:100])
    (tmp_path / "text.pth").write_text("no weights")
    for name in ("rasters.zip", "cut.pth", "text.pth"):
        with pytest.raises(SourceError, match=f"{name}: not an image that can be read"):
            run(tmp_path / name)


def test_leave_to_go_online_is_part_of_the_command(make_raster, model_file):
    command = run(make_raster(), model_file, allow_remote=True).data["fit"]["command"]
    assert command.endswith(" --allow-remote")


def test_a_folder_without_a_raster_is_refused(tmp_path):
    with pytest.raises(GeosegError, match=str(tmp_path)):
        run(tmp_path)


def test_a_picture_is_of_a_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"--plot .*: draws the sheets of a folder"):
        run(tmp_path / "a.tif", plot=tmp_path / "a.png")
