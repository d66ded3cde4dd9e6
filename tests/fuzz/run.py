"""Inputs tried in a process of their own, so that hangs and crashes are found too."""

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from geoseg.errors import GeosegError
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.mutations import mutated

LONGEST = 20.0
"""Seconds that one input may take."""


def try_inputs(kind: str, start: int, stop: int) -> None:
    """Try the inputs of a range, and print each number with what became of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = KINDS[kind].make(Path(folder))
        data = path.read_bytes()
        before = KINDS[kind].use(path)
        for seed in range(start, stop):
            path.write_bytes(mutated(data, seed))
            print(seed, outcome(KINDS[kind], path, before), flush=True)


def outcome(kind: Kind, path: Path, before: object) -> str:
    """What became of a changed file; `before` is what was read of it before the change."""
    try:
        found = kind.use(path)
    except GeosegError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"many lines: {error!r}"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)
        own = [
            f"{Path(line.filename).name}:{line.lineno}"
            for line in last
            if "geoseg/" in Path(line.filename).as_posix()
        ]
        return f"raw {type(error).__name__} {own[-1:]} {str(error)[:80]!r}".replace("\n", " ")
    return "wrong: other than before the change" if kind.protected and found != before else "read"


def run_kind(kind: str, count: int) -> tuple[Counter[str], list[str]]:
    """How many inputs of a kind were read and refused, and a line for each of the others."""
    counts: Counter[str] = Counter()
    faults: list[str] = []
    start = 0
    while start < count:
        finished, ending = _run_process(kind, start, count)
        for seed, outcome in finished:
            counts[outcome.split()[0]] += 1
            if outcome not in ("read", "refused"):
                faults.append(f"{kind} {seed}: {outcome}")
        start += len(finished)
        if ending:
            faults.append(f"{kind} {start}: {ending}")
            counts[ending.split()[0]] += 1
            start += 1
    return counts, faults


def _run_process(kind: str, start: int, stop: int) -> tuple[list[tuple[int, str]], str]:
    """The inputs that a process has finished, and how it ended: empty where it did all."""
    with tempfile.TemporaryFile("w+") as out:
        command = [sys.executable, "-m", "tests.fuzz.run", kind, str(start), str(stop)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        size, since, hung = 0, time.monotonic(), False
        while process.poll() is None:
            time.sleep(0.05)
            if (now := os.fstat(out.fileno()).st_size) != size:
                size, since = now, time.monotonic()
            # The first input also waits for the imports.
            if time.monotonic() - since > LONGEST * (1 if size else 6):
                hung = True
                process.kill()
                process.wait()
        out.seek(0)
        lines = [line.rstrip("\n").split(" ", 1) for line in out if line.endswith("\n")]
    finished = [(int(seed), outcome) for seed, outcome in lines]
    if hung:
        return finished, f"hung for {LONGEST:g} s"
    return finished, f"crashed with {process.returncode}" if process.returncode else ""


if __name__ == "__main__":
    try_inputs(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
