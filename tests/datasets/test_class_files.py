"""Classes come from schemes, files, contents and models; what is none of these is one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import geoseg
from geoseg.classes import CITYSCAPES, ISPRS, ClassScheme
from geoseg.datasets.class_files import read_classes
from geoseg.errors import ConfigError, ModelError


def test_classes_come_by_name_from_a_file_or_as_its_content(tmp_path: Path) -> None:
    assert read_classes("isprs") is ISPRS
    assert read_classes("cityscapes") is CITYSCAPES
    assert read_classes("isprs", 7).ignore == (7,)
    assert read_classes("isprs", [7, 8]).ignore == (7, 8)
    assert read_classes("isprs", []).ignore == ()
    assert read_classes("isprs", 7).names == ISPRS.names
    path = tmp_path / "classes.yaml"
    path.write_text("classes: [road, roof]\nignore: 9")
    for given_classes in (str(path), {"classes": ["road", "roof"], "ignore": 9}):
        scheme = read_classes(given_classes)
        assert (scheme.names, scheme.ignore) == (("road", "roof"), (9,))
        assert read_classes(given_classes, 5).ignore == (5,)
    assert read_classes(["road", "roof"]).names == ("road", "roof")


def test_classes_that_are_neither_a_scheme_nor_a_file_are_refused() -> None:
    message = "isprz: no such classes file, and no scheme; known schemes are isprs, cityscapes"
    with pytest.raises(ConfigError, match=message):
        read_classes("isprz")


@pytest.mark.parametrize("text", ["a" * 5000, "../" * 2000, "\ud800", "a\x00b", "a\nb"])
def test_a_text_that_names_no_file_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(ConfigError, match="no such classes file, and no scheme") as caught:
        read_classes(text)
    assert "\n" not in str(caught.value).encode().decode()
    assert len(str(caught.value)) < 300


def save(path: Path, classes: ClassScheme) -> Path:
    net = geoseg.create_model("pixel", classes=len(classes), in_channels=1)
    return geoseg.save_model(
        net, path, classes=classes, bands=["gray"], value_range=(0, 255), mean=[9], std=[9]
    )


def test_the_classes_of_a_model_are_those_of_its_card_label_values_too(tmp_path: Path) -> None:
    scheme = ClassScheme(("road", "roof"), ((1, 2, 3), (4, 5, 6)), ((7,), (9, 11)), (0,))
    path = save(tmp_path / "model.safetensors", scheme)
    assert read_classes(str(path)) == scheme
    assert read_classes(str(path), 3).ignore == (3,)


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"classes: [a, b]")
    with pytest.raises(ModelError, match=f"{path}: not a safetensors file; give a model file"):
        read_classes(str(path))


def test_a_file_that_may_not_be_asked_about_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text("classes: [road, roof]")

    def denied(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    assert read_classes(str(tmp_path / "c.yaml")).names == ("road", "roof")
