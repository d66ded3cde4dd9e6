"""Try many damaged files of each kind; print what became of them, and each fault.

    python -m tests.fuzz [--count 2000] [--only tiff]

Input n of a kind is the same in each run. Exit 1 where one was neither read rightly nor refused in
one line.
"""

import argparse
import sys

from tests.fuzz.kinds import KINDS
from tests.fuzz.run import run_kind


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000, help="inputs of each kind")
    parser.add_argument("--only", choices=[*KINDS])
    given = parser.parse_args()
    faults = []
    for kind in [given.only] if given.only else KINDS:
        counts, found = run_kind(kind, given.count)
        print(f"{kind}: {', '.join(f'{count} {name}' for name, count in counts.items())}")
        print("\n".join(found), flush=True)
        faults += found
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
