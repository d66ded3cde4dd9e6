"""Windows of a world: pure, seamless, labelled, and not decided by colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier

from geoseg.errors import ConfigError
from geoseg.metrics import ConfusionMatrix
from geoseg.scenes import BANDS, CLASSES, render
from geoseg.scenes.things import BUILDING, CAR, IMPERVIOUS, LOW_VEGETATION, TREE

BIG = (3, -260, 410, 360, 420)


@pytest.fixture(scope="module")
def big() -> tuple[np.ndarray, np.ndarray]:
    return render(*BIG)


@pytest.fixture(scope="module")
def varied() -> tuple[np.ndarray, np.ndarray]:
    """Pixels of many towns: ``(n, 4)`` grey values and ``(n,)`` classes; the last third are other towns."""
    rng = np.random.default_rng(0)
    colours, classes = [], []
    for seed in range(400, 418):
        row, col = (int(place) for place in rng.integers(-20_000, 20_000, 2))
        image, labels = render(seed, row, col, 256, 256)
        chosen = rng.choice(labels.size, 4000, replace=False)
        colours.append(image.reshape(4, -1).T[chosen])
        classes.append(labels.ravel()[chosen])
    return np.concatenate(colours), np.concatenate(classes)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_window_rendered_alone_equals_the_same_crop_of_a_larger_one(
    big: tuple[np.ndarray, np.ndarray], data: st.DataObject
) -> None:
    seed, row, col, height, width = BIG
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    rows, cols = (
        data.draw(st.integers(1, min(120, height - top))),
        data.draw(st.integers(1, min(120, width - left))),
    )
    image, labels = render(seed, row + top, col + left, rows, cols)
    np.testing.assert_array_equal(image, big[0][:, top : top + rows, left : left + cols])
    np.testing.assert_array_equal(labels, big[1][top : top + rows, left : left + cols])


@pytest.mark.parametrize("ground_sampling", [0.09, 0.2])
def test_windows_join_at_any_ground_sampling(ground_sampling: float) -> None:
    whole, labels = render(7, 50, -90, 150, 200, ground_sampling=ground_sampling)
    left, right = (
        render(7, 50, col, 150, 100, ground_sampling=ground_sampling) for col in (-90, 10)
    )
    np.testing.assert_array_equal(whole, np.concatenate([left[0], right[0]], axis=2))
    np.testing.assert_array_equal(labels, np.concatenate([left[1], right[1]], axis=1))


def test_seeds_and_places_differ(big: tuple[np.ndarray, np.ndarray]) -> None:
    seed, row, col, height, width = BIG
    assert (render(seed + 1, row, col, height, width)[1] != big[1]).mean() > 0.2
    assert (render(seed, row + 5000, col, height, width)[1] != big[1]).mean() > 0.2


def test_pixels_are_never_zero_and_labels_are_classes(
    varied: tuple[np.ndarray, np.ndarray],
) -> None:
    colours, classes = varied
    assert colours.min() >= 1
    assert set(np.unique(classes)) == set(range(len(CLASSES)))
    assert CLASSES.names[CAR] == "car"
    assert len(BANDS) == colours.shape[1]


def test_every_class_has_its_share(varied: tuple[np.ndarray, np.ndarray]) -> None:
    shares = np.bincount(varied[1]) / len(varied[1])
    assert shares[[IMPERVIOUS, BUILDING, LOW_VEGETATION, TREE]].min() > 0.06
    assert 0.008 < shares[CAR] < 0.05


def test_plants_are_bright_in_near_infrared(varied: tuple[np.ndarray, np.ndarray]) -> None:
    near_infrared, red = varied[0][:, 0].astype(float), varied[0][:, 1].astype(float)
    index = (near_infrared - red) / (near_infrared + red)
    green = np.isin(varied[1], (LOW_VEGETATION, TREE))
    assert np.median(index[green]) > 0.2
    assert abs(np.median(index[~green])) < 0.08


def test_colour_alone_does_not_decide(varied: tuple[np.ndarray, np.ndarray]) -> None:
    """A boosted classifier of all four bands stays under 0.55 in towns that it has not seen."""
    colours, classes = varied
    seen = len(classes) * 2 // 3
    classifier = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(
        colours[:seen], classes[:seen]
    )
    confusion = ConfusionMatrix(len(CLASSES))
    confusion.update(classes[seen:], classifier.predict(colours[seen:]))
    assert confusion.mean_iou < 0.55


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="a window of 0 x 5 pixels holds nothing; give at least 1 x 1"
    ):
        render(1, 0, 0, 0, 5)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed=-1 is negative; give a whole number from 0 on"):
        render(-1, 0, 0, 4, 4)


def test_a_ground_sampling_out_of_range_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"ground_sampling=2.0 m is out of range; .* 0.05 to 0.5 m"
    ):
        render(1, 0, 0, 4, 4, ground_sampling=2.0)
