from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as oracle

from geoseg.classes import CITYSCAPES, ISPRS
from geoseg.errors import ConfigError
from geoseg.metrics import PROTOCOLS, ConfusionMatrix, figures, find_protocol

CLUTTER = 5
references = arrays(np.uint8, (5, 8), elements=st.sampled_from([0, 1, 2, 5, 255]))
predictions = arrays(np.uint8, (5, 8), elements=st.sampled_from([0, 1, 2, 3, 5, 255]))


def counted(reference: np.ndarray, predicted: np.ndarray) -> ConfusionMatrix:
    confusion = ConfusionMatrix(len(ISPRS))
    confusion.update(reference, predicted)
    return confusion


def test_the_protocols_are_those_of_the_field() -> None:
    assert list(PROTOCOLS) == ["plain", "isprs-geoseg", "mmseg6", "noclutter", "cityscapes"]
    assert {name: protocol.erode for name, protocol in PROTOCOLS.items() if protocol.erode} == {
        "isprs-geoseg": 3
    }


@given(references, predictions)
def test_geoseg_leaves_clutter_out_of_the_mean_and_in_the_accuracy(
    reference: np.ndarray, predicted: np.ndarray
) -> None:
    confusion = counted(reference, predicted)
    told = figures(confusion, PROTOCOLS["isprs-geoseg"], ISPRS.names)
    present = [index for index in range(CLUTTER) if confusion.present[index]]
    expected = np.mean([confusion.iou[index] for index in present]) if present else None
    assert told["mean_iou"] == (None if expected is None else pytest.approx(expected))
    assert (
        told["overall_accuracy"]
        == figures(confusion, PROTOCOLS["plain"], ISPRS.names)["overall_accuracy"]
    )
    assert (
        told["mean_iou_of_all_classes"]
        == figures(confusion, PROTOCOLS["mmseg6"], ISPRS.names)["mean_iou"]
    )
    assert told["classes_in_mean"] == [ISPRS.names[index] for index in present]
    assert set(told["absent_classes"]) == {
        n for i, n in enumerate(ISPRS.names) if not (reference == i).any()
    }


@given(references, predictions)
def test_without_clutter_is_a_reference_that_ignores_it(
    reference: np.ndarray, predicted: np.ndarray
) -> None:
    confusion = counted(reference, predicted)
    ignoring = counted(np.where(reference == CLUTTER, 255, reference).astype(np.uint8), predicted)
    told = figures(confusion, PROTOCOLS["noclutter"], ISPRS.names)
    plain = figures(ignoring, PROTOCOLS["plain"], ISPRS.names)
    for key in (
        "overall_accuracy",
        "mean_iou",
        "mean_f1",
        "kappa",
        "iou",
        "f1",
        "confusion_matrix",
        "missed",
        "pixels",
    ):
        assert told[key] == plain[key]


@given(references.filter(lambda labels: len(np.unique(labels[labels != 255])) > 1), predictions)
def test_kappa_equals_scikit_learn(reference: np.ndarray, predicted: np.ndarray) -> None:
    labelled = reference != 255
    expected = oracle.cohen_kappa_score(reference[labelled], predicted[labelled])
    assert counted(reference, predicted).kappa == pytest.approx(expected)


def test_kappa_is_undefined_where_chance_agrees_always() -> None:
    assert np.isnan(counted(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)).kappa)
    assert np.isnan(ConfusionMatrix(2).kappa)


def test_figures_are_plain_json_also_where_they_are_undefined() -> None:
    told = figures(ConfusionMatrix(6), PROTOCOLS["mmseg6"], ISPRS.names)
    assert json.loads(json.dumps(told, allow_nan=False))["mean_iou"] is None
    assert told["absent_classes"] == list(ISPRS.names)


@pytest.mark.parametrize(
    ("protocol", "names", "message"),
    [
        (
            "isprs-geoseg",
            ("road", "roof"),
            "2 classes \\(road, roof\\), none is 'clutter'; give such classes",
        ),
        (
            "mmseg6",
            ("road", "clutter"),
            "it is made for 6; give such classes, or use --protocol plain",
        ),
        ("noclutter", ("road",), "none is 'clutter'"),
        ("cityscapes", ISPRS.names, "none is 'road'"),
    ],
)
def test_classes_that_a_protocol_is_not_made_for_are_refused(
    protocol: str, names: tuple, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find_protocol(protocol).check(names)


def test_classes_that_fit_pass() -> None:
    for name in ("plain", "isprs-geoseg", "mmseg6", "noclutter"):
        find_protocol(name).check(ISPRS.names)
    find_protocol("noclutter").check(("a", "Clutter/background"))
    find_protocol("cityscapes").check(CITYSCAPES.names)
    with pytest.raises(
        ConfigError, match="--protocol coco: there is none of that name; known are plain, "
    ):
        find_protocol("coco")
