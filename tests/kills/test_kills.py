import subprocess
import sys


def test_killed_commands_leave_nothing_torn_and_the_next_run_mends_everything() -> None:
    """One point in the middle of some; `make kills` takes all of each."""
    chosen = ["--points", "1", "--jobs", "(predict|shp|prepare) over|train"]
    program = [sys.executable, "-m", "tests.kills", *chosen]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " kills, 0 with faults" in done.stdout
