from __future__ import annotations

import pytest

from geoseg.datasets.splits import (
    POTSDAM_SPLITS,
    VAIHINGEN_SPLITS,
    Preset,
    part_of_folders,
    split_by_name,
)
from geoseg.errors import ConfigError


@pytest.mark.parametrize(
    ("preset", "train", "val", "test"),
    [
        (VAIHINGEN_SPLITS["isprs"], 16, 0, 17),
        (VAIHINGEN_SPLITS["geoseg"], 15, 1, 17),
        (VAIHINGEN_SPLITS["audebert12-4"], 12, 0, 4),
        (POTSDAM_SPLITS["isprs"], 24, 0, 14),
        (POTSDAM_SPLITS["geoseg"], 22, 1, 14),
    ],
)
def test_presets_have_the_sizes_of_the_papers(
    preset: Preset, train: int, val: int, test: int
) -> None:
    assert (len(preset.train), len(preset.val), len(preset.test)) == (train, val, test)
    assert len(preset.parts) == train + val + test  # no tile in two parts


def test_the_splits_of_a_data_set_share_their_test_tiles_and_all_33_and_38_tiles() -> None:
    assert VAIHINGEN_SPLITS["isprs"].test == VAIHINGEN_SPLITS["geoseg"].test
    assert len(VAIHINGEN_SPLITS["isprs"].parts) == 33
    assert set(VAIHINGEN_SPLITS["audebert12-4"].parts) == set(VAIHINGEN_SPLITS["isprs"].train)
    left_out = set(POTSDAM_SPLITS["isprs"].parts) - set(POTSDAM_SPLITS["geoseg"].parts)
    assert left_out == set(POTSDAM_SPLITS["geoseg"].excluded) == {"7_10"}


def test_a_tile_in_two_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match="tile b is in two parts"):
        Preset("", ("a", "b"), ("b",))


def test_a_fifth_is_drawn_by_name_whatever_the_order() -> None:
    tiles = [f"t{n}" for n in range(23)]
    parts = split_by_name(tiles)
    assert parts == split_by_name(reversed(tiles))
    assert sum(part == "val" for part in parts.values()) == 4
    assert sorted(split_by_name(["a", "b"]).values()) == ["train", "val"]
    with pytest.raises(
        ConfigError, match="1 labelled image cannot be divided; use --split blocks, or all"
    ):
        split_by_name(["a"])


def test_folders_tell_the_part() -> None:
    assert part_of_folders(["leftImg8bit", "Val", "lindau"]) == "val"
    assert part_of_folders(["trainings", "x"]) is None
