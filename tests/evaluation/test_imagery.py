from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from geoseg.classes import ISPRS
from geoseg.datasets.pairing import Pair
from geoseg.errors import ConfigError
from geoseg.evaluation.imagery import Imagery, given_images, refuse_idle_images
from geoseg.evaluation.pairs import RasterPair, ScoringOptions, open_pair
from geoseg.tiling import Window

Make = Callable[..., Path]
CELL = Window(10, 20, 30, 40)


@pytest.fixture
def opened(make_raster: Make) -> RasterPair:
    labels = np.zeros((1, 64, 80), np.uint8)
    files = [make_raster(name, data=labels) for name in ("out/sub/a_classes.tif", "a_label.tif")]
    return open_pair(Pair("a", *files), None, ScoringOptions(ISPRS, 0, False, 3, False))


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)[10:40, 20:60]


def report(folder: Path, **entry: Any) -> None:
    (folder / "report.json").write_text(json.dumps({"geoseg": "1", "inputs": [entry]}))


def test_the_report_of_predict_names_the_imagery_even_where_its_folder_was_renamed(
    opened: RasterPair, make_raster: Make, tmp_path: Path
) -> None:
    image = make_raster("images/a.tif")
    report(
        tmp_path / "out",
        path=str(image),
        outputs={"classes": "elsewhere/once/sub/a_classes.tif"},
    )
    imagery = Imagery(None, only_pair=True)
    picture = imagery.picture(opened, CELL, 100)
    np.testing.assert_array_equal(picture[..., :3], pixels(image))
    assert (picture[..., 3] == 255).all()
    assert imagery.notes == []
    assert imagery.picture(opened, CELL, 20).shape == (15, 20, 4)


@pytest.mark.parametrize("content", ["", "{}", '{"inputs": [{}]}', '{"inputs": [{"outputs": 1}]}'])
def test_a_report_that_names_none_is_noted_once(
    opened: RasterPair, tmp_path: Path, content: str
) -> None:
    (tmp_path / "out/report.json").write_text(content)
    imagery = Imagery(None, only_pair=True)
    assert imagery.picture(opened, CELL, 100) is None
    assert imagery.picture(opened, CELL, 100) is None
    (note,) = imagery.notes
    assert "name it with --images" in note


def test_named_imagery_goes_by_tile_and_one_image_by_itself(
    opened: RasterPair, make_raster: Make, tmp_path: Path
) -> None:
    images = [make_raster(f"images/{name}.tif", seed=seed) for seed, name in enumerate("ab")]
    picture = Imagery(given_images(tmp_path / "images"), only_pair=False).picture(opened, CELL, 99)
    np.testing.assert_array_equal(picture[..., :3], pixels(images[0]))
    picture = Imagery(given_images(images[1]), only_pair=True).picture(opened, CELL, 99)
    np.testing.assert_array_equal(picture[..., :3], pixels(images[1]))
    other = Imagery(given_images(images[1]), only_pair=False)
    assert other.picture(opened, CELL, 99) is None
    assert "no file is imagery of its tile, a; name one by --images" in other.notes[0]
    with pytest.raises(ConfigError, match="no such files"):
        given_images(tmp_path / "nothing")


def test_images_of_other_tiles_alone_are_refused_with_both_sides(
    opened: RasterPair, make_raster: Make, tmp_path: Path
) -> None:
    for name in ("b.tif", "c_RGB.tif"):
        make_raster(f"images/{name}")
    given = given_images(tmp_path / "images")
    with pytest.raises(
        ConfigError, match=r"images: those of b, c are given, .* are of a; give one"
    ):
        refuse_idle_images(given, [opened])
    refuse_idle_images(None, [opened])
    refuse_idle_images(given_images(tmp_path / "images/b.tif"), [opened])  # one image of one pair
    make_raster("images/a_RGB.tif")
    refuse_idle_images(given_images(tmp_path / "images"), [opened])
    make_raster("images/a.tif")
    with pytest.raises(ConfigError, match="give one image a tile"):
        refuse_idle_images(given_images(tmp_path / "images"), [opened])
    imagery = Imagery(given_images(tmp_path / "images"), only_pair=True)
    assert imagery.find(opened) is None
    assert "a.tif, " in imagery.notes[0]
    assert "are all imagery of its tile, a" in imagery.notes[0]


def test_imagery_on_another_grid_is_brought_to_the_references_and_clear_beyond_its_edges(
    opened: RasterPair, make_raster: Make
) -> None:
    image = make_raster(
        "i.tif",
        data=np.full((3, 100, 100), 90, np.uint8),
        transform=from_origin(499_990, 5_400_010, 0.25, 0.25),
    )
    imagery = Imagery(given_images(image), only_pair=True)
    picture = imagery.picture(opened, Window(0, 0, 64, 80), 100)
    assert (picture[:29, :29] == (90, 90, 90, 255)).all()
    assert (picture[31:] == 0).all()
    assert (picture[:, 31:] == 0).all()
    assert imagery.notes == []


def test_imagery_that_lies_nowhere_is_noted(opened: RasterPair, make_raster: Make) -> None:
    image = make_raster("i.tif", height=9, crs=None, transform=None)
    imagery = Imagery(given_images(image), only_pair=True)
    assert imagery.picture(opened, CELL, 100) is None
    assert "do not lie on the grid" in imagery.notes[0]


@pytest.mark.parametrize("shift", [(1e4, 0), (-1e4, 0), (0, 1e4), (0, -1e4)])
def test_imagery_that_lies_elsewhere_is_noted(
    opened: RasterPair, make_raster: Make, shift: tuple[float, float]
) -> None:
    place = from_origin(500_000 + shift[0], 5_400_000 + shift[1], 0.25, 0.25)
    imagery = Imagery(given_images(make_raster("i.tif", transform=place)), only_pair=True)
    assert imagery.picture(opened, CELL, 100) is None
    (note,) = imagery.notes
    assert "i.tif: lies beside" in note
