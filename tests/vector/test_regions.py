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
