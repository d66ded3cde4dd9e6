"""Real QGIS shows what geoseg writes with nothing set by hand; see `tests/gis/test_qgis.py`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import rasterio

import geoseg
from geoseg.models import load_card
from geoseg.scenes import write_folder
from geoseg.vector import FORMATS
from tests.gis.python import needs_qgis, run_script

pytestmark = needs_qgis

MODEL = files("geoseg") / "data/demo.safetensors"
CODES = [[254.0, "uncertain", "#808080", 255], [255.0, "no data", "#000000", 0]]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All outputs of a scene."""
    folder = tmp_path_factory.mktemp("styles")
    (scene,) = write_folder(folder, scenes=1, size=512, seed=3)
    chosen = {"vectors": list(FORMATS), "confidence": True, "probabilities": True}
    assert geoseg.predict(scene.image, MODEL, out=folder / "out", **chosen).exit_code == 0
    return folder / "out"


@pytest.fixture(scope="module")
def styles(out: Path) -> dict[str, Any]:
    """Of each file, how QGIS shows it."""
    pictures = out / "pictures"
    pictures.mkdir()
    paths = [str(path) for path in sorted(out.iterdir()) if path.suffix in SUFFIXES]
    return json.loads(run_script("styles.py", str(pictures), *paths).partition("styles: ")[2])


READ = [name for name in FORMATS if name != "parquet"]  # Debian's GDAL has no driver for it
SUFFIXES = (".tif", *(f".{name}" for name in READ))
CARD = load_card(Path(str(MODEL)))
COLORS = ["#{:02x}{:02x}{:02x}".format(*color) for color in CARD.classes.colors]
NAMES = list(CARD.classes.names)


def of(styles: dict[str, Any], ending: str) -> dict[str, Any]:
    (found,) = (style for name, style in styles.items() if name.endswith(ending))
    return found


def test_a_class_raster_opens_with_its_classes_alone_then_uncertain_and_no_data(styles) -> None:
    shown = of(styles, "_classes.tif")
    listed = zip(map(float, range(len(NAMES))), NAMES, COLORS, strict=True)
    assert shown["classes"] == [*([*each, 255] for each in listed), *CODES]
    assert (shown["kind"], shown["crs"], shown["opacity"]) == ("paletted", "EPSG:32632", 1.0)


@pytest.mark.parametrize(
    ("ending", "alpha"), [("_confidence.tif", -1), ("_probabilities.tif", len(NAMES) + 1)]
)
def test_probabilities_open_with_one_ramp_clear_where_masked(styles, out, ending, alpha) -> None:
    shown = of(styles, ending)
    assert (shown["kind"], shown["alpha"]) == ("singlebandpseudocolor", alpha)
    (picture,) = (out / "pictures").glob(f"*{ending}.png")
    (raster,) = out.glob(f"*{ending}")
    with rasterio.open(picture) as drawn, rasterio.open(raster) as file:
        size = (drawn.height, drawn.width)
        valid = file.dataset_mask(out_shape=size) > 0
        white = (drawn.read((1, 2, 3)) == 255).all(0)
    assert (white == ~valid).mean() > 0.99
    assert 0.01 < white.mean() < 0.5
    assert [each[1] for each in shown["classes"]] == ["0%", "25%", "50%", "75%", "100%"]
    assert [each[0] for each in shown["classes"]] == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("ending", READ)
def test_polygons_open_in_the_colours_and_with_the_names_of_their_classes(styles, ending) -> None:
    shown = of(styles, f".{ending}")
    opacity = round(255 * 0.6)
    expected = [[name, name, color, opacity] for name, color in zip(NAMES, COLORS, strict=True)]
    assert shown["classes"] == expected
    assert (shown["kind"], shown["attribute"]) == ("categorizedSymbol", "class")
    assert shown["labels"] == [True, "class", 1500.0]
    assert shown["features"] > 0


@pytest.mark.parametrize("ending", READ[1:])
def test_the_sld_is_understood(styles, ending) -> None:
    assert of(styles, f".{ending}")["sld"] == "RuleRenderer"
