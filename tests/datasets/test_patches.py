from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.datasets.patches import Edge, Patching, Piece, cut_patches, whole
from geoseg.errors import ConfigError
from geoseg.tiling import Window


def cut(height: int, width: int, size: int, stride: int, edge: Edge) -> list[Piece]:
    return cut_patches(whole("train", height, width)[0], Patching(size, stride, edge))


@given(
    height=st.integers(1, 80), width=st.integers(1, 80), size=st.integers(1, 40), stride=st.integers(1, 40),
    edge=st.sampled_from(["shift", "pad", "drop"]),
)  # fmt: skip
def test_patches_cover_what_their_rule_says(
    height: int, width: int, size: int, stride: int, edge: Edge
) -> None:
    if stride > size:
        return
    pieces = cut(height, width, size, stride, edge)
    seen = np.zeros((height, width), bool)
    for piece in pieces:
        seen[piece.window.slices()] = True
        assert (piece.height, piece.width) == (
            (min(size, height), min(size, width)) if edge == "shift" else (size, size)
        )
    assert len({piece.suffix for piece in pieces}) == len(pieces)
    if edge == "drop":
        rows, cols = (
            (length - size) // stride + 1 if length >= size else 0 for length in (height, width)
        )
        assert len(pieces) == max(0, rows) * max(0, cols)
    else:
        assert seen.all()


def test_potsdam_in_patches_of_512_gives_the_known_144_a_tile() -> None:
    assert len(cut(6000, 6000, 512, 512, "shift")) == 144
    assert len(cut(6000, 6000, 512, 512, "drop")) == 121
    assert cut(6000, 6000, 512, 512, "shift")[-1].window == Window(5488, 5488, 512, 512)
    assert cut(6000, 6000, 512, 512, "pad")[-1].window == Window(5632, 5632, 368, 368)


def test_patches_of_a_block_stay_inside_it_and_are_named_by_their_place_in_the_raster() -> None:
    block = Piece("train", "_00100_00200", Window(100, 200, 50, 70), 50, 70)
    pieces = cut_patches(block, Patching(32, 32))
    assert [piece.suffix for piece in pieces[:2]] == ["_00100_00200", "_00100_00232"]
    assert all(piece.window.intersect(block.window) == piece.window for piece in pieces)


@pytest.mark.parametrize(("size", "stride"), [(0, 1), (8, 0), (8, 9)])
def test_impossible_patches_are_refused(size: int, stride: int) -> None:
    with pytest.raises(
        ConfigError,
        match=f"--patch {size} --stride {stride}: give a side of 1 or more, and a stride",
    ):
        Patching(size, stride)


def test_an_unknown_edge_rule_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="--edge wrap: there is no such rule; choose shift, pad, drop"
    ):
        Patching(8, 8, "wrap")  # type: ignore[arg-type]
