"""One integer confusion matrix, filled piece by piece; every metric is derived from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.classes import MAX_CLASSES, NODATA, UNCERTAIN
from geoseg.errors import ConfigError

Floats = NDArray[np.float64]


class ConfusionMatrix:
    """Counts of (reference, predicted) pairs over any number of updates.

    A class that the reference never shows enters no mean. Pixels with a reference but without a
    prediction (255 nodata, 254 uncertain) are `missed`: they count against IoU, recall, F1 and
    accuracy, so that nothing is won by predicting only what is easy.

    Written with true positives TP = M[c, c], actual pixels A (row c, missed ones included) and
    predicted pixels P (column c): false negatives FN = A - TP, false positives FP = P - TP.
    """

    def __init__(self, n: int, ignore: int = NODATA) -> None:
        if not 1 <= n <= MAX_CLASSES:
            raise ConfigError(f"a confusion matrix of {n} classes; use 1 to {MAX_CLASSES}")
        self.n = n
        self.ignore = ignore
        self._counts = np.zeros((n, n + 1), np.int64)  # the last column holds the missed pixels

    @property
    def matrix(self) -> NDArray[np.int64]:
        """``(n, n)`` int64 pixel counts; rows are the reference, columns the prediction."""
        return self._counts[:, : self.n]

    @property
    def missed(self) -> NDArray[np.int64]:
        """``(n,)`` int64: pixels of each reference class that are predicted 254 or 255."""
        return self._counts[:, self.n]

    def update(self, reference: NDArray[Any], predicted: NDArray[Any]) -> None:
        """Count one piece.

        Args:
            reference: class ids 0..n-1 of any shape; `ignore` is left out.
            predicted: the same shape; class ids, 254 or 255.

        Raises:
            ConfigError: shapes differ, or a value is not a class.
        """
        if reference.shape != predicted.shape:
            raise ConfigError(
                f"reference {reference.shape} and prediction {predicted.shape} differ in shape"
            )
        labelled = reference != self.ignore
        rows = reference[labelled].astype(np.int64)
        cols = predicted[labelled].astype(np.int64)
        missed = (cols == NODATA) | (cols == UNCERTAIN)
        self._refuse_unknown(rows, "reference")
        self._refuse_unknown(cols[~missed], "prediction")
        cols[missed] = self.n
        counts = np.bincount(rows * (self.n + 1) + cols, minlength=self._counts.size)
        self._counts += counts.reshape(self._counts.shape)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """The counts of both."""
        if (self.n, self.ignore) != (other.n, other.ignore):
            raise ConfigError(
                f"confusion matrices of {self.n} and {other.n} classes cannot be added"
            )
        merged = ConfusionMatrix(self.n, self.ignore)
        merged._counts = self._counts + other._counts
        return merged

    def ignoring(self, classes: NDArray[np.bool_]) -> ConfusionMatrix:
        """The same counts as if the reference pixels of some classes had no label.

        Args:
            classes: ``(n,)``, True for the classes to leave out.
        """
        kept = ConfusionMatrix(self.n, self.ignore)
        kept._counts = np.where(classes[:, None], 0, self._counts)
        return kept

    @property
    def present(self) -> NDArray[np.bool_]:
        """``(n,)`` whether the reference shows each class: those that enter the means."""
        return self._actual > 0

    @property
    def overall_accuracy(self) -> float:
        """Sum of TP / all pixels with a reference; NaN where there are none."""
        return float(safe_divide(self._correct.sum(), self._counts.sum()))

    @property
    def kappa(self) -> float:
        """Cohen's kappa, (p_o - p_e) / (1 - p_e); NaN where chance alone agrees everywhere.

        p_o is the overall accuracy, p_e = sum of A P / N^2 the agreement that the class frequencies
        alone would give. A missed pixel is a prediction of a class that the reference never shows.
        """
        total = float(self._counts.sum())
        share = self._actual / max(total, 1.0)
        by_chance = float(safe_divide((share * self._predicted).sum(), total))
        return float(safe_divide(self.overall_accuracy - by_chance, 1.0 - by_chance))

    @property
    def iou(self) -> Floats:
        """``(n,)`` TP / (TP + FP + FN); NaN for a class that neither side shows."""
        return safe_divide(self._correct, self._actual + self._predicted - self._correct)

    @property
    def f1(self) -> Floats:
        """``(n,)`` 2 TP / (2 TP + FP + FN); NaN for a class that neither side shows."""
        return safe_divide(2 * self._correct, self._actual + self._predicted)

    @property
    def precision(self) -> Floats:
        """``(n,)`` TP / (TP + FP); NaN for a class that is never predicted."""
        return safe_divide(self._correct, self._predicted)

    @property
    def recall(self) -> Floats:
        """``(n,)`` TP / (TP + FN); NaN for a class that the reference never shows."""
        return safe_divide(self._correct, self._actual)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes of the reference; NaN without any."""
        return self.mean(self.iou)

    @property
    def mean_f1(self) -> float:
        """Mean of `f1` over the classes of the reference; NaN without any."""
        return self.mean(self.f1)

    def mean(self, per_class: Floats, classes: NDArray[np.bool_] | None = None) -> float:
        """Mean of a metric over the classes of the reference; NaN without any.

        Args:
            per_class: ``(n,)`` values.
            classes: ``(n,)``, True for the classes that may enter; all of them by default.
        """
        entering = self.present if classes is None else self.present & classes
        return float(per_class[entering].mean()) if entering.any() else float("nan")

    @property
    def _correct(self) -> NDArray[np.int64]:
        return np.diagonal(self.matrix)

    @property
    def _actual(self) -> NDArray[np.int64]:
        actual: NDArray[np.int64] = self._counts.sum(axis=1)
        return actual

    @property
    def _predicted(self) -> NDArray[np.int64]:
        predicted: NDArray[np.int64] = self.matrix.sum(axis=0)
        return predicted

    def _refuse_unknown(self, values: NDArray[np.int64], where: str) -> None:
        unknown = values[(values < 0) | (values >= self.n)]
        if unknown.size:
            raise ConfigError(
                f"the {where} holds {unknown[0]}, which is not one of the {self.n} classes; "
                "map its values to ids first"
            )


def safe_divide(numerator: Any, denominator: Any) -> Floats:
    """The quotient, NaN where the denominator is 0."""
    whole = np.asarray(denominator, np.float64)
    unknown = np.full(whole.shape, np.nan)
    quotient: Floats = np.divide(numerator, whole, out=unknown, where=whole > 0)
    return quotient
