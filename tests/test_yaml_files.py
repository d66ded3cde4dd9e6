"""YAML is read, overridden and expanded; what is wrong with it is said in one line."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError
from geoseg.yaml_files import expand, first_error, override, read_yaml


@pytest.mark.parametrize("document", [{"a": [1, {"b": None}]}, ["a", "b"]])
def test_a_mapping_or_a_list_is_read(document: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(repr(document).replace("None", "null"))
    assert read_yaml(path) == document


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1,", "no YAML (while parsing a flow node in line 1, column 7); give a YAML file"),
        (b"\xff\xfe\x00", "is not UTF-8 text; give a YAML file"),
        (b"5", "holds no keys and values; give a YAML file that does"),
        (b"", "holds no keys and values; give a YAML file that does"),
        (b"\x01", "no YAML (it has characters that YAML lacks); give a YAML file"),
        (b"a: 2024-13-45", "no YAML (a value cannot be read: ValueError)"),
        (b"a: !!int x", "no YAML (a value cannot be read: ValueError)"),
        (b"a: !!timestamp x", "no YAML (a value cannot be read: AttributeError)"),
        (b"a: " + b"9" * 5000, "no YAML (a value cannot be read: ValueError)"),
        (b"[" * 10_000, "nested more than 50 deep; give a YAML file"),
        (b"a: " * 10_000, "no YAML ("),
        (b"a: &a [*a]", "an alias leads nowhere, or to what it lies in; give a YAML file"),
        (b"a: [*a]", "an alias leads nowhere, or to what it lies in; give a YAML file"),
        (b"a" * 4_000_001, "is larger than 4,000,000 bytes; give a YAML file"),
        (None, "no such file; give a YAML file"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_with_its_name(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {message}")) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "root:x:0:0:root:/root:/bin/sh\nsecret:x:1:1::/:/bin/sh\n",
        "secret: [secret",
        "secret: secret: secret",
        "secret",
        "- secret\nsecret",
        "'secret",
        "secret: *secret",
        "secret: !!int secret",
        "secret: 0x\tsecret: @secret",
    ],
)
def test_no_message_shows_what_stands_in_a_file_that_is_no_config(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "passwd"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab:-[]{}&*!|>'\"\n 0.,#?%@\\<\t~"), max_size=60))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    for source in (
        lambda: override({}, f"a={text}"),
        lambda: ClassScheme.parse({"classes": [text]}),
    ):
        try:
            source()
        except ConfigError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most texts are refused


def test_a_folder_is_not_a_yaml_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\); give a YAML file"):
        read_yaml(tmp_path)


DOCUMENT: dict[str, Any] = {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": None}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a.b=2", {**DOCUMENT, "a": {**DOCUMENT["a"], "b": 2}}),
        (" a.b =[x, 1.5]", {**DOCUMENT, "a": {**DOCUMENT["a"], "b": ["x", 1.5]}}),
        ("a.c.0=7", {**DOCUMENT, "a": {"b": 1, "c": [7, {"d": 2}]}}),
        ("a.c.1.d=7", {**DOCUMENT, "a": {"b": 1, "c": [1, {"d": 7}]}}),
        ("e.f.g=x=y", {**DOCUMENT, "e": {"f": {"g": "x=y"}}}),
        ("e=", DOCUMENT),
        ("new.key=true", {**DOCUMENT, "new": {"key": True}}),
    ],
)
def test_one_value_is_set_in_a_copy(assignment: str, expected: dict[str, Any]) -> None:
    before = repr(DOCUMENT)
    assert override(DOCUMENT, assignment) == expected
    assert repr(DOCUMENT) == before


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("a.b", "--set 'a.b': give key.path=value, such as train.steps=500"),
        ("=3", "--set '=3': give key.path=value"),
        ("a.b=[", "--set 'a.b=[': the value is not valid YAML: no YAML ("),
        ("a.b.c=3", "--set 'a.b.c=3': 'c' lies inside 1, which holds no keys"),
        ("a.c.2=3", "'2' lies inside [1, {'d': 2}], which holds no keys"),
        ("a.c.x=3", "'x' lies inside [1, {'d': 2}], which holds no keys"),
    ],
)
def test_an_assignment_that_leads_nowhere_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        override(DOCUMENT, assignment)


def test_variables_are_filled_in_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOT", "/data")
    monkeypatch.setenv("YEAR", "2024")
    document = {"a": "${ROOT}/x/${YEAR}", "b": ["${YEAR}", 3, None], "c": {"d": ("$ROOT",)}}
    expected = {"a": "/data/x/2024", "b": ["2024", 3, None], "c": {"d": ["$ROOT"]}}
    assert expand(document) == expected


def test_a_variable_that_is_not_set_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    message = "data.train[1].images: ${NOWHERE} is not set; set it, as in NOWHERE=/path geoseg"
    with pytest.raises(ConfigError, match=re.escape(message)):
        expand({"data": {"train": [{"images": "x"}, {"images": "${NOWHERE}/y"}]}})
    with pytest.raises(ConfigError, match=r"^: \$\{NOWHERE\} is not set"):
        expand("${NOWHERE}")


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Leaf(Section):
    count: int = 1
    ratio: float = Field(0.5, gt=0)


@dataclasses.dataclass
class Plain:
    first: int = 1
    second: Leaf | None = None


@dataclass(config=ConfigDict(extra="forbid"))
class Checked:
    width: int = 1


class Tree(Section):
    leaf: Leaf = Leaf()
    leaves: tuple[Leaf, ...] | None = None
    plain: Plain = Plain()
    checked: Checked = Checked()
    named: dict[Literal["x", "y"], int] = {}
    pair: tuple[int, int] = (1, 2)
    some: tuple[int, ...] = Field((1,), min_length=1)
    flag: bool = True
    text: str = ""
    even: int = 2

    @field_validator("even")
    @classmethod
    def check_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("give an even number")
        return value


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"leaf": {"cont": 1}}, "leaf.cont: unknown key; did you mean count?"),
        ({"leaf": {"zzz": 1}}, "leaf.zzz: unknown key; known are count, ratio"),
        (
            {"leaf": {"cont": 1, "ratio": "x"}, "flag": 7},
            "leaf.cont: unknown key; did you mean count?",
        ),
        ({"leaves": [{}, {"cont": 1}]}, "leaves[1].cont: unknown key; did you mean count?"),
        ({"plain": {"secnd": 1}}, "plain.secnd: unknown key; did you mean second?"),
        ({"plain": {"second": {"cont": 1}}}, "plain.second.cont: unknown key; did you mean count?"),
        ({"checked": {"widht": 1}}, "checked.widht: unknown key; did you mean width?"),
        ({"leef": {}}, "leef: unknown key; did you mean leaf?"),
        ({"leaf": {"count": "x"}}, "leaf.count: 'x' is not a whole number"),
        ({"leaf": {"count": 1.5}}, "leaf.count: 1.5 is not a whole number"),
        ({"leaf": {"ratio": "x"}}, "leaf.ratio: 'x' is not a number"),
        ({"leaf": {"ratio": float("nan")}}, "leaf.ratio: nan is not a finite number"),
        ({"leaf": {"ratio": 0}}, "leaf.ratio: 0 is refused; it should be greater than 0"),
        ({"leaf": 3}, "leaf: 3 is not a mapping of keys to values"),
        ({"checked": 3}, "checked: 3 is not a mapping of keys to values"),
        ({"named": 3}, "named: 3 is not a mapping of keys to values"),
        ({"named": {"z": 1}}, "named: 'z' is refused; it should be 'x' or 'y'"),
        ({"named": {"x": "a"}}, "named.x: 'a' is not a whole number"),
        ({"pair": [1]}, "pair[1]: is missing"),
        ({"pair": [1, 2, 3]}, "pair: [1, 2, 3] holds 3 entries; give 2"),
        ({"some": []}, "some: is empty; give at least one"),
        ({"some": 3}, "some: 3 is not a list"),
        ({"flag": 7}, "flag: 7 is not true or false"),
        ({"text": 7}, "text: 7 is not text"),
        ({"even": 3}, "even: give an even number"),
    ],
)
def test_the_first_error_says_where_what_came_and_what_is_needed(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(document)
    assert first_error(caught.value, document, Tree) == message


def test_a_missing_key_is_named() -> None:
    class Needs(Section):
        a: int

    class Above(Section):
        needs: Needs

    for document, where in (({}, "needs"), ({"needs": {}}, "needs.a")):
        with pytest.raises(ValidationError) as caught:
            Above.model_validate(document)
        assert first_error(caught.value, document, Above) == f"{where}: is missing"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    )
)
def test_a_document_without_variables_stays_as_it_is(document: Any) -> None:
    assert expand(document) == document
