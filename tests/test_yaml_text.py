"""YAML text is parsed within bounds; `test_yaml_files` tries what is none."""

from __future__ import annotations

import pytest

from geoseg.errors import ConfigError
from geoseg.yaml_text import parse_yaml


@pytest.mark.parametrize("form", ["[{0}, {0}]", "{{a: {0}, b: {0}}}", "{{<<: [{0}, {0}]}}"])
def test_aliases_that_grow_without_bound_are_refused_at_once(form: str) -> None:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} " + form.format(f"*a{n - 1}") for n in range(1, 40))]
    with pytest.raises(ConfigError, match="more than 100,000 values, its aliases filled in"):
        parse_yaml("\n".join(lines))


def test_aliases_within_bounds_are_filled_in() -> None:
    text = "base: &base {a: 1}\nmore: {<<: *base, b: [*base, *base]}"
    assert parse_yaml(text)["more"] == {"a": 1, "b": [{"a": 1}, {"a": 1}]}
