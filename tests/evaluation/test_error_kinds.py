from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.evaluation.error_kinds import ErrorKinds
from geoseg.metrics import ConfusionMatrix

NAMES = ["road", "roof", "tree"]


def kinds_of(reference: np.ndarray, predicted: np.ndarray, names: list[str]) -> ErrorKinds:
    confusion = ConfusionMatrix(len(names))
    confusion.update(reference, predicted)
    return ErrorKinds.of(confusion, names)


CODES = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 255]))
WITH_UNCERTAIN = arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 254, 255]))


@given(CODES, WITH_UNCERTAIN)
def test_each_value_says_which_class_is_in_place_of_which(
    reference: np.ndarray, predicted: np.ndarray
) -> None:
    kinds = kinds_of(reference, predicted, NAMES)
    values = kinds.values_of(reference, predicted)
    for value, actual, guess in zip(values.flat, reference.flat, predicted.flat, strict=True):
        if actual == 255:
            assert value == 255
        elif actual == guess:
            assert value == 254
        else:
            assert kinds.reference[value] == NAMES[actual]
            assert kinds.predicted[value] == (None if guess >= 254 else NAMES[guess])
    counts = np.bincount(values.ravel(), minlength=256)[:254]
    assert counts[: len(kinds.scheme)].tolist() == list(kinds.pixels)
    assert counts.sum() == sum(kinds.pixels)
    assert list(kinds.pixels) == sorted(kinds.pixels, reverse=True)


def test_kinds_are_named_as_people_say_it() -> None:
    reference = np.array([[0, 0, 0, 1, 1, 2]], np.uint8)
    predicted = np.array([[1, 1, 1, 254, 255, 2]], np.uint8)
    kinds = kinds_of(reference, predicted, NAMES)
    assert kinds.scheme.names == ("roof instead of road", "roof missed")
    assert kinds.pixels == (3, 2)


def test_where_nothing_is_wrong_there_is_one_kind_without_pixels() -> None:
    labels = np.array([[0, 1, 255]], np.uint8)
    kinds = kinds_of(labels, labels, NAMES)
    assert (kinds.scheme.names, kinds.pixels) == (("other errors",), (0,))
    assert kinds.values_of(labels, labels).tolist() == [[254, 254, 255]]


@pytest.mark.parametrize("classes", [16, 17])
def test_of_more_kinds_than_a_raster_holds_those_with_the_fewest_pixels_are_one(
    classes: int,
) -> None:
    reference, predicted = np.indices((classes, classes)).astype(np.uint8)
    repeated = np.arange(classes**2) % 7 + 1
    reference, predicted = (
        np.repeat(each.ravel(), repeated)[None] for each in (reference, predicted)
    )
    kinds = kinds_of(reference, predicted, [f"c{n}" for n in range(classes)])
    wrong = int((reference != predicted).sum())
    assert sum(kinds.pixels) == wrong
    values = kinds.values_of(reference, predicted)
    counts = np.bincount(values[values < 254], minlength=254)
    assert counts[: len(kinds.pixels)].tolist() == list(kinds.pixels)
    if classes == 16:  # 240 kinds
        assert "other errors" not in kinds.scheme.names
        return
    assert len(kinds.scheme) == 254  # of 272
    assert kinds.scheme.names[-1] == "other errors"
    assert (kinds.reference[-1], kinds.predicted[-1]) == (None, None)
    listed = list(kinds.pixels[:-1])
    assert min(listed) >= 1
    assert listed == sorted(listed, reverse=True)
