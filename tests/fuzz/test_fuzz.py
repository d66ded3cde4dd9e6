"""A few inputs of each kind; `make fuzz` tries many."""

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.mutations import mutated
from tests.fuzz.run import run_kind


@pytest.mark.parametrize("kind", ["tiff", "vrt", "aux.xml", "geojson", "gpkg", "yaml"])
def test_damaged_files_are_read_or_refused_in_one_line(kind: str) -> None:
    counts, faults = run_kind(kind, 60)
    assert faults == []
    assert counts.total() == 60


def test_mutations_are_drawn_by_their_seed() -> None:
    data = bytes(range(256))
    drawn = {mutated(data, seed) for seed in range(100)}
    assert drawn == {mutated(data, seed) for seed in range(100)}
    assert len(drawn) > 90


def test_kinds_are_read_where_nothing_is_changed(tmp_path) -> None:
    for name in KINDS:
        folder = tmp_path / name
        folder.mkdir()
        KINDS[name].use(KINDS[name].make(folder))
