"""Outputs: where they lie, whether they are current, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio

from geoseg.classes import ClassScheme
from geoseg.errors import SourceError
from geoseg.inference.band import Band
from geoseg.inference.outputs import (
    Output,
    output_path,
    vector_layer,
    write_raster,
    write_vectors,
)
from geoseg.inference.parts import PartFolder
from geoseg.raster import open_raster, read_part, write_part
from geoseg.tiling import TileGrid, Window
from geoseg.vector import feature_tables, join_parts, polygonize_part

CLASSES = ClassScheme.from_names(["road", "roof", "grass"])
GRID = TileGrid(64, 80, 16, 4)
BLOCKS = GRID.blocks(40)


@pytest.fixture
def expected() -> dict[str, np.ndarray]:
    """Labels in squares, some of them 255; confidence and probabilities at random."""
    rng = np.random.default_rng(1)
    squares = rng.choice([0, 1, 2, 255], (8, 10))
    labels = np.kron(squares, np.ones((8, 8), int)).astype(np.uint8)
    confidence = np.where(labels == 255, 0, rng.integers(1, 256, (64, 80))).astype(np.uint8)
    probabilities = rng.integers(0, 256, (3, 64, 80)).astype(np.uint8)
    probabilities[:, labels == 255] = 0
    return {"classes": labels, "confidence": confidence, "probabilities": probabilities}


@pytest.fixture
def folder(
    make_raster: Callable[..., Path], tmp_path: Path, expected: dict[str, np.ndarray]
) -> PartFolder:
    found = PartFolder(tmp_path / "parts", "0123", open_raster(make_raster()), 3, True, True)
    found.path.mkdir()
    for number, block in enumerate(BLOCKS):
        for lattice_row, area in block.bands():
            cut = area.slices()
            band = Band(
                area,
                expected["classes"][cut],
                expected["confidence"][cut],
                expected["probabilities"][(slice(None), *cut)],
            )
            found.write(number, lattice_row, band)
    return found


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("classes", "a.b_classes.tif"),
        ("confidence", "a.b_confidence.tif"),
        ("probabilities", "a.b_probabilities.tif"),
        ("preview", "a.b_preview.png"),
        ("gpkg", "a.b_polygons.gpkg"),
        ("shp", "a.b_polygons.shp"),
    ],
)
def test_each_kind_has_its_name(kind: str, name: str) -> None:
    assert output_path(Path("out/north/a.b"), kind) == Path("out/north") / name


@pytest.mark.parametrize("kind", ["classes", "confidence", "probabilities"])
def test_a_raster_is_its_parts_with_the_sources_place(
    folder: PartFolder, tmp_path: Path, kind: str, expected: dict[str, np.ndarray]
) -> None:
    output = Output(kind, tmp_path / f"{kind}.tif", "key")
    assert not output.existing()
    write_raster(output, folder, BLOCKS, CLASSES, Window(0, 0, 64, 80))
    assert output.is_current()
    assert not Output(kind, output.path, "another key").is_current()
    with rasterio.open(output.path) as file:
        pixels = expected[kind]
        np.testing.assert_array_equal(file.read(), pixels if pixels.ndim == 3 else pixels[None])
        assert (file.transform, file.crs) == (folder.source.transform, folder.source.crs)
        np.testing.assert_array_equal(file.dataset_mask() > 0, expected["classes"] != 255)


@pytest.mark.parametrize(
    ("kind", "other"),
    [("classes", "classes"), ("probabilities", "probabilities"), ("probabilities", "classes")],
)
def test_no_raster_is_made_of_another_runs_parts(
    folder: PartFolder, tmp_path: Path, kind: str, other: str
) -> None:
    part = folder.parts(BLOCKS, other)[-1]
    write_part(replace(part, key="another"), read_part(part))
    output = Output(kind, tmp_path / f"{kind}.tif", "key")
    with pytest.raises(SourceError, match=rf"{other}\.tif: this part .* run the command again"):
        write_raster(output, folder, BLOCKS, CLASSES, Window(0, 0, 64, 80))
    assert not output.existing()


def test_polygons_are_those_of_the_layer_on_the_grid_of_the_source(
    folder: PartFolder, tmp_path: Path, expected: dict[str, np.ndarray]
) -> None:
    outputs = [Output(kind, tmp_path / f"p.{kind}", f"key of {kind}") for kind in ("gpkg", "shp")]
    part = polygonize_part(expected["classes"], expected["confidence"], 0, 0)
    layer = vector_layer("p", folder.source, CLASSES, join_parts([part], 64, 80))
    write_vectors(outputs, layer, feature_tables(layer))
    assert all(output.is_current() for output in outputs)
    assert not Output("gpkg", outputs[0].path, "key of shp").is_current()
    table = geopandas.read_file(outputs[0].path)
    assert table.crs == folder.source.crs
    pixel = 0.25  # m²
    for class_id, name in enumerate(CLASSES.names):
        pixels = int((expected["classes"] == class_id).sum())
        assert table[table["class"] == name].area.sum() == pytest.approx(pixels * pixel)


def test_a_foreign_file_differs(tmp_path: Path) -> None:
    for kind in ("classes", "preview", "gpkg", "shp"):
        path = output_path(tmp_path / "x", kind)
        path.write_bytes(b"mine")
        assert not Output(kind, path, "key").is_current()
