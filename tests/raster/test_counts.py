from __future__ import annotations

import numpy as np
import pytest

from geoseg.raster.counts import counts_as_facts, read_counts
from geoseg.stores import StorePath


@pytest.mark.parametrize("values", [[], [0, 254, 255], range(200)])
def test_counts_are_told_with_an_object_as_they_are(
    bucket: StorePath, values: range | list[int]
) -> None:
    counts = np.zeros(256, np.int64)
    counts[list(values)] = 10**9 + np.arange(len(values))
    bucket.put(b"", counts_as_facts(counts))
    found = read_counts(bucket)
    if len(values) != 3:  # nothing is told of none, nor of too many
        assert found is None
    else:
        assert found is not None
        np.testing.assert_array_equal(found, counts)
