"""Names that are loaded when they are first used."""

from __future__ import annotations

import gc

import pytest

from geoseg.lazy import uncollected


def test_lazy_names_are_listed_and_others_are_attribute_errors() -> None:
    from geoseg import models

    assert set(models.__all__) <= set(dir(models))
    for name in models.__all__:
        assert getattr(models, name) is getattr(models, name)
    with pytest.raises(AttributeError, match=r"module 'geoseg\.models' has no attribute 'nothing'"):
        models.nothing  # noqa: B018 - the access is the test


def test_what_is_made_without_the_collector_is_old_afterwards_and_it_runs_again() -> None:
    assert gc.isenabled()
    made: list[object] = []

    def work() -> None:
        with uncollected():
            assert not gc.isenabled()
            made.extend([] for _ in range(20_000))
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert gc.isenabled()
    young = {id(each) for each in gc.get_objects(generation=0)}
    assert not young.intersection(map(id, made))
    assert gc.get_freeze_count() == 0, "nothing is kept from being collected"


def test_a_collector_that_somebody_has_stopped_stays_so_and_what_is_frozen_frozen() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.freeze()
    try:
        with uncollected():
            made = [[] for _ in range(20_000)]
        assert gc.get_freeze_count() > 0
        assert len(made) == 20_000
    finally:
        gc.unfreeze()


def test_what_is_frozen_is_not_counted_where_little_was_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a forked worker a million objects are frozen, and each lazy name would count them."""
    counted: list[int] = []
    monkeypatch.setattr(gc, "get_freeze_count", lambda: counted.append(1) or 0)
    gc.collect()
    with uncollected():
        pass
    assert not counted
    with uncollected():
        made = [[] for _ in range(20_000)]
    assert counted, len(made)
