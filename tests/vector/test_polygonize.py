from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rasterio import features
from shapely.geometry import shape

from geoseg.errors import VectorError
from geoseg.vector import LabelPolygon, Regions, polygonize

PIXELS = Affine.identity()
TRANSFORMS = {
    "north-up": Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0),
    "south-up": Affine(0.5, 0.0, 500_000.0, 0.0, 0.5, 5_400_000.0),
    "rotated": Affine.translation(1000.0, 2000.0) @ Affine.rotation(30.0) @ Affine.scale(2.0, -2.0),
    "oblong pixels": Affine(3.0, 0.0, 10.0, 0.0, -0.25, 20.0),
}

label_rasters = arrays(
    np.uint8,
    array_shapes(min_dims=2, max_dims=2, max_side=14),
    elements=st.sampled_from([0, 1, 2, 254, 255]),
)


def rasterized(
    polygons: list[LabelPolygon], shape: tuple[int, int], transform: Affine
) -> np.ndarray:
    if not polygons:
        return np.full(shape, 255, np.uint8)
    shapes = [(polygon.geometry, polygon.class_id) for polygon in polygons]
    return features.rasterize(shapes, shape, fill=255, transform=transform, dtype="uint8")


def outlines(polygons: list[LabelPolygon]) -> set[tuple[bytes, int]]:
    return {(shapely.to_wkb(shapely.normalize(each.geometry)), each.class_id) for each in polygons}


def outlines_by_gdal(labels: np.ndarray) -> set[tuple[bytes, int]]:
    found = features.shapes(labels, mask=labels < 254, connectivity=4)
    return {
        (shapely.to_wkb(shapely.normalize(shape(outline))), int(value)) for outline, value in found
    }


def check_laws(labels: np.ndarray) -> None:
    polygons = polygonize(labels, PIXELS, confidence=labels)
    np.testing.assert_array_equal(
        rasterized(polygons, labels.shape, PIXELS), np.where(labels < 254, labels, 255)
    )
    assert outlines(polygons) == outlines_by_gdal(labels)
    assert all(polygon.geometry.is_valid for polygon in polygons)
    assert [polygon.pixels for polygon in polygons] == [
        polygon.geometry.area for polygon in polygons
    ]


@settings(max_examples=150, deadline=None)
@given(label_rasters)
def test_rasterizing_the_polygons_restores_any_labels_and_gdal_draws_the_same(
    labels: np.ndarray,
) -> None:
    check_laws(labels)


def test_the_laws_hold_in_the_corner_cases(drawn: np.ndarray) -> None:
    check_laws(drawn)


def test_the_laws_hold_on_coherent_regions(
    make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]],
) -> None:
    check_laws(make_blobs(150, 170)[0])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_polygons_lie_where_the_transform_says(
    transform: Affine, make_blobs: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    labels, _ = make_blobs(40, 50)
    polygons = polygonize(labels, transform)
    np.testing.assert_array_equal(rasterized(polygons, labels.shape, transform), labels)


def test_neighbours_share_their_vertices_to_the_last_bit() -> None:
    left, right = polygonize(np.array([[0, 1]], np.uint8), Affine(0.1, 0.03, 0.7, -0.01, -0.1, 0.3))
    shared = set(left.geometry.exterior.coords) & set(right.geometry.exterior.coords)
    assert len(shared) == 2


def test_confidence_is_the_mean_over_the_region() -> None:
    labels = np.array([[0, 0, 1]], np.uint8)
    polygons = polygonize(labels, PIXELS, confidence=np.array([[255, 0, 51]], np.uint8))
    assert [polygon.confidence for polygon in polygons] == [0.5, 0.2]


def test_without_confidence_there_is_none() -> None:
    assert polygonize(np.zeros((2, 2), np.uint8), PIXELS)[0].confidence is None


def test_shells_run_counter_clockwise_and_holes_clockwise_on_a_north_up_map() -> None:
    labels = np.zeros((5, 5), np.uint8)
    labels[2, 2] = 1
    outer = polygonize(labels, TRANSFORMS["north-up"])[0].geometry
    assert outer.exterior.is_ccw
    assert not outer.interiors[0].is_ccw


def test_polygons_come_in_the_order_of_their_first_pixels() -> None:
    labels = np.array([[2, 1], [0, 1]], np.uint8)
    assert [polygon.class_id for polygon in polygonize(labels, PIXELS)] == [2, 1, 0]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_no_pixels_make_no_polygons(shape: tuple[int, int]) -> None:
    assert polygonize(np.zeros(shape, np.uint8), PIXELS) == []


@pytest.mark.parametrize("labels", [np.zeros((2, 2), np.int64), np.zeros((1, 2, 2), np.uint8)])
def test_labels_of_another_kind_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(
        VectorError, match=r"labels of shape .* polygons are made from \(height, width\) uint8"
    ):
        polygonize(labels, PIXELS)


@pytest.mark.parametrize("confidence", [np.zeros((2, 3), np.uint8), np.zeros((2, 2), np.float32)])
def test_confidence_of_another_kind_is_refused(confidence: np.ndarray) -> None:
    with pytest.raises(VectorError, match=r"confidence of shape .* give uint8 of the same shape"):
        polygonize(np.zeros((2, 2), np.uint8), PIXELS, confidence=confidence)


def test_every_region_needs_its_attributes() -> None:
    geometry = np.array([None, None], object)
    with pytest.raises(
        VectorError, match=r"2 polygons with \[2, 1\] attributes; give one of each per region"
    ):
        Regions(geometry, np.zeros(2, np.uint8), np.ones(1, np.int64), None)


def test_confidence_is_the_mean_of_its_pixels_from_0_to_1() -> None:
    geometry = np.array([None, None], object)
    pixels, class_id = np.array([2, 5]), np.zeros(2, np.uint8)
    regions = Regions(geometry, class_id, pixels, np.array([255, 51 * 5]))
    assert len(regions) == 2
    assert regions.confidence.tolist() == [0.5, 0.2]
    assert np.isnan(Regions(geometry, class_id, pixels, None).confidence).tolist() == [True, True]


@pytest.mark.parametrize("wrong", ["class_id", "pixels", "confidence_sum"])
def test_each_attribute_is_counted(wrong: str) -> None:
    columns = {
        "geometry": np.array([None, None], object),
        "class_id": np.zeros(2, np.uint8),
        "pixels": np.ones(2, np.int64),
        "confidence_sum": np.ones(2, np.int64),
    }
    Regions(**columns)
    with pytest.raises(VectorError, match="give one of each per region"):
        Regions(**{**columns, wrong: columns[wrong][:1]})
