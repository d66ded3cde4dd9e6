"""Everything below a folder is listed or named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.listing import list_folder


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def names(folder: Path, **options: object) -> list[str]:
    files = list_folder(folder, **options).files  # type: ignore[arg-type]
    return [path.relative_to(folder).as_posix() for path in files]


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), max_size=8))
def test_every_file_of_any_tree_is_listed_once(tmp_path_factory, paths) -> None:
    folder = tmp_path_factory.mktemp("tree")
    wanted = {"/".join(path) + ".tif" for path in paths}
    make(folder, *wanted)
    assert sorted(names(folder)) == sorted(wanted)


def test_files_come_before_folders_by_name_whatever_the_order_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "b/a", "z", "b/c/x", "a")
    scan = os.scandir

    class Backwards(list):  # type: ignore[type-arg]
        def __enter__(self):  # type: ignore[no-untyped-def]
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", lambda path: Backwards(reversed(list(scan(path)))))
    assert names(tmp_path) == ["a", "z", "b/a", "b/c/x"]


def test_hidden_files_and_folders_are_left_out_unless_wanted(tmp_path: Path) -> None:
    make(tmp_path, ".a", ".b/c", "d")
    assert names(tmp_path) == ["d"]
    assert names(tmp_path, hidden=True) == [".a", "d", ".b/c"]


def test_only_folders_that_are_wanted_are_searched(tmp_path: Path) -> None:
    make(tmp_path, "a/x", "b/y", "a/c/z")
    assert names(tmp_path, enter=lambda parts: parts == ("a",)) == ["a/x"]


def test_linked_folders_are_searched_and_loops_are_named(tmp_path: Path) -> None:
    make(tmp_path, "in/sub/a", "elsewhere/b")
    (tmp_path / "in/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/sub/up").symlink_to("..")
    (tmp_path / "in/above").symlink_to(tmp_path)
    listing = list_folder(tmp_path / "in")
    assert names(tmp_path / "in") == ["linked/b", "sub/a"]
    assert [line.split(":")[0] for line in listing.repeated] == [
        f"{tmp_path}/in/above",
        f"{tmp_path}/in/sub/up",
    ]
    assert not listing.failures


def test_the_real_place_of_a_folder_comes_before_links_to_it(tmp_path: Path) -> None:
    make(tmp_path, "z/file")
    (tmp_path / "a").symlink_to("z")
    (tmp_path / "b").symlink_to("a")
    listing = list_folder(tmp_path)
    assert names(tmp_path) == ["z/file"]
    assert len(listing.repeated) == 2


@pytest.mark.parametrize("target", ["itself", "/nowhere/at/all"])
def test_links_that_lead_nowhere_are_named(tmp_path: Path, target: str) -> None:
    make(tmp_path, "a")
    (tmp_path / "itself").symlink_to(target)
    listing = list_folder(tmp_path)
    assert names(tmp_path) == ["a"]
    (line,) = listing.failures.values()
    assert line.startswith(f"{tmp_path}/itself: this link cannot be followed (")


def test_a_folder_that_cannot_be_searched_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "a", "closed/b", "open/c")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = list_folder(tmp_path)
    assert names(tmp_path) == ["a", "open/c"]
    closed = tmp_path / "closed"
    assert list(listing.failures) == [closed]
    assert listing.failures[closed].startswith(f"{closed}: this folder cannot be searched (Perm")


def test_paths_beyond_the_systems_limit_are_named(tmp_path: Path) -> None:
    make(tmp_path, "a")
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=deep)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    listing = list_folder(tmp_path)
    assert names(tmp_path) == ["a"]
    (line,) = listing.failures.values()
    assert "File name too long" in line
