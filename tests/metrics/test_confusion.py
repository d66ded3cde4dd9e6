from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from geoseg.errors import ConfigError
from geoseg.metrics import ConfusionMatrix

CLASSES = 4
references = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 3, 255]))
predictions = arrays(np.uint8, (6, 7), elements=st.sampled_from([0, 1, 2, 3, 254, 255]))


def counted(reference: np.ndarray, predicted: np.ndarray) -> ConfusionMatrix:
    confusion = ConfusionMatrix(CLASSES)
    confusion.update(reference, predicted)
    return confusion


@given(references, predictions)
def test_counts_equal_a_plain_loop(reference: np.ndarray, predicted: np.ndarray) -> None:
    matrix, missed = np.zeros((CLASSES, CLASSES), np.int64), np.zeros(CLASSES, np.int64)
    for actual, guess in zip(reference.flat, predicted.flat, strict=True):
        if actual != 255 and guess < 254:
            matrix[actual, guess] += 1
        elif actual != 255:
            missed[actual] += 1
    confusion = counted(reference, predicted)
    assert confusion.matrix.dtype == np.int64
    np.testing.assert_array_equal(confusion.matrix, matrix)
    np.testing.assert_array_equal(confusion.missed, missed)


@given(references.filter(lambda labels: (labels != 255).any()), predictions)
def test_metrics_equal_scikit_learn(reference: np.ndarray, predicted: np.ndarray) -> None:
    confusion = counted(reference, predicted)
    labelled = reference != 255
    actual = reference[labelled]
    # To scikit-learn a missed pixel is a prediction of one more class, which enters no average.
    guess = np.where(predicted >= 254, CLASSES, predicted)[labelled]
    shown = np.isin(range(CLASSES), np.union1d(actual, guess))
    options = {"labels": range(CLASSES), "average": None}
    jaccard = np.where(
        shown, oracle.jaccard_score(actual, guess, zero_division=0, **options), np.nan
    )
    np.testing.assert_allclose(confusion.iou, jaccard)
    for name, score in [
        ("precision", oracle.precision_score),
        ("recall", oracle.recall_score),
        ("f1", oracle.f1_score),
    ]:
        np.testing.assert_allclose(
            getattr(confusion, name), score(actual, guess, zero_division=np.nan, **options)
        )
    assert confusion.overall_accuracy == pytest.approx(oracle.accuracy_score(actual, guess))
    assert confusion.mean_iou == pytest.approx(jaccard[np.unique(actual)].mean())
    assert confusion.mean_f1 == pytest.approx(confusion.f1[np.unique(actual)].mean())


@given(references, predictions, references, predictions)
def test_pieces_add_up(
    first: np.ndarray, guess: np.ndarray, second: np.ndarray, other: np.ndarray
) -> None:
    whole = counted(np.stack([first, second]), np.stack([guess, other]))
    merged = counted(first, guess) + counted(second, other)
    np.testing.assert_array_equal(merged.matrix, whole.matrix)
    np.testing.assert_array_equal(merged.missed, whole.missed)


@given(references.filter(lambda labels: len(np.unique(labels[labels != 255])) > 1), predictions)
def test_kappa_equals_scikit_learn(reference: np.ndarray, predicted: np.ndarray) -> None:
    labelled = reference != 255
    expected = oracle.cohen_kappa_score(reference[labelled], predicted[labelled])
    assert counted(reference, predicted).kappa == pytest.approx(expected)


def test_kappa_is_undefined_where_chance_agrees_always() -> None:
    assert np.isnan(counted(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)).kappa)
    assert np.isnan(counted(np.zeros(1, np.uint8), np.zeros(1, np.uint8)).kappa)
    assert np.isnan(ConfusionMatrix(2).kappa)


def test_absent_classes_stay_out_of_the_means_but_cost_the_others() -> None:
    confusion = counted(np.array([0, 0, 1, 1], np.uint8), np.array([0, 2, 1, 1], np.uint8))
    assert confusion.present.tolist() == [True, True, False, False]
    assert confusion.mean_iou == pytest.approx((0.5 + 1.0) / 2)
    assert confusion.iou[2] == 0.0
    assert np.isnan(confusion.iou[3])


def test_missed_pixels_cost_recall_iou_and_accuracy_but_no_precision() -> None:
    confusion = counted(np.array([0, 0, 0, 0], np.uint8), np.array([0, 0, 254, 255], np.uint8))
    assert confusion.missed.tolist() == [2, 0, 0, 0]
    assert confusion.overall_accuracy == confusion.recall[0] == confusion.iou[0] == 0.5
    assert confusion.precision[0] == 1.0


def test_ignored_classes_count_as_unlabelled() -> None:
    reference = np.array([0, 0, 1, 2, 2, 255], np.uint8)
    predicted = np.array([0, 2, 1, 2, 254, 0], np.uint8)
    without = np.where(reference == 2, 255, reference).astype(np.uint8)
    ignoring = counted(reference, predicted).ignoring(np.array([False, False, True, False]))
    np.testing.assert_array_equal(ignoring.matrix, counted(without, predicted).matrix)
    np.testing.assert_array_equal(ignoring.missed, counted(without, predicted).missed)


def test_a_mean_may_be_over_some_classes_only() -> None:
    confusion = counted(np.array([0, 0, 1, 1], np.uint8), np.array([0, 2, 1, 1], np.uint8))
    assert confusion.mean(confusion.iou, np.array([True, False, True, True])) == 0.5
    assert np.isnan(confusion.mean(confusion.iou, np.array([False, False, True, True])))


def test_nothing_labelled_gives_nan_everywhere() -> None:
    confusion = counted(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(
        [confusion.mean_iou, confusion.mean_f1, confusion.overall_accuracy, *confusion.iou]
    ).all()


def test_another_ignore_value_is_honoured() -> None:
    confusion = ConfusionMatrix(2, ignore=-1)
    confusion.update(np.array([-1, 0, 1]), np.array([0, 0, 0]))
    assert confusion.matrix.tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("reference", "predicted", "message"),
    [
        ([0, 7], [0, 0], "the reference holds 7, which is not one of the 4 classes"),
        ([0, 4], [0, 0], "the reference holds 4, which is not one of the 4 classes"),
        ([0, 0], [0, 9], "the prediction holds 9, which is not one of the 4 classes"),
        ([0, 0], [0, 4], "the prediction holds 4, which is not one of the 4 classes"),
        ([0, 0], [0], "reference .* and prediction .* differ in shape"),
    ],
)
def test_values_without_a_class_are_refused(
    reference: list[int], predicted: list[int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        counted(np.array(reference, np.uint8), np.array(predicted, np.uint8))


def test_sizes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="use 1 to 254"):
        ConfusionMatrix(0)
    with pytest.raises(ConfigError, match="use 1 to 254"):
        ConfusionMatrix(255)
    assert (ConfusionMatrix(1).n, ConfusionMatrix(254).n) == (1, 254)
    with pytest.raises(ConfigError, match="2 and 3 classes cannot be added"):
        ConfusionMatrix(2) + ConfusionMatrix(3)
    with pytest.raises(ConfigError, match="cannot be added"):
        ConfusionMatrix(2) + ConfusionMatrix(2, ignore=-1)
    with pytest.raises(ConfigError, match="the reference holds -1, which is not one of the 2"):
        ConfusionMatrix(2).update(np.array([-1, 0]), np.array([0, 0]))
    whole = ConfusionMatrix(2, ignore=-1) + ConfusionMatrix(2, ignore=-1)
    assert whole.ignore == whole.ignoring(np.zeros(2, bool)).ignore == -1
