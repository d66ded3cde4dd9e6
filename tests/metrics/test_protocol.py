from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geoseg.classes import CITYSCAPES, ISPRS
from geoseg.errors import ConfigError
from geoseg.metrics import PROTOCOLS, ConfusionMatrix, by_class, find_protocol, summarize

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
    metrics = summarize(confusion, PROTOCOLS["isprs-geoseg"], ISPRS.names)
    present = [index for index in range(CLUTTER) if confusion.present[index]]
    expected = np.mean([confusion.iou[index] for index in present]) if present else None
    assert metrics["mean_iou"] == (None if expected is None else pytest.approx(expected))
    assert (
        metrics["overall_accuracy"]
        == summarize(confusion, PROTOCOLS["plain"], ISPRS.names)["overall_accuracy"]
    )
    assert (
        metrics["mean_iou_of_all_classes"]
        == summarize(confusion, PROTOCOLS["mmseg6"], ISPRS.names)["mean_iou"]
    )
    assert metrics["classes_in_mean"] == [ISPRS.names[index] for index in present]
    assert set(metrics["absent_classes"]) == {
        n for i, n in enumerate(ISPRS.names) if not (reference == i).any()
    }


@given(references, predictions)
def test_without_clutter_is_a_reference_that_ignores_it(
    reference: np.ndarray, predicted: np.ndarray
) -> None:
    confusion = counted(reference, predicted)
    ignoring = counted(np.where(reference == CLUTTER, 255, reference).astype(np.uint8), predicted)
    metrics = summarize(confusion, PROTOCOLS["noclutter"], ISPRS.names)
    plain = summarize(ignoring, PROTOCOLS["plain"], ISPRS.names)
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
        assert metrics[key] == plain[key]
    assert metrics["classes_in_accuracy"] == list(ISPRS.names[:CLUTTER])
    assert CLUTTER in np.unique(reference) or "clutter" in metrics["absent_classes"]
    assert "clutter" not in metrics["classes_in_mean"]


def test_metrics_are_plain_json_also_where_they_are_undefined() -> None:
    metrics = summarize(ConfusionMatrix(6), PROTOCOLS["mmseg6"], ISPRS.names)
    assert json.loads(json.dumps(metrics, allow_nan=False))["mean_iou"] is None
    assert metrics["absent_classes"] == list(ISPRS.names)
    with pytest.raises(ValueError, match="zip"):
        by_class(("road",), np.zeros(2))


@given(references, predictions)
def test_plain_metrics_are_those_of_the_confusion_matrix(
    reference: np.ndarray, predicted: np.ndarray
) -> None:
    confusion = counted(reference, predicted)
    metrics = summarize(confusion, PROTOCOLS["plain"], ISPRS.names)
    for name in ("overall_accuracy", "kappa", "mean_iou", "mean_f1"):
        expected = getattr(confusion, name)
        assert metrics[name] == (None if np.isnan(expected) else expected)
    assert metrics["mean_iou_of_all_classes"] == metrics["mean_iou"]
    assert metrics["mean_f1_of_all_classes"] == metrics["mean_f1"]
    for name in ("iou", "f1", "precision", "recall"):
        expected = getattr(confusion, name).tolist()
        assert list(metrics[name]) == list(ISPRS.names)
        np.testing.assert_array_equal(np.array(list(metrics[name].values()), float), expected)
    assert metrics["classes"] == metrics["classes_in_accuracy"] == list(ISPRS.names)
    assert metrics["protocol"] == "plain"
    assert metrics["pixels"] == (reference != 255).sum()
    assert metrics["confusion_matrix"] == confusion.matrix.tolist()
    assert metrics["missed"] == confusion.missed.tolist()


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
        ("cityscapes", (*CITYSCAPES.names, "boat"), "20 classes .* it is made for 19"),
        ("mmseg6", ("a", "b", "c", "d", "e", "f"), "none is 'clutter'"),
        ("isprs-geoseg", ("a", "no clutter"), "none is 'clutter'"),
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
    with pytest.raises(ConfigError, match="--protocol coco: unknown protocol; known are plain, "):
        find_protocol("coco")
