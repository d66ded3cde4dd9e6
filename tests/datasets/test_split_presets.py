from __future__ import annotations

import pytest

from geoseg.datasets.split_presets import POTSDAM_SPLITS, VAIHINGEN_SPLITS, Preset
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
        Preset(("a", "b"), ("b",))
    with pytest.raises(ConfigError, match="tile a is in two parts"):
        Preset(("a",), excluded={"a": "why"})


def test_parts_are_given_in_the_order_train_val_test() -> None:
    preset = Preset(("b", "a"), ("d",), ("c",), {"e": "why"})
    assert list(preset.parts.items()) == [
        ("b", "train"),
        ("a", "train"),
        ("d", "val"),
        ("c", "test"),
    ]


def test_geosegs_splits_validate_on_one_training_tile_of_the_contest() -> None:
    assert VAIHINGEN_SPLITS["geoseg"].val == ("30",)
    assert POTSDAM_SPLITS["geoseg"].val == ("2_10",)
    vaihingen, potsdam = VAIHINGEN_SPLITS["isprs"], POTSDAM_SPLITS["isprs"]
    assert {"30"} == {*vaihingen.train} - {*VAIHINGEN_SPLITS["geoseg"].train}
    assert {"2_10", "7_10"} == {*potsdam.train} - {*POTSDAM_SPLITS["geoseg"].train}
    numbers = {int(tile) for tile in vaihingen.parts}
    assert numbers == set(range(1, 39)) - {9, 18, 19, 25, 36}
    columns = {(int(row), int(col)) for row, col in (tile.split("_") for tile in potsdam.parts)}
    assert {row for row, _ in columns} == set(range(2, 8))
    assert {col for _, col in columns} == set(range(7, 16))
