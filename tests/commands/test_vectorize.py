from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio import features

from geoseg.commands import vectorize as vectorize_module
from geoseg.commands.vectorize import run
from geoseg.errors import ConfigError, OutputError, SourceError
from geoseg.failures import EXIT_NOTHING_BEGUN, exit_code_of
from geoseg.inference import class_raster
from geoseg.locks import lock_file
from geoseg.vector import FIELDS, polygonize
from geoseg.vector import features as features_module
from tests.odd_rasters import add_page, only_a_coordinate_system

Make = Callable[..., Path]

CATEGORIES = """<PAMDataset><PAMRasterBand band="1"><CategoryNames>
<Category>road &amp; path</Category><Category></Category>
<Category>tree</Category><Category>tree</Category>
</CategoryNames></PAMRasterBand></PAMDataset>"""


def layers_of(path: Path) -> list[str]:
    """Those that hold polygons: styles are in a table without."""
    return [name for name, kind in pyogrio.list_layers(path) if kind is not None]


@pytest.fixture
def labels() -> np.ndarray:
    coarse = np.random.default_rng(5).choice(np.array([0, 1, 2, 3, 254, 255], np.uint8), (12, 15))
    return np.kron(coarse, np.ones((7, 5), np.uint8))


@pytest.fixture
def make_classes(make_raster: Make, labels: np.ndarray) -> Make:
    """A factory of class rasters as geoseg writes them."""

    def make(name: str = "town.tif", *, data: np.ndarray = labels[None], **profile: object) -> Path:
        path = make_raster(name, data=data, nodata=255, **profile)
        path.with_name(f"{path.name}.aux.xml").write_text(CATEGORIES)
        return path

    return make


def test_rasterizing_the_file_gives_the_raster_back(
    make_classes: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    raster = make_classes()
    report = run(raster, tmp_path / "town.gpkg")
    frame = pyogrio.read_dataframe(tmp_path / "town.gpkg")
    with rasterio.open(raster) as file:
        rasterized = features.rasterize(
            zip(frame.geometry, frame["class_id"], strict=True),
            file.shape,
            fill=255,
            transform=file.transform,
            dtype="uint8",
        )
    np.testing.assert_array_equal(rasterized, np.where(labels < 254, labels, 255))
    assert report.exit_code == 0
    assert report.data["layers"] == [
        {"raster": str(raster), "layer": "town", "polygons": len(frame)}
    ]
    assert f"{len(frame)} polygons of 1 raster in {tmp_path / 'town.gpkg'}" in report.text


def test_names_come_from_the_raster_and_are_made_up_where_it_has_none(
    make_classes: Make, tmp_path: Path
) -> None:
    run([make_classes()], tmp_path / "town.shp")
    frame = pyogrio.read_dataframe(tmp_path / "town.shp")
    assert list(frame.columns) == [*FIELDS, "geometry"]
    assert set(zip(frame["class_id"], frame["class"], strict=True)) == {
        (0, "road & path"),
        (1, "class 1"),
        (2, "tree"),
        (3, "tree 3"),
    }


def test_a_raster_without_names_gets_numbers(make_raster: Make, tmp_path: Path) -> None:
    run(make_raster(data=np.array([[[7, 250]]], np.uint8)), tmp_path / "town.gpkg")
    assert sorted(pyogrio.read_dataframe(tmp_path / "town.gpkg")["class"]) == [
        "class 250",
        "class 7",
    ]


def test_parts_change_nothing(
    make_classes: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raster, confidence = make_classes(), make_classes("confidence.tif")
    run(raster, tmp_path / "whole.gpkg", confidence=confidence)
    monkeypatch.setattr(class_raster, "_PART_ROWS", 10)
    monkeypatch.setattr(class_raster, "_PART_COLS", 17)
    run(raster, tmp_path / "parts.gpkg", confidence=confidence)
    whole, parts = (
        pyogrio.read_dataframe(tmp_path / name)
        .assign(at=lambda frame: frame.normalize().to_wkb())
        .sort_values("at")
        for name in ("whole.gpkg", "parts.gpkg")
    )
    for column in ("at", *FIELDS):
        assert whole[column].tolist() == parts[column].tolist()


def test_confidence_is_the_mean_over_each_polygon(
    make_classes: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    values = np.random.default_rng(1).integers(1, 256, (1, *labels.shape)).astype(np.uint8)
    run(
        make_classes(),
        tmp_path / "town.gpkg",
        confidence=make_classes("confidence.tif", data=values),
    )
    found = pyogrio.read_dataframe(tmp_path / "town.gpkg")["confidence"]
    # 255 is a value of confidence, whatever a file declares it to be.
    expected = [
        each.confidence for each in polygonize(labels, Affine.identity(), confidence=values[0])
    ]
    np.testing.assert_allclose(
        sorted(found), sorted(float(each or 0.0) for each in expected), rtol=1e-12
    )


def test_declared_nodata_makes_no_polygon(make_raster: Make, tmp_path: Path) -> None:
    raster = make_raster(data=np.array([[[0, 1, 1]]], np.uint8), nodata=0)
    report = run(raster, tmp_path / "town.gpkg")
    assert pyogrio.read_dataframe(tmp_path / "town.gpkg")["class_id"].tolist() == [1]
    message = "1 pixels of 0, which is declared as nodata, make no polygon; where they are of a cl"
    assert any(message in line for line in report.data["warnings"])


@pytest.mark.parametrize("nodata", [7, 254, 255])
def test_nodata_that_hides_no_class_is_not_warned_of(
    make_raster: Make, tmp_path: Path, nodata: int
) -> None:
    raster = make_raster(data=np.array([[[0, 1, 254, 255]]], np.uint8), nodata=nodata)
    report = run(raster, tmp_path / "town.gpkg")
    assert not any(
        "declared as nodata, make" in x for x in report.data["warnings"] if "not" not in x
    )


def test_a_class_of_255_is_warned_about(make_raster: Make, tmp_path: Path) -> None:
    report = run(make_raster(data=np.array([[[0, 255, 255]]], np.uint8)), tmp_path / "town.gpkg")
    assert any(
        "2 pixels of 255, which is not declared as nodata, make no polygon" in x
        for x in report.data["warnings"]
    )


def test_several_rasters_become_layers_by_their_stems(make_classes: Make, tmp_path: Path) -> None:
    rasters = [make_classes("east.tif"), make_classes("west.tif", crs=None)]
    report = run(rasters, tmp_path / "towns.gpkg")
    assert layers_of(tmp_path / "towns.gpkg") == ["east", "west"]
    assert pyogrio.read_dataframe(tmp_path / "towns.gpkg", layer="west")["area_m2"].isna().all()
    assert [layer["layer"] for layer in report.data["layers"]] == ["east", "west"]


def test_a_raster_without_georeferencing_gives_polygons_in_pixels(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "town.png", "w", driver="PNG", height=2, width=3, count=1, dtype="uint8"
    ) as file:
        file.write(np.zeros((1, 2, 3), np.uint8))
    run(tmp_path / "town.png", tmp_path / "town.gpkg")
    frame = pyogrio.read_dataframe(tmp_path / "town.gpkg")
    assert frame.total_bounds.tolist() == [0.0, 0.0, 3.0, 2.0]
    assert frame["area_m2"].isna().all()


def test_what_cannot_be_used_is_named_and_the_others_are_done(
    make_classes: Make, make_raster: Make, tmp_path: Path
) -> None:
    photo, missing = make_raster("photo.tif"), tmp_path / "missing.tif"
    report = run([make_classes(), photo, missing], tmp_path / "town.gpkg")
    assert report.exit_code == 1
    assert len(report.data["failures"]) == 2
    assert layers_of(tmp_path / "town.gpkg") == ["town"]


@pytest.mark.parametrize(("bands", "dtype"), [(3, "uint8"), (1, "uint16")])
def test_a_raster_that_holds_no_classes_is_refused(
    make_raster: Make, tmp_path: Path, bands: int, dtype: str
) -> None:
    raster = make_raster(bands=bands, dtype=dtype)
    with pytest.raises(
        ConfigError,
        match=rf"has {bands} band\(s\) of {dtype}; give one band of uint8 that holds class",
    ):
        run(raster, tmp_path / "town.gpkg")
    assert not (tmp_path / "town.gpkg").exists()


@pytest.mark.parametrize(
    "other",
    [
        {"data": np.ones((1, 3, 4), np.uint8)},
        {"transform": Affine(0.5, 0, 7.0, 0, -0.5, 9.0)},
        {"crs": "EPSG:25832"},
    ],
    ids=["size", "place", "crs"],
)
def test_confidence_of_another_grid_is_refused(
    make_classes: Make, tmp_path: Path, other: dict[str, object]
) -> None:
    with pytest.raises(
        ConfigError, match=r"confidence.tif: .* do not lie on the grid of .*town.tif"
    ):
        run(
            make_classes(),
            tmp_path / "town.gpkg",
            confidence=make_classes("confidence.tif", **other),
        )


def test_the_same_again_is_kept_and_something_else_is_not_overwritten(
    make_classes: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "town.gpkg"
    assert run(make_classes(), out).data["kept"] is False
    before = out.stat().st_mtime_ns
    report = run(tmp_path / "town.tif", out)
    assert report.data["kept"] is True
    assert "exists already, made from the same" in report.text
    assert out.stat().st_mtime_ns == before
    changed = make_classes(data=np.flip(labels)[None])
    with pytest.raises(
        OutputError,
        match=r"town.gpkg exists and was made from something else \(or not by geoseg\); use",
    ):
        run(changed, out)
    assert run(changed, out, overwrite=True).data["kept"] is False


@pytest.mark.parametrize("name", ["town.dbf", "town.qix", "town.geoseg.json", "town.shp"])
def test_files_that_geoseg_did_not_write_are_not_touched_without_overwrite(
    make_classes: Make, tmp_path: Path, name: str
) -> None:
    raster, own = make_classes(), tmp_path / "out" / name
    own.parent.mkdir()
    own.write_text("the user's own")
    with pytest.raises(OutputError, match=f"{name} exists and was made from something else"):
        run(raster, tmp_path / "out/town.shp")
    assert [path.read_text() for path in own.parent.iterdir()] == ["the user's own"]
    run(raster, tmp_path / "out/town.shp", overwrite=True)
    assert run(raster, tmp_path / "out/town.shp").data["kept"]


def test_of_several_runs_on_one_file_one_writes_and_the_others_say_so(
    make_classes: Make, tmp_path: Path
) -> None:
    out = tmp_path / "town.gpkg"
    with lock_file(out), pytest.raises(OutputError, match=r"another run writes .*town\.gpkg; wait"):
        run(make_classes(), out)
    assert run(tmp_path / "town.tif", out).data["kept"] is False
    assert not list(tmp_path.glob(".*"))


def test_what_a_killed_run_left_beside_the_output_is_swept(
    make_classes: Make, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / "out" / f".town.gpkg.{ended.pid}-x1.geoseg"
    left.mkdir(parents=True)
    run(make_classes(), tmp_path / "out" / "town.gpkg")
    assert [path.name for path in left.parent.iterdir()] == ["town.gpkg"]


def test_several_rasters_do_not_fit_into_a_shapefile(make_classes: Make, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError,
        match=r"holds one layer, 2 rasters are given; vectorize one at a time, or write a",
    ):
        run([make_classes("a.tif"), make_classes("b.tif")], tmp_path / "towns.shp")


def test_one_confidence_does_not_fit_several_rasters(make_classes: Make, tmp_path: Path) -> None:
    rasters = [make_classes("a.tif"), make_classes("b.tif")]
    with pytest.raises(ConfigError, match=r"--confidence goes with one raster, 2 are given"):
        run(rasters, tmp_path / "towns.gpkg", confidence=rasters[0])


def test_two_rasters_of_one_stem_are_refused_by_name(make_classes: Make, tmp_path: Path) -> None:
    rasters = [make_classes("a/town.tif"), make_classes("b/town.tif")]
    with pytest.raises(
        ConfigError, match=r"a/town.tif and .*b/town.tif would both become layer 'town'"
    ):
        run(rasters, tmp_path / "towns.gpkg")


def test_no_raster_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no raster given; name at least one class raster"):
        run([], tmp_path / "town.gpkg")


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"suffix '.txt' names no vector format that geoseg writes"
    ):
        run(tmp_path / "missing.tif", tmp_path / "town.txt")


def test_unreadable_names_are_reported(make_classes: Make, tmp_path: Path) -> None:
    raster = make_classes()
    raster.with_name("town.tif.aux.xml").write_text("<PAMDataset")
    with pytest.raises(
        ConfigError,
        match=r"town.tif.aux.xml: is not readable XML .* remove it to continue without",
    ):
        run(raster, tmp_path / "town.gpkg")


def test_a_raster_damaged_inside_is_named_and_nothing_is_written(
    make_classes: Make, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (1, 256, 256)).astype(np.uint8)
    raster = make_classes(data=noise, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    content = bytearray(raster.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b"\0" * 2000
    raster.write_bytes(content)
    with pytest.raises(SourceError, match=r"town.tif: rows .* cannot be read"):
        run(raster, tmp_path / "town.gpkg")
    assert not (tmp_path / "town.gpkg").exists()


def test_of_several_rasters_one_damaged_inside_is_left_out_and_named(
    make_classes: Make, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).integers(0, 4, (1, 128, 128)).astype(np.uint8)
    profile = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    rasters = [make_classes(f"{name}.tif", data=noise, **profile) for name in ("a", "b", "c")]
    content = bytearray(rasters[1].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = b"\0" * 500
    rasters[1].write_bytes(content)
    report = run(rasters, tmp_path / "all.gpkg")
    assert report.exit_code == 1
    (line,) = report.data["failures"]
    assert re.search(r"b\.tif: rows .* cannot be read", line)
    assert [layer["layer"] for layer in report.data["layers"]] == ["a", "c"]
    assert sorted(layers_of(tmp_path / "all.gpkg")) == ["a", "c"]
    for name in ("a", "c"):
        run(tmp_path / f"{name}.tif", tmp_path / "one.gpkg", overwrite=True)
        alone = geopandas.read_file(tmp_path / "one.gpkg")
        assert alone.equals(geopandas.read_file(tmp_path / "all.gpkg", layer=name))


def test_however_many_are_damaged_inside_the_file_is_begun_again_once(
    make_classes: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[list[str]] = []
    write = vectorize_module._write
    monkeypatch.setattr(
        vectorize_module,
        "_write",
        lambda jobs, *rest: (begun.append([*jobs]), write(jobs, *rest))[1],
    )
    noise = np.random.default_rng(0).integers(0, 4, (1, 128, 128)).astype(np.uint8)
    profile = {"tiled": True, "blockxsize": 32, "blockysize": 32, "compress": "deflate"}
    rasters = [make_classes(f"{name}.tif", data=noise, **profile) for name in "abcde"]
    for name in "bd":
        content = bytearray((tmp_path / f"{name}.tif").read_bytes())
        middle = len(content) // 2
        content[middle : middle + 500] = b"\0" * 500
        (tmp_path / f"{name}.tif").write_bytes(content)
    report = run(rasters, tmp_path / "all.gpkg")
    named = [Path(line.split(": ")[0]).name for line in report.data["failures"]]
    assert named == ["b.tif", "d.tif"]
    assert sorted(layers_of(tmp_path / "all.gpkg")) == ["a", "c", "e"]
    assert begun == [[*"abcde"], [*"ace"]]
    with pytest.raises(ConfigError, match=r"b.tif: rows .*\n.*d.tif: rows "):
        run([tmp_path / "b.tif", tmp_path / "d.tif"], tmp_path / "none.gpkg")
    assert not (tmp_path / "none.gpkg").exists()


@pytest.mark.parametrize("virtual", [False, True])
def test_polygons_of_a_raster_without_a_place_have_no_areas(
    make_raster: Make, labels: np.ndarray, tmp_path: Path, virtual: bool
) -> None:
    raster = only_a_coordinate_system(make_raster, virtual=virtual, data=labels[None])
    report = run(raster, tmp_path / "town.gpkg")
    assert any("would give it a place" in line for line in report.data["warnings"])
    frame = pyogrio.read_dataframe(tmp_path / "town.gpkg")
    assert frame.crs is None
    assert frame["area_m2"].isna().all()


def test_class_ids_that_are_stored_as_a_negative_stay_ids_and_pages_are_named(
    make_raster: Make, labels: np.ndarray, tmp_path: Path
) -> None:
    path = add_page(make_raster("a.tif", data=labels[None], photometric="MINISWHITE"))
    report = run(path, tmp_path / "a.gpkg")
    assert any("MinIsWhite" in line for line in report.data["warnings"])
    assert any("holds 2 pages" in line for line in report.data["warnings"])
    ids = set(pyogrio.read_dataframe(tmp_path / "a.gpkg")["class_id"])
    assert ids == set(np.unique(labels[labels < 254]).tolist())


def replacing(monkeypatch: pytest.MonkeyPatch, raster: Path) -> None:
    """Let another raster of the same size take the place of one when the first part is read.

    Of whichever raster: they are read in threads, and later this one may be finished.
    """
    other, read = raster.with_name("other.tif"), class_raster.polygonize_part
    with rasterio.open(raster) as file:
        profile, data = file.profile, file.read()
    with rasterio.open(other, "w", **profile) as file:
        file.write(np.flip(data))
    parts = itertools.count(1)

    def polygonize_and_replace(*given: Any) -> Any:
        if next(parts) == 1:
            os.replace(other, raster)
        return read(*given)

    monkeypatch.setattr(class_raster, "polygonize_part", polygonize_and_replace)


@pytest.mark.parametrize("name", ["town.tif", "confidence.tif"])
@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_a_raster_that_is_replaced_meanwhile_fails_and_nothing_is_written(
    make_classes: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str
) -> None:
    raster, confidence = make_classes(), make_classes("confidence.tif")
    out = tmp_path / "out" / f"town{suffix}"
    monkeypatch.setattr(class_raster, "_PART_ROWS", 30)
    replacing(monkeypatch, tmp_path / name)
    message = rf"{name}: changed while it was vectorized; .* run the command again$"
    with pytest.raises(SourceError, match=message) as refused:
        run(raster, out, confidence=confidence)
    assert exit_code_of(refused.value) == 1
    assert not out.parent.exists()
    assert run(raster, out, confidence=confidence).data["kept"] is False


def test_of_several_rasters_one_that_is_replaced_meanwhile_is_left_out_and_named(
    make_classes: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rasters = [make_classes(f"{name}.tif") for name in ("a", "b", "c")]
    replacing(monkeypatch, rasters[1])
    report = run(rasters, tmp_path / "all.gpkg")
    assert report.exit_code == 1
    (line,) = report.data["failures"]
    assert "b.tif: changed while it was vectorized" in line
    assert sorted(layers_of(tmp_path / "all.gpkg")) == ["a", "c"]


def test_of_several_programs_on_one_file_one_writes_and_the_others_say_so_in_a_line(
    make_raster: Make, tmp_path: Path
) -> None:
    """They begin at once, and read a raster for long enough that all of them meet."""
    noise = np.random.default_rng(0).integers(0, 4, (1, 400, 400)).astype(np.uint8)
    raster, out = make_raster("town.tif", data=noise, nodata=255), tmp_path / "out" / "town.gpkg"
    command = [sys.executable, "-m", "geoseg.cli", "vectorize", str(raster), "--out", str(out)]
    programs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [program.communicate(timeout=300)[1].strip() for program in programs]
    ended = [program.returncode for program in programs]
    assert sorted(ended) == [0, 2, 2], said
    for code, line in zip(ended, said, strict=True):
        if code:
            assert re.fullmatch(r"(geoseg: )?(error: )?another run writes .*town\.gpkg; .*", line)
    assert [path.name for path in out.parent.iterdir()] == ["town.gpkg"]
    assert run(raster, out).data["kept"] is True


def test_small_regions_go_to_their_neighbours_and_none_of_them_is_left(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    labels = np.kron(rng.integers(0, 3, (8, 10)), np.ones((8, 8), int))
    labels = np.where(rng.random(labels.shape) < 0.2, rng.integers(0, 3, labels.shape), labels)
    labels[:20, :20] = 255
    degrees = {"crs": "EPSG:4326", "transform": Affine(1e-3, 0, 10, 0, -1e-3, 60)}
    raster = make_raster("town.tif", data=labels[None].astype(np.uint8), nodata=255, **degrees)
    monkeypatch.setattr(class_raster, "_PART_ROWS", 13)
    monkeypatch.setattr(class_raster, "_PART_COLS", 29)
    least = 3 * 6_200.0  # square metres of about three of the northern pixels
    run(raster, tmp_path / "a.gpkg", min_area=least)
    frame = pyogrio.read_dataframe(tmp_path / "a.gpkg")
    exact = sum(each.pixels for each in polygonize(labels.astype(np.uint8), Affine.identity()))
    assert frame.area_m2.min() >= least
    assert shapely.coverage_is_valid(frame.geometry.array)
    assert len(frame) < 150
    assert shapely.area(frame.geometry.array).sum() * 1e6 == pytest.approx(exact)
    assert run(raster, tmp_path / "a.gpkg", min_area=least).data["kept"]
    with pytest.raises(OutputError, match="made from something else"):
        run(raster, tmp_path / "a.gpkg", min_area=least, keep="class 1")
    with pytest.raises(ConfigError, match=r"keep 'car' is no class; the classes are class 0, cl"):
        run(raster, tmp_path / "b.gpkg", min_area=least, keep="car")


def test_layers_are_made_at_once_and_are_those_made_one_after_the_other(
    make_classes: Make, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of more than a table wait on disk; these are of 20 rows here."""
    monkeypatch.setattr(features_module, "_ROWS", 20)
    rasters = [
        make_classes(f"{name}.tif", data=np.roll(labels[None], 3 * int(name))) for name in "0123"
    ]
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    one = run(rasters, tmp_path / "one.gpkg")
    make, two = class_raster.features_ahead, threading.Barrier(2)

    def wait_for_another(*arguments: Any) -> Any:
        two.wait(30)
        return make(*arguments)

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(class_raster, "features_ahead", wait_for_another)
    both = run(rasters, tmp_path / "two.gpkg")
    assert both.data["layers"] == one.data["layers"]
    assert [each["layer"] for each in one.data["layers"]] == ["0", "1", "2", "3"]
    for name in "0123":
        first, second = (
            geopandas.read_file(tmp_path / f"{file}.gpkg", layer=name) for file in ("one", "two")
        )
        assert len(first) > 20
        assert first.equals(second)
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_simplified_borders_do_not_depend_on_the_parts_and_cover_what_they_covered(
    make_classes: Make, labels: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raster = make_classes()
    monkeypatch.setattr(class_raster, "CELL", 40)
    found = []
    for rows in (1024, 11):
        monkeypatch.setattr(class_raster, "_PART_ROWS", rows)
        run(raster, tmp_path / f"{rows}.gpkg", min_area="40px", simplify="3px")
        found.append(pyogrio.read_dataframe(tmp_path / f"{rows}.gpkg"))
    assert found[0].equals(found[1])
    assert shapely.coverage_is_valid(found[0].geometry.array)
    assert found[0].area_m2.sum() == pytest.approx((labels < 254).sum() / 4, rel=1e-9)
    with pytest.raises(ConfigError, match=r"simplify '0': give metres above 0"):
        run(raster, tmp_path / "a.gpkg", simplify="0")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_in_the_place_of_the_file_is_refused_before_anything_is_read(
    overwrite: bool, tmp_path: Path
) -> None:
    (tmp_path / "o.gpkg").mkdir()
    with pytest.raises(OutputError, match="is a folder; give the name of a polygon") as caught:
        run("none.tif", tmp_path / "o.gpkg", overwrite=overwrite)
    assert exit_code_of(caught.value) == EXIT_NOTHING_BEGUN


def test_a_folder_in_the_place_of_a_companion_is_refused_and_the_file_stays(
    make_classes: Make, tmp_path: Path
) -> None:
    out = tmp_path / "o.shp"
    run(make_classes(), out)
    before = out.read_bytes()
    (tmp_path / "o.dbf").unlink()
    (tmp_path / "o.dbf").mkdir()
    with pytest.raises(OutputError, match=r"o\.dbf is a folder, and a file is to be written"):
        run(make_classes(), out, simplify="1px", overwrite=True)
    assert out.read_bytes() == before
