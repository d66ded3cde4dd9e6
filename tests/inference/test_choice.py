"""What is given up to save memory: always less, the quickest ways first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geoseg.inference.choice import Choice


@given(st.integers(1, 200_000), st.integers(1, 5000), st.integers(1, 8), st.booleans())
def test_choices_take_ever_less_down_to_the_narrowest_block(
    width: int, narrowest: int, threads: int, begun: bool
) -> None:
    first = Choice(threads, begun=begun)
    ways = list(first.tighter(width, narrowest))
    assert ways[0] == first
    areas = [way.area or 2**25 for way in ways]
    assert areas == sorted(areas, reverse=True)
    assert [way.beside for way in ways] == sorted((way.beside for way in ways), reverse=True)
    assert [way.begun for way in ways] == [begun] + [False] * (len(ways) - 1)
    assert len(set(ways)) == len(ways)
    widths = [way.widest for way in ways if way.widest is not None]
    assert widths == sorted(set(widths), reverse=True)
    assert widths[-1:] == ([narrowest] if width > narrowest else [])
    assert all(way.threads == 1 and not way.beside for way in ways if way.widest is not None)
    assert len(ways) < 60


def test_what_was_given_up_is_said_in_one_line() -> None:
    assert Choice(4).lines(2**31, Choice(4)) == []
    late = Choice(4, begun=False)
    assert late.lines(2**31, late) == []
    (line,) = Choice(2, 3).lines(2**31, Choice(2, 8))
    assert line == "      to stay within 2.0 GiB: 3 of 8 workers"
    (line,) = late.lines(2**31, Choice(4))
    assert line == "      to stay within 2.0 GiB: files after the last window"
    (line,) = Choice(1, beside=False, widest=900, area=2**22).lines(2**31, Choice(4))
    assert line == (
        "      to stay within 2.0 GiB: blocks of 900 px, polygons of 4 Mpx at once, "
        "one thing at a time"
    )
