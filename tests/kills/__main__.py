"""Kill commands: ``python -m tests.kills [--points N] [--random N]``; see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.kills.points import kill_everywhere
from tests.kills.randomly import kill_randomly


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.kills")
    parser.add_argument("--points", type=int, help="points of each job; all by default")
    parser.add_argument("--jobs", default="", help="a pattern of their names; all by default")
    parser.add_argument("--random", type=int, metavar="N", help="kills at random times instead")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    started, kills, bad = time.perf_counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        if chosen.random is None:
            verdicts = kill_everywhere(root, chosen.points, chosen.jobs)
        else:
            verdicts = kill_randomly(root, chosen.random, chosen.seed)
        for verdict in verdicts:
            kills += 1
            bad += bool(verdict.faults)
            for fault in verdict.faults:
                print(f"{verdict.place}: {fault}", flush=True)
    print(f"{kills} kills, {bad} with faults, {time.perf_counter() - started:.0f} s")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
