"""What was used last is held, within a bound of bytes."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.inference.latest import Latest


@settings(max_examples=30)
@given(st.lists(st.integers(1, 6), max_size=40), st.integers(0, 12))
def test_the_latest_is_held_and_of_the_others_what_fits_newest_first(
    keys: list[int], most: int
) -> None:
    """Each takes as many bytes as its number."""
    latest = Latest(lambda key: (f"value {key}", key), lambda: most)
    held: OrderedDict[int, None] = OrderedDict()
    made = 0
    for key in keys:
        made += key not in held
        held[key] = None
        held.move_to_end(key)
        while sum(held) - key > most:
            held.popitem(last=False)
        assert latest(key) == f"value {key}"
        assert latest.made == made
    latest.clear()
    latest(1)
    assert latest.made == made + 1
