from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import rasterize, shapes

from geoseg.errors import ConfigError
from geoseg.metrics import SCALE_BINS, InstanceIoU, ScaleIoU, scale_iou

ROAD, CAR = 0, 1


def scene(size: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Reference, prediction and objects of an empty road."""
    return (
        np.zeros((size, size), np.uint8),
        np.zeros((size, size), np.uint8),
        np.zeros((size, size), np.int32),
    )


def test_one_object_is_intersection_over_union() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:6] = CAR
    objects[2:6, 2:6] = 7
    predicted[4:8, 2:6] = CAR  # half of it, and as much again below
    found = scale_iou(reference, predicted, objects)
    assert (found.area.tolist(), found.class_id.tolist(), found.iou.tolist()) == (
        [16],
        [CAR],
        [8 / 24],
    )


def test_a_neighbour_of_the_same_class_is_not_excess() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:10] = CAR
    objects[2:6, 2:6], objects[2:6, 6:10] = 1, 2
    predicted[2:6, 2:10] = CAR  # one region over both cars
    assert scale_iou(reference, predicted, objects).iou.tolist() == [1.0, 1.0]


def test_a_group_of_the_same_class_and_unlabelled_pixels_are_not_excess() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:10] = CAR
    reference[6:8, 2:6] = 255
    objects[2:6, 2:6] = 1
    predicted[2:8, 2:10] = CAR
    found = scale_iou(reference, predicted, objects)
    assert found.iou.tolist() == [
        16 / (16 + 8)
    ]  # the 8 pixels of road to the right of the unlabelled ones


def test_regions_that_do_not_touch_the_object_do_not_count() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:6] = predicted[2:6, 2:6] = CAR
    objects[2:6, 2:6] = 1
    predicted[10:14, 10:14] = CAR
    assert scale_iou(reference, predicted, objects).iou.tolist() == [1.0]


def test_a_missed_object_counts_as_zero() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:6], predicted[2:6, 2:6] = CAR, 254
    objects[2:6, 2:6] = 1
    assert scale_iou(reference, predicted, objects).iou.tolist() == [0.0]


def test_the_ranges_are_the_papers_and_each_object_counts_once() -> None:
    assert SCALE_BINS == (0, 2500, 62500)
    area = np.array([1, 2499, 2500, 62499, 62500, 10**6])
    found = InstanceIoU(area, np.zeros(6, np.int64), np.array([0.0, 1.0, 0.2, 0.4, 0.5, 0.7]))
    assert [count for count, _ in found.by_scale()] == [2, 2, 2]
    np.testing.assert_allclose([mean for _, mean in found.by_scale()], [0.5, 0.3, 0.6])
    assert found.mean == pytest.approx(2.8 / 6)
    both = found + InstanceIoU(np.array([7]), np.array([2]), np.array([0.25]))
    assert both.area.tolist() == [*area.tolist(), 7]
    assert both.class_id.tolist() == [0] * 6 + [2]
    assert both.iou.tolist() == [*found.iou.tolist(), 0.25]
    assert both.of_classes(np.array([False, True, True])).iou.tolist() == [0.25]
    assert np.isnan(found.of_classes(np.array([False])).mean)


def test_the_class_is_that_of_most_labelled_pixels_unless_given() -> None:
    reference, predicted, objects = scene()
    reference[2:6, 2:6] = predicted[2:6, 2:6] = CAR
    reference[2, 2:6], reference[3, 2:6] = 255, ROAD
    objects[2:6, 2:6], objects[10:12, 10:12] = 1000, 2000
    reference[10:12, 10:12] = 255  # no label: not scored
    found = scale_iou(reference, predicted, objects)
    assert (found.area.tolist(), found.class_id.tolist()) == ([16], [CAR])
    given = scale_iou(
        reference, predicted, objects, class_of=lambda number: np.where(number == 2000, ROAD, -1)
    )
    assert (given.area.tolist(), given.class_id.tolist()) == ([4], [ROAD])


def test_of_two_classes_with_as_many_pixels_the_lower_one_is_the_objects() -> None:
    reference, predicted, objects = scene()
    for number, rows, first, second in ((1, slice(2, 4), 3, 2), (2, slice(6, 8), 2, 3)):
        objects[rows, 2:6] = number
        reference[rows, 2:4], reference[rows, 4:6] = first, second
    predicted[2:8, 2:6] = 2
    found = scale_iou(reference, predicted, objects)
    assert found.class_id.tolist() == [2, 2]
    metric = ScaleIoU()  # the same where a strip ends inside an object, and 3 comes first
    for row in range(20):
        strip = slice(row, row + 1)
        metric.update(reference[strip], predicted[strip], objects[strip])
    assert metric.compute().class_id.tolist() == [2, 2]


def by_looking(
    reference: np.ndarray, predicted: np.ndarray, objects: np.ndarray, classes: dict[int, int]
) -> list:
    """The definition, object by object, with GDAL's regions."""
    answers = []
    for number in sorted(set(objects.ravel().tolist()) & set(classes)):
        own, class_id = objects == number, classes[number]
        guess = np.zeros_like(own)
        mask = (predicted == class_id).astype(np.uint8)
        for index, (shape, _) in enumerate(shapes(mask, mask=mask == 1, connectivity=4), start=1):
            region = rasterize([(shape, index)], own.shape, dtype="int32") == index
            if (region & own).any():
                guess |= region
        others = ~own & np.isin(
            objects, [key for key, value in classes.items() if value == class_id]
        )
        guess &= ~others & (
            own
            | ((reference != 255) & (reference != class_id))
            | _of_another(objects, classes, class_id)
        )
        answers.append((guess & own).sum() / (guess | own).sum())
    return answers


def _of_another(objects: np.ndarray, classes: dict[int, int], class_id: int) -> np.ndarray:
    return np.isin(objects, [key for key, value in classes.items() if value != class_id])


small = (7, 8)
references = arrays(np.uint8, small, elements=st.sampled_from([0, 1, 1, 255]))
guesses = arrays(np.uint8, small, elements=st.sampled_from([0, 1, 1, 1, 254, 255]))
numbers = arrays(np.int32, small, elements=st.sampled_from([0, 0, 0, 3, 5, 900]))


@given(references, guesses, numbers)
def test_any_image_equals_the_definition(
    reference: np.ndarray, predicted: np.ndarray, objects: np.ndarray
) -> None:
    classes = {3: 1, 5: 1, 900: 0}
    found = scale_iou(
        reference,
        predicted,
        objects,
        class_of=lambda number: np.array([classes[n] for n in number.tolist()], np.int64),
    )
    assert found.iou.tolist() == pytest.approx(by_looking(reference, predicted, objects, classes))


@given(arrays(np.uint8, small, elements=st.sampled_from([0, 1, 2, 255])), guesses, numbers)
def test_areas_and_classes_equal_a_plain_count(
    reference: np.ndarray, predicted: np.ndarray, objects: np.ndarray
) -> None:
    expected = []
    for number in (3, 5, 900):
        labels = reference[objects == number]
        votes = np.bincount(labels[labels != 255], minlength=1)
        if votes.any():
            expected.append(
                (labels.size, votes.argmax())
            )  # the first, so the lowest, of the largest
    found = scale_iou(reference, predicted, objects)
    assert list(zip(found.area.tolist(), found.class_id.tolist(), strict=True)) == expected


def assert_equal(found: InstanceIoU, expected: InstanceIoU) -> None:
    np.testing.assert_array_equal(found.area, expected.area)
    np.testing.assert_array_equal(found.class_id, expected.class_id)
    np.testing.assert_array_equal(found.iou, expected.iou)


def scored_in_strips(
    reference: np.ndarray, predicted: np.ndarray, objects: np.ndarray, cuts: list[int]
) -> InstanceIoU:
    metric = ScaleIoU()
    for top, end in itertools.pairwise(sorted({0, *cuts, len(reference)})):
        metric.update(reference[top:end], predicted[top:end], objects[top:end])
    return metric.compute()


@given(references, guesses, numbers, st.lists(st.integers(1, 6), max_size=4))
def test_strips_change_nothing(
    reference: np.ndarray, predicted: np.ndarray, objects: np.ndarray, cuts: list[int]
) -> None:
    strips = scored_in_strips(reference, predicted, objects, cuts)
    assert_equal(strips, scale_iou(reference, predicted, objects))


@pytest.mark.parametrize("cuts", [[1, 2, 3, 4, 5, 6], [3], [2, 5]])
def test_strips_change_nothing_where_every_pixel_is_drawn(cuts: list[int]) -> None:
    rng = np.random.default_rng(len(cuts))
    for _ in range(10):
        reference = rng.choice(np.array([0, 1, 1, 255], np.uint8), small)
        predicted = rng.choice(np.array([0, 1, 1, 1, 254, 255], np.uint8), small)
        objects = rng.choice(np.array([0, 0, 0, 3, 5, 900]), small)
        strips = scored_in_strips(reference, predicted, objects, cuts)
        assert_equal(strips, scale_iou(reference, predicted, objects))


def test_nothing_and_shapes_that_differ() -> None:
    nothing = ScaleIoU().compute()
    assert (nothing.area.size, nothing.class_id.size, nothing.iou.size) == (0, 0, 0)
    reference, predicted, objects = scene()
    assert scale_iou(reference, predicted, objects).iou.size == 0
    assert ScaleIoU().compute().iou.size == 0
    with pytest.raises(ConfigError, match="differ in shape; give the same pixels"):
        scale_iou(reference, predicted, objects[1:])
    with pytest.raises(ConfigError, match="differ in shape; give the same pixels"):
        scale_iou(reference, predicted[1:], objects)
