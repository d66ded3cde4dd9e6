"""The card alone is read, or refused in one line, without the tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from geoseg.errors import ModelError
from geoseg.models.cardfile import load_card, open_model_file


def test_a_file_without_a_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for metadata in (None, {"other": "x"}):
        save_file({"x": np.zeros(1)}, path, metadata)
        with pytest.raises(ModelError, match="holds tensors but no geoseg card; give a file"):
            load_card(path)


def test_a_card_that_is_none_is_refused_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": np.zeros(1)}, path, {"geoseg": "{"})
    with pytest.raises(ModelError, match=r"a\.safetensors: ") as caught:
        load_card(path)
    assert "\n" not in str(caught.value)


def test_every_shortened_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    whole = save({"x": np.zeros(3)}, {"geoseg": "{}"})
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with (
            pytest.raises(
                ModelError, match=r"not a safetensors file|damaged or cut short"
            ) as caught,
            open_model_file(path, framework="numpy"),
        ):
            pass
        assert "\n" not in str(caught.value)
