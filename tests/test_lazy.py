"""Names that are loaded when they are first used."""

from __future__ import annotations

import pytest


def test_lazy_names_are_listed_and_others_are_attribute_errors() -> None:
    from geoseg import models

    assert set(models.__all__) <= set(dir(models))
    for name in models.__all__:
        assert getattr(models, name) is getattr(models, name)
    with pytest.raises(AttributeError, match=r"module 'geoseg\.models' has no attribute 'nothing'"):
        models.nothing  # noqa: B018 - the access is the test
