"""A folder of sheets predicted as one raster: the same bits as the raster that was cut."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.warp
import shapely
from rasterio import Affine

import geoseg
from geoseg.errors import ConfigError
from geoseg.inference.engine import predict_block
from geoseg.models import Model
from geoseg.raster import open_raster
from tests.conftest import GRID

Make = Callable[..., Path]
HEIGHT, WIDTH = 70, 90
ROWS, COLS = [0, 25, 70], [0, 41, 60, 90]
OPTIONS: dict[str, Any] = {"confidence": True, "preview": False}


@pytest.fixture
def data() -> np.ndarray:
    data = np.random.default_rng(7).integers(1, 255, (3, HEIGHT, WIDTH)).astype(np.uint8)
    data[:, 20:30, 35:50] = 0
    return data


def cut(make: Make, data: np.ndarray, folder: str = "sheets", **profile: Any) -> dict[str, Any]:
    """Sheets in an order of names that is not that of their places; what each covers."""
    places = {}
    for number, (row, end) in enumerate(itertools.pairwise(ROWS)):
        for col, right in itertools.pairwise(COLS):
            name = f"{9 - number}{col % 7}"
            make(
                f"{folder}/{name}.tif",
                data=data[:, row:end, col:right],
                transform=GRID @ Affine.translation(col, row),
                nodata=0,
                **profile,
            )
            places[name] = (slice(row, end), slice(col, right))
    return places


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.vstack([file.read(), file.dataset_mask()[None]])


def polygons(path: Path) -> list[tuple[bytes, Any]]:
    frame = geopandas.read_file(path)
    rest = frame.drop(columns="geometry").itertuples(index=False, name=None)
    return list(zip(frame.geometry.to_wkb(), map(tuple, rest), strict=True))


@pytest.mark.parametrize("mosaic", [pytest.param("one", marks=pytest.mark.slow), "sheets"])
def test_the_mosaic_of_a_cut_raster_gives_the_bits_of_the_whole(
    make_raster: Make,
    make_model: Callable[..., Model],
    data: np.ndarray,
    tmp_path: Path,
    mosaic: str,
) -> None:
    whole = make_raster("whole.tif", data=data, nodata=0)
    places = cut(make_raster, data)
    out, model = tmp_path / "out", make_model()
    geoseg.predict(whole, model, out=tmp_path / "whole", **OPTIONS)
    report = geoseg.predict(tmp_path / "sheets", model, out=out, mosaic=mosaic, block=33, **OPTIONS)
    assert report.exit_code == 0
    assert polygons(out / "sheets_polygons.gpkg") == polygons(
        tmp_path / "whole/whole_polygons.gpkg"
    )
    expected = {
        kind: read(tmp_path / f"whole/whole_{kind}.tif") for kind in ("classes", "confidence")
    }
    for kind, pixels in expected.items():
        if mosaic == "one":
            np.testing.assert_array_equal(read(out / f"sheets_{kind}.tif"), pixels)
            continue
        for name, place in places.items():
            np.testing.assert_array_equal(read(out / f"{name}_{kind}.tif"), pixels[:, *place])
            with rasterio.open(out / f"{name}_{kind}.tif") as file:
                assert file.transform == GRID @ Affine.translation(place[1].start, place[0].start)
    again = geoseg.predict(tmp_path / "sheets", model, out=out, mosaic=mosaic, **OPTIONS)
    assert [entry["status"] for entry in again.data["inputs"]] == ["kept"]
    assert not list((out / ".geoseg").glob("source-*"))
    pixels = report.data["inputs"][0]["pixels"]
    counts = np.bincount(expected["classes"][0].ravel(), minlength=256)
    assert list(pixels.values()) == counts[: len(pixels)].tolist()


def test_tasks_stay_small_however_many_sheets_there_are(
    make_raster: Make,
    make_model: Callable[..., Model],
    data: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import pickle

    cut(make_raster, data)
    seen = []

    def spy(process: Any, sheet: Any, *rest: Any) -> Any:
        # As it travels: no other process can wait for parts that come.
        plain = replace(sheet, folder=replace(sheet.folder, coming=None))
        seen.append(len(pickle.dumps((plain, *rest))))
        return predict_block(process, sheet, *rest)

    monkeypatch.setattr("geoseg.inference.engine.predict_block", spy)
    geoseg.predict(
        tmp_path / "sheets", make_model(), out=tmp_path / "out", mosaic="one", vectors="none"
    )
    assert seen
    assert max(seen) <= 2048


def test_a_damaged_sheet_is_no_data_and_named(
    make_raster: Make, make_model: Callable[..., Model], data: np.ndarray, tmp_path: Path
) -> None:
    cut(make_raster, data // 64 * 64, compress="deflate")
    damaged = sorted((tmp_path / "sheets").iterdir())[0]
    empty = tmp_path / "sheets/zz.tif"
    empty.write_bytes(b"")
    content = bytearray(damaged.read_bytes())
    with rasterio.open(damaged) as file:
        window = file.bounds
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    damaged.write_bytes(bytes(content))
    out = tmp_path / "out"
    report = geoseg.predict(
        tmp_path / "sheets", make_model(), out=out, mosaic="one", vectors="none", preview=False
    )
    assert report.exit_code == 1
    assert len(report.data["failures"]) == 2
    assert any("zz.tif: the file is empty" in line for line in report.data["failures"])
    assert any(damaged.name in line for line in report.data["failures"])
    again = geoseg.predict(
        tmp_path / "sheets", make_model(), out=out, mosaic="one", vectors="none", preview=False
    )
    assert again.exit_code == 1
    assert sorted(again.data["failures"]) == sorted(report.data["failures"])
    assert "kept" in [entry["status"] for entry in again.data["inputs"]]
    with rasterio.open(out / "sheets_classes.tif") as file:
        row, col = file.index(window.left + 0.1, window.top - 0.1)
        labels = file.read(1)
    assert (labels[row : row + 5, col : col + 5] == 255).all()
    assert (labels != 255).sum() > 3000


def test_a_sheet_that_is_damaged_meanwhile_is_left_out_then_and_in_the_next_run(
    make_raster: Make,
    make_model: Callable[..., Model],
    data: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from geoseg.commands import predict as command

    cut(make_raster, data)
    lost = sorted((tmp_path / "sheets").iterdir())[-1]
    find = command.find_jobs

    def find_and_lose(*arguments: Any) -> Any:
        jobs = find(*arguments)
        lost.write_bytes(lost.read_bytes()[:200])
        return jobs

    monkeypatch.setattr(command, "find_jobs", find_and_lose)
    options: dict[str, Any] = {"mosaic": "one", "vectors": "none", "preview": False}
    report = geoseg.predict(tmp_path / "sheets", make_model(), out=tmp_path / "out", **options)
    assert report.exit_code == 1
    assert [lost.name in line for line in report.data["failures"]] == [True]
    assert [each["status"] for each in report.data["inputs"]] == ["done", "refused"]
    monkeypatch.setattr(command, "find_jobs", find)
    again = geoseg.predict(tmp_path / "sheets", make_model(), out=tmp_path / "out", **options)
    assert again.exit_code == 1
    assert sorted(each["status"] for each in again.data["inputs"]) == ["kept", "refused"]


def test_an_area_on_a_mosaic_is_that_of_the_whole_run(
    make_raster: Make, make_model: Callable[..., Model], data: np.ndarray, tmp_path: Path
) -> None:
    import shapely

    places = cut(make_raster, data)
    corners = [GRID @ corner for corner in ((30, 10), (70, 15), (50, 60))]
    aoi = geopandas.GeoDataFrame(geometry=[shapely.Polygon(corners)], crs="EPSG:32632")
    aoi.to_file(tmp_path / "aoi.gpkg")
    for name, options in (("all", {}), ("part", {"aoi": tmp_path / "aoi.gpkg", "crop": False})):
        geoseg.predict(
            tmp_path / "sheets",
            make_model(),
            out=tmp_path / name,
            mosaic="sheets",
            vectors="none",
            preview=False,
            **options,
        )
    for name in places:
        whole = read(tmp_path / f"all/{name}_classes.tif")[0]
        part = read(tmp_path / f"part/{name}_classes.tif")[0]
        assert (part[part != 255] == whole[part != 255]).all()


def test_options_that_have_no_sense_are_refused(
    make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    for options, words in (
        ({"mosaic": "two"}, "mosaic 'two': give sheets or one"),
        ({"mosaic": "one", "overlap_rule": "best"}, "overlap_rule 'best': use first, newest"),
        ({"overlap_rule": "newest"}, "overlap_rule is about the sheets of a mosaic"),
    ):
        with pytest.raises(ConfigError, match=words):
            geoseg.predict(make_raster(), make_model(), out=tmp_path / "out", **options)


def write_index(path: Path, places: dict[str, Any]) -> Path:
    """A tile index of the sheets, as ``gdaltindex`` writes it."""
    corners = [
        (GRID @ (cols.start, rows.stop), GRID @ (cols.stop, rows.start))
        for rows, cols in places.values()
    ]
    boxes = [shapely.to_wkb(shapely.box(*low, *high)) for low, high in corners]
    pyogrio.raw.write(
        str(path),
        np.array(boxes, object),
        [np.array([f"sheets/{name}.tif" for name in places], object)],
        ["location"],
        geometry_type="Polygon",
        crs="EPSG:32632",
        driver="GPKG",
    )
    return path


def test_a_tile_index_is_a_mosaic_of_its_tiles_and_alone_a_raster(
    make_raster: Make, make_model: Callable[..., Model], data: np.ndarray, tmp_path: Path
) -> None:
    index = write_index(tmp_path / "town.gti.gpkg", cut(make_raster, data))
    whole, model = make_raster("whole.tif", data=data, nodata=0), make_model()
    options = {**OPTIONS, "vectors": "none"}
    geoseg.predict(whole, model, out=tmp_path / "whole", **options)
    expected = read(tmp_path / "whole/whole_classes.tif")
    for name, more in (("mosaic", {"mosaic": "one"}), ("alone", {"nodata": 0})):
        report = geoseg.predict(index, model, out=tmp_path / name, **options, **more)
        assert report.exit_code == 0
        (path,) = (tmp_path / name).glob("*_classes.tif")
        np.testing.assert_array_equal(read(path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_give_the_same_bits(
    make_raster: Make, model_file: Path, data: np.ndarray, tmp_path: Path, workers: int
) -> None:
    whole = make_raster("whole.tif", data=data, nodata=0)
    cut(make_raster, data)
    geoseg.predict(whole, model_file, out=tmp_path / "whole", **OPTIONS)
    out = tmp_path / "out"
    geoseg.predict(
        tmp_path / "sheets", model_file, out=out, mosaic="one", workers=workers, **OPTIONS
    )
    for kind in ("classes", "confidence"):
        np.testing.assert_array_equal(
            read(out / f"sheets_{kind}.tif"), read(tmp_path / f"whole/whole_{kind}.tif")
        )
    assert polygons(out / "sheets_polygons.gpkg") == polygons(
        tmp_path / "whole/whole_polygons.gpkg"
    )


def test_sheets_of_two_coordinate_systems_are_predicted_on_the_grid_that_is_asked_for(
    make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    rows, cols = np.mgrid[:120, :130]
    data = np.stack([127 + 120 * np.sin(rows / a + cols / 9) for a in (9, 5, 13)]).astype(np.uint8)
    far = GRID @ Affine.translation(700_000, 0)  # where its meridian is off by two degrees
    place, width, height = rasterio.warp.calculate_default_transform(
        "EPSG:32632", "EPSG:32633", 130, 120, *rasterio.transform.array_bounds(120, 130, far)
    )
    whole = np.zeros((3, height, width), np.uint8)
    rasterio.warp.reproject(
        data,
        whole,
        src_transform=far,
        src_crs="EPSG:32632",
        dst_transform=place,
        dst_crs="EPSG:32633",
        resampling=rasterio.warp.Resampling.bilinear,
    )
    east = place @ Affine.translation(70, 0)
    zone = {"crs": "EPSG:32633", "nodata": 0}
    make_raster("s/a.tif", data=data[:, :, :90], transform=far, nodata=0)
    make_raster("s/b.tif", data=whole[:, :, 70:], transform=east, **zone)
    warped = make_raster("warped.tif", data=whole, transform=place, **zone)
    options = {"preview": False, "vectors": "none"}
    mosaic = {"mosaic": "one", "resample": True, "crs": "EPSG:32633", "overlap_rule": "finest"}
    model = make_model()
    wanted = open_raster(tmp_path / "s/b.tif").ground_sampling
    model = replace(model, card=model.card.model_copy(update={"ground_sampling": wanted}))
    geoseg.predict(warped, model, out=tmp_path / "one", **options)
    report = geoseg.predict(tmp_path / "s", model, out=tmp_path / "out", **mosaic, **options)
    assert report.exit_code == 0
    assert any("1 sheet of 2 are resampled" in line for line in report.data["warnings"])
    with rasterio.open(tmp_path / "out/s_classes.tif") as file:
        assert file.crs.to_epsg() == 32633
        found, moved = file.read(1), ~place @ file.transform
    assert np.allclose([moved.a, moved.b, moved.d, moved.e], [1, 0, 0, 1])
    row, col = round(moved.f), round(moved.c)
    assert np.allclose([moved.f, moved.c], [row, col], atol=1e-6)
    expected = read(tmp_path / "one/warped_classes.tif")[0]
    assert -2 <= min(row, col) <= max(row, col) <= 0
    same = found[-row : -row + height, -col : -col + width] == expected
    assert same.mean() > 0.97
    assert (expected != 255).mean() > 0.8
