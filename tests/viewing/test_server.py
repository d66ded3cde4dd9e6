"""The map of a run: tiles, polygons, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine

from geoseg.errors import ConfigError
from geoseg.styles import RAMP
from geoseg.viewing import MapServer, read_results, tiles
from tests.viewing.conftest import shown

Predict = Callable[..., Path]


def read(out: Path, kind: str) -> np.ndarray:
    """The rasters of both sheets side by side."""
    found = []
    for number in range(2):
        with rasterio.open(out / f"{number}_{kind}.tif") as file:
            found.append(file.read())
    return np.concatenate(found, axis=2)


def test_tiles_have_the_pixels_of_the_rasters_in_the_colours_of_palette_and_ramp(
    predict: Predict, tmp_path: Path
) -> None:
    out = predict()
    with shown(out) as page:
        drawn = {
            kind: page.whole(kind, page.pyramid.last)[:150, :640]
            for kind in ("classes", "confidence", "imagery")
        }
        with rasterio.open(out / "0_classes.tif") as file:
            palette = file.colormap(1)
        (labels,), (confidence,) = read(out, "classes"), read(out, "confidence")
        expected = np.array([palette[code] for code in range(255)] + [(0, 0, 0, 0)], np.uint8)
        np.testing.assert_array_equal(drawn["classes"], expected[labels])
        assert (drawn["confidence"][..., 3] == np.where(confidence == 0, 0, 255)).all()
        ends = [int(RAMP[-1][at : at + 2], 16) for at in (1, 3, 5)]
        assert (drawn["confidence"][confidence == 255][:, :3] == ends).all()
        for number in range(2):
            with rasterio.open(tmp_path / f"town/{number}.tif") as file:
                pixels, valid = file.read(), file.dataset_mask()
            part = drawn["imagery"][:, 320 * number : 320 * number + 320]
            np.testing.assert_array_equal(part[..., 3], valid)
            np.testing.assert_array_equal(part[valid > 0, :3].T, pixels[:, valid > 0])
        # One tile over all, and what lies beyond the rasters is clear.
        small = page.tile("classes", 0, 0, 0)
        assert small.shape == (256, 256, 4)
        assert small[:38, :160, 3].any()
        assert not small[38:].any()
        assert not small[:, 160:].any()


def test_polygons_are_those_that_touch_a_rectangle_or_a_point(predict: Predict) -> None:
    out = predict()
    of_files = []
    for number in range(2):
        _, _, geometry, fields = pyogrio.raw.read(
            out / f"{number}_polygons.gpkg", layer=f"{number}_polygons"
        )
        of_files += list(zip(shapely.from_wkb(geometry), fields[1], fields[2], strict=True))
    box = (500_140.0, 5_399_940.0, 500_180.0, 5_399_980.0)
    with shown(out) as page:
        status, content = page.get("polygons?bbox=" + ",".join(map(str, box)))
        found = json.loads(content)
        assert (status, found["complete"]) == (200, True)
        expected = [each for each in of_files if each[0].intersects(shapely.box(*box))]
        given = [
            (
                shapely.geometry.shape(each["geometry"]),
                each["properties"]["class"],
                each["properties"]["area_m2"],
            )
            for each in found["features"]
        ]
        assert len(given) > 10
        assert sorted(given, key=str) == sorted(expected, key=str)
        x, y = 500_150.2, 5_399_950.3
        (feature,) = json.loads(page.get(f"polygons?bbox={x},{y},{x},{y}")[1])["features"]
        assert shapely.geometry.shape(feature["geometry"]).contains(shapely.Point(x, y))
        assert page.get("polygons?bbox=a,b")[0] == page.get("polygons")[0] == 404


def test_nothing_but_the_map_is_served_and_only_to_this_machine(predict: Predict) -> None:
    out = predict(vectors="none")
    with shown(out) as page:
        for path in (
            *("../report.json", "report.json", "%2e%2e/report.json", "page.html"),
            *("tile/classes/0/0/1.png", "tile/classes/9/0/0.png", "tile/roads/0/0/0.png"),
            *("tile/classes/0/0/../0.png", "tile/classes/0/-1/0.png"),
        ):
            assert page.get(path)[0] == 404, path
        assert page.get("", Host="elsewhere.example")[0] == 403
        status, content = page.get("")
        assert status == 200
        assert b"<!doctype html>" in content
        assert not any(word in content for word in (b"http:", b"https:", b"//cdn")), "works offline"
        facts = json.loads(page.get("map.json")[1])
        assert [layer["kind"] for layer in facts["layers"]] == ["imagery", "classes", "confidence"]
        assert [each["name"] for each in facts["legend"]] == ["road", "roof", "grass", "tree"]
        assert facts["polygons"] is False
        with pytest.raises(
            ConfigError, match=r"port \d+ cannot be used .*give another with --port"
        ):
            MapServer(read_results(Path(facts_folder(page))), page.server.server_port)


def facts_folder(page: object) -> str:
    return str(page.server.layers["classes"]._rasters[0].path.parent)  # type: ignore[attr-defined]


def test_sheets_in_other_coordinate_systems_lie_where_they_are(
    make_raster: Callable[..., Path], predict: Predict, tmp_path: Path
) -> None:
    """The second one in degrees, its polygons too."""
    pixels = np.full((3, 60, 60), 200, np.uint8)
    pixels[:, 30:] = 20
    place = Affine(1e-5, 0, 9.001, 0, -1e-5, 48.75)
    make_raster("town/2.tif", data=pixels, crs="EPSG:4326", transform=place)
    empty = np.zeros((3, 9, 9), np.uint8)  # without a polygon
    make_raster("town/3.tif", data=empty, crs="EPSG:4326", transform=place, nodata=0)
    out = predict()
    with rasterio.open(out / "2_classes.tif") as file:
        (labels,), palette = file.read(), file.colormap(1)
    with shown(out) as page:
        pyramid = page.pyramid
        for row in (10, 50):
            lon, lat = place @ (30.5, row + 0.5)
            (x,), (y,) = rasterio.warp.transform("EPSG:4326", pyramid.crs, [lon], [lat])
            col, line = ~pyramid.transform(pyramid.last, 0, 0) @ (x, y)
            tile = page.tile("classes", pyramid.last, int(col) // 256, int(line) // 256)
            assert tuple(tile[int(line) % 256, int(col) % 256]) == palette[labels[row, 30]]
            (feature,) = json.loads(page.get(f"polygons?bbox={x},{y},{x},{y}")[1])["features"]
            assert feature["properties"]["class_id"] == labels[row, 30]
            assert shapely.geometry.shape(feature["geometry"]).contains(shapely.Point(x, y))


def test_rasters_without_a_place_are_shown_from_their_corner(
    make_raster: Callable[..., Path], model_file: Path, tmp_path: Path
) -> None:
    import geoseg

    path = make_raster("scene.tif", crs=None)
    out = tmp_path / "out"
    geoseg.predict(path, model_file, out=out, preview=False, crs="EPSG:32632")
    with shown(out) as page:
        assert page.tile("imagery", 0, 0, 0)[:64, :80, 3].all(), "the run was told where it is"
    path = make_raster("scene.tif", crs=None, transform=None)
    geoseg.predict(path, model_file, out=out, preview=False, overwrite=True)
    with rasterio.open(out / "scene_classes.tif") as file:
        (labels,), palette = file.read(), file.colormap(1)
    with shown(out) as page:
        expected = np.array([palette[code] for code in range(255)], np.uint8)[labels]
        np.testing.assert_array_equal(page.tile("classes", 0, 0, 0)[:64, :80], expected)
        x, y = 30.5, -20.5
        (feature,) = json.loads(page.get(f"polygons?bbox={x},{y},{x},{y}")[1])["features"]
        assert feature["properties"]["class_id"] == labels[20, 30]
        assert shapely.geometry.shape(feature["geometry"]).contains(shapely.Point(x, y))


def test_of_very_many_sheets_outlines_are_drawn_and_large_imagery_coarsely(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = predict(vectors="none")
    with shown(out) as page:
        whole = page.tile("imagery", 0, 0, 0)
        monkeypatch.setattr(tiles, "_SMALL", 100)
        monkeypatch.setattr(tiles, "_COARSE", 1)
        coarse = page.tile("imagery", 0, 0, 0)
        assert (coarse[:37, :160, 3] > 0).mean() == pytest.approx(
            (whole[:37, :160, 3] > 0).mean(), abs=0.05
        )
        assert (coarse != whole).any()
        monkeypatch.setattr(tiles, "_MOST_RASTERS", 1)
        outlines = page.tile("classes", 0, 0, 0)
        assert np.unique(outlines[:37, :160].reshape(-1, 4), axis=0).tolist() == [[70] * 3 + [160]]
        monkeypatch.setattr(tiles, "_MOST_RASTERS", 9)
        monkeypatch.setattr(tiles, "_LEAST", 200)
        marks = page.tile("classes", 0, 0, 0)
        assert (marks[:200, :, 3] == 160).all(), "what would be too small to be seen is marked"
