import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geoseg.errors import OutputError
from geoseg.locks import lock_file, lock_folder


def test_a_second_run_is_refused_while_the_first_one_holds_the_folder(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from geoseg.locks import lock_folder\n"
        f"with lock_folder(Path({str(tmp_path / 'out')!r})): pass"
    )
    with lock_folder(tmp_path / "out"):
        with (
            pytest.raises(
                OutputError,
                match=r"another run writes into .*out; wait until it ends or choose another --out",
            ),
            lock_folder(tmp_path / "out"),
        ):
            pass
        other = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert "another run writes into" in other.stderr
        (tmp_path / "out" / "made").touch()
    with lock_folder(tmp_path / "out"):
        pass
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made"]


def test_folders_that_stay_empty_go_again_and_those_that_existed_stay(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyError), lock_folder(tmp_path / "old/new/out"):
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_a_lock_left_by_a_killed_run_is_not_an_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".geoseg").mkdir()
    (tmp_path / ".geoseg/lock").touch()
    with lock_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_that_cannot_be_made_leaves_no_folders(tmp_path: Path) -> None:
    said = rf"{tmp_path}/new cannot be written \(File name too long\); choose another --out"
    with (
        pytest.raises(OutputError, match=said),
        lock_file(tmp_path / f"new/{'a' * 250}.gpkg"),  # with the lock's ending it is too long
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = f"output folder {tmp_path / 'file/out'} cannot be written ({tmp_path / 'file'} is a "
    with (
        pytest.raises(OutputError, match=re.escape(message)),
        lock_folder(tmp_path / "file/out", "DST"),
    ):
        pass


def test_runs_that_begin_while_others_end_never_share_a_folder_nor_lose_it(tmp_path: Path) -> None:
    alone, refusals = threading.Lock(), set()

    def begin_and_end() -> int:
        ran = 0
        for _ in range(150):
            try:
                with lock_folder(tmp_path / "out"):
                    assert alone.acquire(blocking=False)
                    alone.release()
                    ran += 1
            except OutputError as error:
                refusals.add(str(error))
        return ran

    with ThreadPoolExecutor(4) as runs:
        assert sum(run.result() for run in [runs.submit(begin_and_end) for _ in range(4)]) > 0
    assert refusals <= {
        f"another run writes into {tmp_path / 'out'}; wait until it ends or choose another --out"
    }


def test_runs_on_different_files_of_one_folder_do_not_meet(tmp_path: Path) -> None:
    one, other = tmp_path / "out/a.gpkg", tmp_path / "out/b.gpkg"
    with lock_file(one):
        with lock_file(other):
            other.touch()
        message = f"another run writes {one}; wait until it ends or choose another --out"
        with pytest.raises(OutputError, match=re.escape(message)), lock_file(one):
            pass
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "b.gpkg"]
