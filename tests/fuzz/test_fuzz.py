"""A few inputs of each kind; `make fuzz` tries many."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from geoseg.raster.reader import Reader
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutations import mutated
from tests.fuzz.run import outcome, run_kind


@pytest.mark.parametrize("kind", ["tiff", "vrt", "aux.xml", "gpkg", "prj"])
def test_damaged_files_are_read_rightly_or_refused_in_one_line(kind: str) -> None:
    counts, faults = run_kind(kind, 30)
    assert faults == []
    assert counts.total() == 30


def test_what_was_changed_in_a_protected_file_and_is_read_is_a_fault(tmp_path: Path) -> None:
    kind = replace(KINDS["yaml"], use=lambda path: path.read_bytes(), protected=True)
    path = kind.make(tmp_path)
    assert outcome(kind, path, path.read_bytes()) == "read"
    assert outcome(kind, path, b"else").startswith("wrong")


def test_pixels_other_than_those_that_rasterio_reads_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Reader.read

    def other(reader: Reader, *window: int) -> Any:
        pixels, valid = read(reader, *window)
        return pixels ^ 1, valid

    path = KINDS["tiff"].make(tmp_path)
    monkeypatch.setattr(Reader, "read", other)
    assert outcome(KINDS["tiff"], path, None).startswith("raw AssertionError")


def test_mutations_are_drawn_by_their_seed() -> None:
    data = bytes(range(256))
    drawn = {mutated(data, seed) for seed in range(100)}
    assert drawn == {mutated(data, seed) for seed in range(100)}
    assert len(drawn) > 90


def test_kinds_are_read_where_nothing_is_changed(tmp_path: Path) -> None:
    for name in KINDS:
        folder = tmp_path / name
        folder.mkdir()
        KINDS[name].use(KINDS[name].make(folder))
