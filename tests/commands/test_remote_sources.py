"""Rasters on servers, in buckets and in archives as inputs: as if they were files here."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner

import geoseg
from geoseg.cli import cli
from geoseg.stores import StorePath
from tests.conftest import GRID
from tests.fixtures.ranges import RangeServer

Make = Callable[..., Path]
SIGNED = "?X-Amz-Signature=SECRET&u=https://a//b"
OPTIONS: dict[str, Any] = {"precision": "fp32", "vectors": "geojson", "preview": True}


def put(server: RangeServer, path: Path, name: str = "") -> str:
    """The URL of a copy of a file."""
    shutil.copy(path, server.folder / (name or path.name))
    return f"{server.url}/{name or path.name}"


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def contents(folder: Path) -> bytes:
    """Names and bytes of all files, hidden ones too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


def test_a_signed_url_gives_the_labels_of_the_file_and_its_signature_is_nowhere(
    ranges: RangeServer, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    scene = make_raster("a b.tif", height=100, tiled=True, blockxsize=32, blockysize=32)
    there = put(ranges, scene).replace(" ", "%20")
    expected = geoseg.predict(scene, model_file, out=tmp_path / "here", **OPTIONS)
    found = geoseg.predict(there + SIGNED, model_file, out=tmp_path / "out", **OPTIONS)
    assert (found.exit_code, expected.exit_code) == (0, 0)
    np.testing.assert_array_equal(
        pixels(tmp_path / "out/a b_classes.tif"), pixels(tmp_path / "here/a b_classes.tif")
    )
    assert found.data["inputs"][0]["path"] == f"{there}?..."
    assert found.data["inputs"][0]["pixels"] == expected.data["inputs"][0]["pixels"]
    assert b"SECRET" not in contents(tmp_path / "out") + json.dumps(found.data).encode()
    # Another signature of the same file: nothing is run again.
    again = geoseg.predict(f"{there}?sig=OTHER", model_file, out=tmp_path / "out", **OPTIONS)
    assert again.data["inputs"][0]["status"] == "kept"
    asked = [line.partition("?")[0] for line in ranges.requests()]
    assert {line.split()[1] for line in asked} == {"/a%20b.tif"}  # nothing beside it


@pytest.mark.parametrize("form", ["/vsizip/{archive}/in/x.tif", "zip://{archive}!in/x.tif"])
def test_a_file_in_an_archive_is_known_by_its_content(
    make_raster: Make, model_file: Path, tmp_path: Path, form: str
) -> None:
    archive = tmp_path / "all.zip"

    def pack(seed: int) -> None:
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(make_raster("x.tif", seed=seed), "in/x.tif")

    options = OPTIONS | {"preview": False, "vectors": "none", "overwrite": True}
    named = form.format(archive=archive)
    statuses = []
    for seed in (0, 0, 1):
        pack(seed)
        report = geoseg.predict(named, model_file, out=tmp_path / "out", **options)
        statuses.append(report.data["inputs"][0]["status"])
    assert statuses == ["done", "kept", "done"]
    assert (tmp_path / "out/x_classes.tif").exists()


def test_an_object_in_a_bucket_is_read_and_written_with_one_set_of_variables(
    bucket: StorePath, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    scene = make_raster("x.tif")
    (bucket / "in/x.tif").put(scene)
    options = OPTIONS | {"preview": False, "vectors": "none"}
    report = geoseg.predict(f"{bucket}/in/x.tif", model_file, out=f"{bucket}/out", **options)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    geoseg.predict(scene, model_file, out=tmp_path / "here", **options)
    (bucket / "out/x_classes.tif").fetch(tmp_path / "there.tif")
    assert np.array_equal(pixels(tmp_path / "there.tif"), pixels(tmp_path / "here/x_classes.tif"))
    assert report.data["inputs"][0]["path"] == f"{bucket}/in/x.tif"


def test_sheets_elsewhere_and_here_are_one_mosaic(
    ranges: RangeServer, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 64, 160)).astype(np.uint8)
    whole = make_raster("whole.tif", data=data)
    right = rasterio.Affine.translation(40, 0)  # 80 pixels of half a metre
    with rasterio.open(whole) as file:
        transform = right @ file.transform
    sheets = [make_raster("w.tif", data=data[..., :80])]
    sheets.append(make_raster("e.tif", data=data[..., 80:], transform=transform))
    options = {"precision": "fp32", "vectors": "none", "preview": False}
    geoseg.predict(whole, model_file, out=tmp_path / "whole", **options)
    inputs = [str(sheets[0]), put(ranges, sheets[1]) + SIGNED]
    mosaic = geoseg.predict(inputs, model_file, out=tmp_path / "out", mosaic="one", **options)
    assert (mosaic.exit_code, mosaic.data["failures"]) == (0, [])
    assert np.array_equal(
        pixels(tmp_path / "out/mosaic_classes.tif"), pixels(tmp_path / "whole/whole_classes.tif")
    )
    assert b"SECRET" not in contents(tmp_path / "out")


def test_lists_and_items_lead_to_servers_with_leave_alone(
    ranges: RangeServer, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    here = make_raster("here.tif", seed=1)
    there = put(ranges, make_raster("x.tif")) + SIGNED
    paths, items = tmp_path / "list.txt", tmp_path / "items.json"
    paths.write_text(f"{there}\n{here.name}\n")
    asset = {"href": there, "type": "image/tiff", "roles": ["data"]}
    items.write_text(json.dumps({"features": [{"id": "i", "assets": {"image": asset}}]}))
    options = OPTIONS | {"preview": False, "vectors": "none"}
    for listing in (paths, items):
        out = tmp_path / listing.stem
        with_here = [listing, here] if listing is items else [listing]
        refused = geoseg.predict(with_here, model_file, out=out, **options)
        assert (refused.exit_code, len(refused.data["failures"])) == (1, 1)
        line = refused.data["failures"][0]
        assert line.startswith(f"{ranges.url}/x.tif?...: is named by {listing}")
        assert "SECRET" not in line
        assert ranges.requests() == []
        led = geoseg.predict(with_here, model_file, out=out, allow_remote=True, **options)
        assert (led.exit_code, led.data["failures"]) == (0, [])
        assert (out / "x_classes.tif").exists()
        ranges.requests()


def test_passing_faults_are_waited_for_and_a_source_that_goes_away_fails_alone(
    ranges: RangeServer, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(1, 255, (3, 256, 256)).astype(np.uint8)
    scene = make_raster("x.tif", data=data, tiled=True, blockxsize=64, blockysize=64)
    # GDAL shows the last part of a name.
    there, here = put(ranges, scene) + "?sig=SECRET", make_raster("here.tif")
    options = {"precision": "fp32", "vectors": "none", "preview": False, "block": 64}
    ranges.behave(fail=2)
    done = geoseg.predict(there, model_file, out=tmp_path / "retried", **options)
    assert (done.exit_code, done.data["failures"]) == (0, [])
    needed = len(ranges.requests()) - 2
    ranges.behave(good=needed // 2)
    out = tmp_path / "gone"
    report = geoseg.predict([there, here], model_file, out=out, **options)
    assert report.exit_code == 1
    assert [each["status"] for each in report.data["inputs"]] == ["failed", "done"]
    (line,) = report.data["failures"]
    assert line.startswith(f"{ranges.url}/x.tif?...: ")
    assert "\n" not in line
    assert b"SECRET" not in contents(out) + line.encode()
    ranges.behave()
    again = geoseg.predict([there, here], model_file, out=out, **options)
    assert [each["status"] for each in again.data["inputs"]] == ["done", "kept"]


def test_a_file_that_is_replaced_on_its_server_meanwhile_fails_and_is_another_one_later(
    ranges: RangeServer,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geoseg.inference import sheet

    there = put(ranges, make_raster("x.tif"))
    options = {"precision": "fp32", "vectors": "none", "preview": False}
    begin = sheet._begin_parts

    def replaced(*arguments: Any) -> None:
        put(ranges, make_raster("y.tif", seed=1), "x.tif")
        begin(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(sheet, "_begin_parts", replaced)
        report = geoseg.predict(there, model_file, out=tmp_path / "out", **options)
    assert report.data["failures"] == [
        f"{there}: changed while it was predicted; leave it alone and run the command again"
    ]
    again = geoseg.predict(there, model_file, out=tmp_path / "out", **options)
    geoseg.predict(tmp_path / "y.tif", model_file, out=tmp_path / "here", **options)
    assert again.exit_code == 0
    # GDAL knows nothing of the file that was there before.
    assert np.array_equal(
        pixels(tmp_path / "out/x_classes.tif"), pixels(tmp_path / "here/y_classes.tif")
    )


def test_the_command_line_takes_urls_and_says_in_one_line_what_is_wrong(
    ranges: RangeServer, make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    there = put(ranges, make_raster("x.tif"))
    (ranges.folder / "empty.tif").touch()
    (ranges.folder / "text.tif").write_text("no image")
    (ranges.folder / "a.vrt").write_text("<VRTDataset/>")

    def call(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, list(words))
        assert "SECRET" not in result.output + result.stderr
        assert len(result.stderr.splitlines()) <= 1
        return result.exit_code, result.stderr

    told = CliRunner().invoke(cli, ["info", there + SIGNED, "--model", str(model_file)])
    assert told.exit_code == 0
    assert told.stdout.startswith(f"{there}?...\n")
    assert "SECRET" not in told.output
    for name, words in {
        "/none.tif": "there is no such file on the server (HTTP 404); check the address",
        "/empty.tif": "the file is empty (0 bytes)",
        "/text.tif": "no GeoTIFF, COG, JPEG2000 or PNG",
        "/a.vrt": "no GeoTIFF, COG, JPEG2000 or PNG",
    }.items():
        for command in (["info"], ["predict", "--model", str(model_file), "--out", "o"]):
            code, line = call(command[0], f"{ranges.url}{name}{SIGNED}", *command[1:])
            assert code == 2
            assert f"{ranges.url}{name}?...: " in line, line
            assert words in line
    for how, words in {
        ("status", 403): "denies access (HTTP 403)",
        ("whole", True): "no parts of them (byte ranges); download it",
        ("fail", 99): "the server does not answer (HTTP 503)",
    }.items():
        ranges.behave(**dict([how]), good=0 if how[0] == "status" else 10**6)
        assert words in call("info", there + SIGNED)[1]
    assert not os.path.exists("o")
    assert "does not answer" in call("info", "http://127.0.0.1:9/x.tif")[1]


def test_class_rasters_elsewhere_become_polygons(
    ranges: RangeServer, make_raster: Make, tmp_path: Path
) -> None:
    data = np.random.default_rng(0).integers(0, 3, (1, 40, 40)).astype(np.uint8)
    labels = make_raster("l.tif", data=data)
    there = put(ranges, labels)
    for source, name in ((there + SIGNED, "there.fgb"), (str(labels), "here.fgb")):
        result = CliRunner().invoke(cli, ["vectorize", source, "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.stderr
    import geopandas

    there_table, here_table = (
        geopandas.read_file(tmp_path / name) for name in ("there.fgb", "here.fgb")
    )
    assert there_table.equals(here_table)
    assert b"SECRET" not in (tmp_path / "there.fgb").read_bytes()


def test_a_sheet_that_its_server_gives_no_more_is_no_data_until_it_is_there_again(
    ranges: RangeServer,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geoseg.commands import predict

    data = np.random.default_rng(0).integers(1, 255, (3, 64, 256)).astype(np.uint8)
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    east = GRID @ rasterio.Affine.translation(128, 0)
    here = make_raster("w.tif", data=data[..., :128], **tiles)
    there = put(ranges, make_raster("e.tif", data=data[..., 128:], transform=east, **tiles))
    options = {"precision": "fp32", "vectors": "none", "preview": False, "block": 64}
    options |= {"mosaic": "one", "encode": "window"}
    inputs, name = [str(here), there + SIGNED], "mosaic_classes.tif"
    whole = geoseg.predict(inputs, model_file, out=tmp_path / "whole", **options)
    needed = len(ranges.requests())
    expected = pixels(tmp_path / "whole" / name)

    def leave_out(*arguments: Any) -> Any:
        ranges.behave()
        return predict_without(*arguments)

    predict_without = predict.survey_without
    monkeypatch.setattr(predict, "survey_without", leave_out)
    ranges.behave(good=needed // 2)
    out = tmp_path / "out"
    report = geoseg.predict(inputs, model_file, out=out, **options)
    assert (whole.exit_code, report.exit_code) == (0, 1)
    (line,) = report.data["failures"]
    assert line.startswith(f"{there}?...: ")
    assert line.endswith("there again there is no data in its place; --overwrite then")
    found = pixels(out / name)
    assert (found[..., 128:] == 255).all()
    assert (found[..., :64] == expected[..., :64]).all()
    again = geoseg.predict(inputs, model_file, out=out, overwrite=True, **options)
    assert (again.exit_code, again.data["failures"]) == (0, [])
    assert np.array_equal(pixels(out / name), expected)


@pytest.mark.parametrize(
    ("image_there", "beside_there"), [(True, True), (True, False), (False, True)]
)
def test_a_surface_model_beside_an_image_may_be_elsewhere_or_the_image(
    ranges: RangeServer,
    make_raster: Make,
    model_file: Path,
    tmp_path: Path,
    image_there: bool,
    beside_there: bool,
) -> None:
    image, surface = make_raster("a b.tif", bands=2), make_raster("a b_dsm.tif", bands=1)
    options = {"precision": "fp32", "vectors": "none", "preview": False}
    geoseg.predict(image, model_file, out=tmp_path / "here", stack="{stem}_dsm.tif", **options)
    url = [put(ranges, each).replace(" ", "%20") for each in (image, surface)]
    # Beside each other, or by a whole name.
    pattern = "{stem}_dsm.tif"
    if image_there != beside_there:
        pattern = f"{ranges.url if beside_there else tmp_path}/{pattern}"
    given = url[0] + SIGNED if image_there else image
    report = geoseg.predict(given, model_file, out=tmp_path / "out", stack=pattern, **options)
    assert (report.exit_code, report.data["failures"]) == (0, [])
    assert np.array_equal(
        pixels(tmp_path / "out/a b_classes.tif"), pixels(tmp_path / "here/a b_classes.tif")
    )
    asked = {line.split()[1].partition("?")[0] for line in ranges.requests()}
    assert asked == {
        name
        for name, there in zip(
            ("/a%20b.tif", "/a%20b_dsm.tif"), (image_there, beside_there), strict=True
        )
        if there
    }
    assert b"SECRET" not in contents(tmp_path / "out")
