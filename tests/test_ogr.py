"""The names of pyogrio, whose loading `test_startup` watches."""

from __future__ import annotations

import pyogrio
import pyogrio.errors

from geoseg import ogr


def test_the_names_are_pyogrios_own() -> None:
    places = (pyogrio, pyogrio.errors)
    for name in ogr.__all__:
        assert any(getattr(place, name, None) is getattr(ogr, name) for place in places)
