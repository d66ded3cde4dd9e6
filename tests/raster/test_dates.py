"""When an image was taken: by its own tags, else by its last change."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rasterio

from geoseg.raster.dates import date_of

MADE = datetime(2024, 5, 1, 10, 30, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("tags", "domain", "expected"),
    [
        ({"TIFFTAG_DATETIME": "2024:05:01 10:30:00"}, None, MADE),
        ({"TIFFTAG_DATETIME": "2024-05-01 10:30:00"}, None, MADE),
        ({"ACQUISITIONDATETIME": "2024-05-01T10:30:00.000Z"}, "IMAGERY", MADE),
        ({"EXIF_DateTimeOriginal": "2024:05:01 10:30:00"}, None, MADE),
        ({"TIFFTAG_DATETIME": "last spring"}, None, 1000.0),
        ({}, None, 1000.0),
    ],
)
def test_a_tag_that_can_be_read_counts_before_the_last_change(
    make_raster: Callable[..., Path], tags: dict[str, str], domain: str | None, expected: float
) -> None:
    path = make_raster("a.tif", bands=1)
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns=domain, **tags)
    os.utime(path, (1000, 1000))
    assert date_of(path) == expected
