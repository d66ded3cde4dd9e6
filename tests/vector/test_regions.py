from __future__ import annotations

import numpy as np
import pytest

from geoseg.errors import VectorError
from geoseg.vector import Regions


def test_every_region_needs_its_attributes() -> None:
    geometry = np.array([None, None], object)
    with pytest.raises(
        VectorError, match=r"2 polygons with \[2, 1\] attributes; give one of each a region"
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
    with pytest.raises(VectorError, match="give one of each a region"):
        Regions(**{**columns, wrong: columns[wrong][:1]})
