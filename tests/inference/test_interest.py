"""Areas of interest: inside nothing changes, outside nothing is run, read or shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely

import geoseg
from geoseg.errors import ConfigError, SourceError, VectorError
from geoseg.inference.interest import read_area
from geoseg.models import Model
from geoseg.raster import open_raster
from geoseg.raster.reader import FileReader
from geoseg.tiling import TileGrid
from tests.conftest import GRID, UTM

Make = Callable[..., Path]
HEIGHT, WIDTH = 90, 130
SHAPES = [
    shapely.Polygon([(21.3, 18.2), (60.4, 25.0), (34.1, 52.9)]),
    shapely.box(70, 40.5, 84.25, 61).difference(shapely.box(74, 45, 79, 50)),
]
"""In pixel coordinates."""
OPTIONS: dict[str, Any] = {
    "confidence": True,
    "probabilities": True,
    "preview": False,
    "vectors": "none",
}


@pytest.fixture
def scene(make_raster: Make) -> Path:
    data = np.random.default_rng(5).integers(1, 255, (3, HEIGHT, WIDTH)).astype(np.uint8)
    data[:, 30:44, 30:90] = 0
    return make_raster("scene.tif", data=data, nodata=0)


def write_area(path: Path, shapes: list[Any], crs: str = UTM, to: str | None = None) -> Path:
    moved = shapely.transform(shapes, lambda points: np.column_stack(GRID @ points.T))
    frame = geopandas.GeoDataFrame(geometry=moved, crs=crs)
    (frame if to is None else frame.to_crs(to)).to_file(path)
    return path


def inside(shapes: list[Any] = SHAPES) -> np.ndarray:
    return rasterio.features.rasterize(shapes, (HEIGHT, WIDTH)) == 1


def read(path: Path) -> tuple[np.ndarray, np.ndarray, Any]:
    with rasterio.open(path) as file:
        return file.read(), file.dataset_mask(), file.transform


@pytest.mark.parametrize(
    ("stitch", "options"),
    [
        ("blend", {"crop": False}),
        pytest.param("blend", {}, marks=pytest.mark.slow),
        ("crop", {"block": 23}),
    ],
)
def test_inside_all_is_as_in_the_whole_run_and_outside_nothing(
    scene: Path, make_model: Callable[..., Model], tmp_path: Path, stitch: str, options: Any
) -> None:
    model, aoi = make_model(), write_area(tmp_path / "aoi.gpkg", SHAPES)
    given = {**OPTIONS, "stitch": stitch}
    geoseg.predict(scene, model, out=tmp_path / "whole", **given)
    report = geoseg.predict(scene, model, out=tmp_path / "out", aoi=aoi, **given, **options)
    mask = inside()
    rows, cols = np.nonzero(mask)
    shown = (slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1))
    if options.get("crop") is False:
        shown = (slice(0, HEIGHT), slice(0, WIDTH))
    for kind, fill in (("classes", 255), ("confidence", 0), ("probabilities", 0)):
        whole, whole_mask, _ = read(tmp_path / f"whole/scene_{kind}.tif")
        found, found_mask, place = read(tmp_path / f"out/scene_{kind}.tif")
        np.testing.assert_array_equal(found, np.where(mask, whole, fill)[:, *shown])
        np.testing.assert_array_equal(found_mask, np.where(mask, whole_mask, 0)[*shown])
        assert place == GRID @ rasterio.Affine.translation(shown[1].start, shown[0].start)
    windows = TileGrid(HEIGHT, WIDTH, 16, 4, stitch)  # type: ignore[arg-type]
    valid = mask & (read(tmp_path / "whole/scene_classes.tif")[1] != 0)
    touching = sum(
        valid[windows.window_at(row, col).slices()].any()
        for row in range(len(windows.row_starts))
        for col in range(len(windows.col_starts))
    )
    if stitch == "blend":  # a cropped window may touch the area with what is not its own
        assert report.data["forwards"] == touching < len(windows) / 2


def test_the_polygons_are_those_of_the_class_raster(
    scene: Path, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    aoi = write_area(tmp_path / "aoi.gpkg", SHAPES)
    geoseg.predict(scene, make_model(), out=tmp_path / "out", aoi=aoi, preview=True, block=40)
    labels, _, transform = read(tmp_path / "out/scene_classes.tif")
    polygons = geopandas.read_file(tmp_path / "out/scene_polygons.gpkg")
    pairs = zip(polygons.geometry, polygons.class_id, strict=True)
    drawn = rasterio.features.rasterize(
        pairs, labels[0].shape, fill=255, transform=transform, dtype="uint8"
    )
    np.testing.assert_array_equal(drawn, labels[0])


def test_only_what_the_windows_see_is_read(
    make_raster: Make,
    make_model: Callable[..., Model],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = make_raster("scene.tif", height=900, width=1000)
    aoi = write_area(tmp_path / "aoi.gpkg", [shapely.box(500, 500, 560, 540)])
    seen = np.zeros((900, 1000), np.int64)
    decode = FileReader._read

    def spy(self: FileReader, window: Any, out: Any) -> Any:
        seen[window.slices()] += 1
        return decode(self, window, out)

    source = open_raster(scene).clip(read_area(aoi).on(open_raster(scene), 16))
    monkeypatch.setattr(FileReader, "_read", spy)
    with source.open() as reader:
        reader.read(0, 0, 900, 1000)
    rows, cols = np.nonzero(seen)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (256, 767, 256, 767)
    assert seen.max() == 1


def test_an_area_in_degrees_and_one_with_several_layers_are_found(
    scene: Path, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    aoi = write_area(tmp_path / "aoi.geojson", SHAPES[:1], to="EPSG:4326")
    write_area(tmp_path / "layers.gpkg", SHAPES[:1])
    frame = geopandas.read_file(tmp_path / "layers.gpkg")
    frame.to_file(tmp_path / "layers.gpkg", layer="more")
    for name, options in ((aoi, {}), (tmp_path / "layers.gpkg", {"aoi_layer": "more"})):
        out = tmp_path / name.stem
        given = {**OPTIONS, "aoi": name, "crop": False, **options}
        geoseg.predict(scene, make_model(), out=out, **given)
        labels, *_ = read(out / "scene_classes.tif")
        with rasterio.open(scene) as file:
            valid = file.dataset_mask() != 0
        # In degrees, edges may leave the line by a twentieth of a pixel.
        assert np.count_nonzero((labels[0] != 255) != (inside(SHAPES[:1]) & valid)) <= 3


def test_inputs_outside_are_left_out_and_what_has_no_place_is_refused(
    scene: Path, make_raster: Make, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    aoi = write_area(tmp_path / "aoi.gpkg", SHAPES)
    away = make_raster("away.tif", transform=GRID @ rasterio.Affine.translation(5000, 0))
    report = geoseg.predict([scene, away], make_model(), out=tmp_path / "out", aoi=aoi)
    assert report.exit_code == 0
    assert report.data["left_out"] == [f"{away}: lies outside of {aoi}"]
    with pytest.raises(ConfigError, match="touches none of the inputs; give an area on them"):
        geoseg.predict(away, make_model(), out=tmp_path / "out2", aoi=aoi)
    bare = make_raster("bare.png", driver="PNG", crs=None, transform=None)
    with pytest.raises(ConfigError, match=r"bare.png: .* has no place for the area aoi.gpkg; give"):
        geoseg.predict(bare, make_model(), out=tmp_path / "out3", aoi=aoi)
    with pytest.raises(ConfigError, match="aoi_layer and no_crop are about an area of interest"):
        geoseg.predict(scene, make_model(), out=tmp_path / "out3", crop=False)


def test_an_interrupted_run_goes_on_and_another_area_is_another_output(
    scene: Path, make_model: Callable[..., Model], tmp_path: Path
) -> None:
    aoi = write_area(tmp_path / "aoi.gpkg", SHAPES)
    other = write_area(tmp_path / "other.gpkg", SHAPES[:1])
    out = tmp_path / "out"
    geoseg.predict(scene, make_model(), out=out, aoi=aoi)
    again = geoseg.predict(scene, make_model(), out=out, aoi=aoi)
    assert again.data["inputs"][0]["status"] == "kept"
    refused = geoseg.predict(scene, make_model(), out=out, aoi=other)
    assert "exists, made from another source, model or options" in refused.data["failures"][0]


def test_a_clipped_source_reads_what_lies_inside_and_nothing_else(
    scene: Path, tmp_path: Path
) -> None:
    source = open_raster(scene)
    clipped = source.clip(read_area(write_area(tmp_path / "aoi.gpkg", SHAPES)).on(source))
    with source.open() as whole, clipped.open() as reader:
        pixels, valid = whole.read(0, 0, HEIGHT, WIDTH)
        found, found_valid = reader.read(0, 0, HEIGHT, WIDTH)
    np.testing.assert_array_equal(found_valid, valid & inside())
    np.testing.assert_array_equal(found[:, found_valid], pixels[:, found_valid])
    tiny = read_area(write_area(tmp_path / "tiny.gpkg", [shapely.box(10.6, 10.6, 10.9, 10.9)]))
    with pytest.raises(SourceError, match="holds the centre of no pixel"):
        tiny.on(source)


def test_a_layer_without_a_polygon_is_no_area(tmp_path: Path) -> None:
    geopandas.GeoDataFrame(geometry=[], crs=UTM).to_file(tmp_path / "none.gpkg")
    with pytest.raises(VectorError, match=r"none\.gpkg: holds no polygon; draw the area"):
        read_area(tmp_path / "none.gpkg")
