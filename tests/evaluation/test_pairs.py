from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from geoseg.classes import ISPRS, ClassScheme
from geoseg.datasets.pairing import Pair
from geoseg.errors import SourceError
from geoseg.evaluation.pairs import PredictionReader, ScoringOptions, open_pair, open_pairs
from geoseg.tiling import Window

Make = Callable[..., Path]

SHAPE = (64, 80)
ZEROS = np.zeros(SHAPE, np.uint8)


def options(
    scheme: ClassScheme = ISPRS, *, refuse_eroded: bool = False, resample: bool = False
) -> ScoringOptions:
    return ScoringOptions(scheme, 3, refuse_eroded, 3, resample)


def named(*names: str) -> ClassScheme:
    return ClassScheme.from_names(names)


def test_a_pair_that_fits_is_opened(pair: tuple[Path, Path]) -> None:
    opened = open_pair(Pair("a", *pair), None, options())
    assert (opened.tile, opened.predicted.path, opened.reference.path) == ("a", *pair)
    assert (opened.instances, opened.resampled, opened.warnings) == (None, False, ())


def test_each_file_is_opened_once_to_check_a_pair(
    pair: tuple[Path, Path], opened: list[str]
) -> None:
    usable, _ = open_pairs([Pair("a", *pair)], None, options())
    assert len(usable) == 1
    assert sorted(opened) == sorted(path.name for path in pair)


@pytest.mark.parametrize(
    "array", [np.zeros(SHAPE, np.float32), np.zeros((3, *SHAPE), np.uint8)], ids=["float", "rgb"]
)
def test_a_raster_that_holds_no_class_ids_is_refused(
    array: np.ndarray, make: Make, pair: tuple[Path, Path]
) -> None:
    other = make("other.tif", array)
    with pytest.raises(SourceError, match=r"band\(s\) of .* are not a class raster; give one band"):
        open_pair(Pair("a", other, pair[1]), None, options())


def test_another_grid_is_refused_unless_resampled(make: Make, pair: tuple[Path, Path]) -> None:
    moved = make(
        "fine_classes.tif",
        np.zeros((128, 160), np.uint8),
        transform=Affine(0.25, 0, 500_000.0, 0, -0.25, 5_400_000.0 - 3 * 0.5),
    )
    with pytest.raises(
        SourceError,
        match=r"128 x 160 pixels of 0.25 from \(500000, 5399998.5\) in EPSG:32632 do not",
    ):
        open_pair(Pair("a", moved, pair[1]), None, options())
    assert open_pair(Pair("a", moved, pair[1]), None, options(resample=True)).resampled
    assert not open_pair(Pair("a", *pair), None, options(resample=True)).resampled


def test_references_without_a_place_are_compared_by_size_and_another_crs_is_refused(
    make: Make, pair: tuple[Path, Path]
) -> None:
    plain = make("a_label.png", ZEROS, crs=None, transform=None, driver="PNG")
    assert not open_pair(Pair("a", pair[0], plain), None, options()).resampled
    other = make("b_label.tif", ZEROS, crs="EPSG:32633")
    with pytest.raises(
        SourceError, match=r"in EPSG:32632 do not lie on the grid of .* in EPSG:32633"
    ):
        open_pair(Pair("a", pair[0], other), None, options())


@pytest.mark.parametrize("name", ["gts/a_noBoundary.tif", "gts_no_boundary/a.tif", "Eroded/a.tif"])
def test_a_reference_whose_name_says_eroded_is_refused_where_it_would_be_eroded_again(
    name: str, make: Make, pair: tuple[Path, Path]
) -> None:
    named = Pair("a", pair[0], make(name, ZEROS))
    with pytest.raises(
        SourceError, match=r"its name says '.*'.; give the full labels, --erode 0 .* --erode 3 to"
    ):
        open_pair(named, None, options(refuse_eroded=True))
    assert open_pair(named, None, options()).tile == "a"
    assert open_pair(Pair("a", *pair), None, options(refuse_eroded=True)).tile == "a"


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (("road", "roof", "tree"), ("roof", "road"), r"with 3 classes \(road, roof, tree\), 2 are"),
        (("roof", "road"), ("road", "roof"), "the same in another order; order the classes file"),
        (("road", "roof"), ("ROOF", "Road"), "the same in another order; order the classes file"),
    ],
)
def test_a_prediction_with_other_classes_is_refused(
    names: tuple[str, ...], given: tuple[str, ...], message: str, make: Make
) -> None:
    predicted = with_class_names(make("a_classes.tif", ZEROS), names)
    with pytest.raises(SourceError, match=message):
        open_pair(Pair("a", predicted, make("b.tif", ZEROS)), None, options(named(*given)))


def test_other_names_of_as_many_classes_are_warned_about(make: Make) -> None:
    predicted = with_class_names(make("a_classes.tif", ZEROS), ("Dach", "Weg"))
    reference = make("a_label.tif", ZEROS)
    opened = open_pair(Pair("a", predicted, reference), None, options(named("roof", "road")))
    assert opened.warnings == (
        f"{predicted}: was made with 2 classes (Dach, Weg), 2 are given (roof, road): they are "
        "taken to be the same, in this order",
    )
    alike = open_pair(Pair("a", predicted, reference), None, options(named("DACH", "weg")))
    assert alike.warnings == ()


def with_class_names(path: Path, names: tuple[str, ...]) -> Path:
    with rasterio.open(path, "r+") as file:
        file.update_tags(GEOSEG_CLASSES=json.dumps(names))
    return path


def test_a_pair_that_cannot_be_used_is_one_line_and_the_others_continue(
    make: Make, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    bad = Pair("b", tmp_path / "missing.tif", pair[1])
    usable, failures = open_pairs([bad, Pair("a", *pair)], None, options())
    assert [opened.tile for opened in usable] == ["a"]
    assert len(failures) == 1
    assert "missing.tif: no such file" in failures[0]
    assert "\n" not in failures[0]


def instances_of(names: dict[str, list[str]], pairs: list[Pair]) -> list[str]:
    files = {tile: [Path(name) for name in found] for tile, found in names.items()}
    usable, failures = open_pairs(pairs, files, options())
    return [str(opened.instances) for opened in usable] + failures


def test_each_tile_has_its_own_objects(make: Make, pair: tuple[Path, Path]) -> None:
    pairs = [Pair(tile, pair[0], make(f"ref/{tile}_label.tif", ZEROS)) for tile in "ab"]
    both = {"a": ["a_instances.tif"], "b": ["b.gpkg"]}
    assert instances_of(both, pairs) == ["a_instances.tif", "b.gpkg"]
    one_of_several = {"a": ["a_color.png", "a_instanceIds.png"], "b": ["b_instances.tif"]}
    assert instances_of(one_of_several, pairs) == ["a_instanceIds.png", "b_instances.tif"]
    found, failure = instances_of({"a": ["a_instances.tif"], "c": ["c.tif"]}, pairs)
    assert found == "a_instances.tif"
    assert "b_label.tif: no files of objects for tile b; give one per tile" in failure
    found, failure = instances_of({"a": ["a_1.tif", "a_2.tif"], "b": ["b.tif"]}, pairs)
    assert "a_label.tif: several files of objects for tile a; give one per tile" in failure


def test_one_file_of_polygons_serves_all_tiles_and_one_raster_the_only_pair(
    make: Make, pair: tuple[Path, Path]
) -> None:
    pairs = [Pair(tile, pair[0], make(f"ref/{tile}_label.tif", ZEROS)) for tile in "ab"]
    assert instances_of({"x": ["x.GPKG"]}, pairs) == ["x.GPKG", "x.GPKG"]
    assert instances_of({"x": ["x.tif"]}, pairs[:1]) == ["x.tif"]
    assert ["no files of objects" in line for line in instances_of({"x": ["x.tif"]}, pairs)] == [
        True,
        True,
    ]
    same = {"x": ["x.gpkg"], "y": ["x.gpkg"]}
    assert instances_of(same, pairs) == ["x.gpkg", "x.gpkg"]


def test_predictions_are_read_in_windows_with_255_where_nothing_is_predicted(
    make: Make, pair: tuple[Path, Path]
) -> None:
    array = np.arange(64 * 80, dtype=np.uint8).reshape(SHAPE) % 6
    array[3, 4], array[3, 5] = 254, 255
    array[5, 6:9] = 9
    predicted = make("b_classes.tif", array, nodata=9)
    opened = open_pair(Pair("a", predicted, pair[1]), None, options())
    with PredictionReader(opened, ISPRS) as reader:
        found = reader.read(Window(2, 3, 10, 20))
    with pytest.raises((SourceError, RasterioError)):  # it is closed
        reader.read(Window(2, 3, 10, 20))
    expected = array[2:12, 3:23]
    np.testing.assert_array_equal(found, np.where(expected == 9, 255, expected))


def test_resampled_predictions_are_255_where_they_do_not_reach(make: Make) -> None:
    place = Affine(0.5, 0, 500_000.0, 0, -0.5, 5_400_000.0 - 3 * 0.5)
    array = np.arange(64 * 80, dtype=np.uint8).reshape(SHAPE) % 6
    predicted = make("b_classes.tif", array, transform=place)
    pair = Pair("a", predicted, make("b_label.tif", ZEROS))
    with PredictionReader(open_pair(pair, None, options(resample=True)), ISPRS) as reader:
        found = reader.read(Window(0, 0, *SHAPE))
    assert (found[:3] == 255).all()
    np.testing.assert_array_equal(found[3:], array[:-3])


@pytest.mark.parametrize(("value", "refused"), [(5, False), (6, True), (253, True), (254, False)])
def test_values_without_a_class_are_refused(value: int, refused: bool, make: Make) -> None:
    array = np.full(SHAPE, value, np.uint8)
    pair = Pair("a", make("b_classes.tif", array), make("b_label.tif", ZEROS))
    with PredictionReader(open_pair(pair, None, options()), ISPRS) as reader:
        if refused:
            message = rf"b_classes.tif: holds class id {value}, there are 6 classes \(0 to 5\)"
            with pytest.raises(SourceError, match=message):
                reader.read(Window(0, 0, *SHAPE))
        else:
            assert (reader.read(Window(0, 0, *SHAPE)) == value).all()
