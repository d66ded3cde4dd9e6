"""Draw mutations by a fixed seed, run the tests against each, print those that none has noticed.

    python -m tests.mutation [--count 210] [--seed 1] [--only geoseg/tiling] [--out FILE]
        [--processes 2]

A mutation is first tried on the tests of its own module (the mirrored path), then on those of its
package and of the commands that use it. Nothing is changed in the working tree: each process has a
copy of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.mutate import Mutation, mutations_of
from tests.mutation.run import outcomes

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "tiling",
    "inference",
    "raster",
    "vector",
    "metrics",
    "models/context",
    "training",
    "datasets",
)


def drawn(count: int, seed: int, only: str) -> list[Mutation]:
    """`count` mutations, all that the packages can have being equally likely.

    Lines that are known to change speed or memory alone are left out.
    """
    files = sorted(
        file for package in PACKAGES for file in (ROOT / "geoseg" / package).rglob("*.py")
    )
    known = [
        mutation
        for file in files
        if str(file.relative_to(ROOT)).startswith(only)
        for mutation in mutations_of(file.relative_to(ROOT), ROOT)
        if not is_equivalent(mutation)
    ]
    return random.Random(seed).sample(known, min(count, len(known)))


def is_equivalent(mutation: Mutation) -> bool:
    """Whether the line is listed as one whose mutations change speed or memory, and no result."""
    line = (ROOT / mutation.file).read_text().splitlines()[mutation.line - 1]
    return any(text in line for text in EQUIVALENT.get(str(mutation.file), {}))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--count", type=int, default=210)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--only", default="", help="path prefix of the mutated files, as geoseg/tiling"
    )
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    mutations = drawn(options.count, options.seed, options.only)
    # One module's mutations go to one process: its tests pass once unmutated before they count.
    mutations.sort(key=lambda mutation: (str(mutation.file), mutation.line))
    chunks = [mutations[start :: options.processes] for start in range(options.processes)]
    # Not a multiprocessing.Pool: tests start Dask's workers, and a pool's own may have no children.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        parts = pool.map(outcomes, [ROOT] * len(chunks), chunks)
        results = [result for part in parts for result in part]
    return report(results, options.out)


def report(results: list[tuple[Mutation, str]], out: Path | None) -> int:
    """Print the survivors and the share that was noticed; 1 where it is below 95 %."""
    survivors = [mutation for mutation, outcome in results if outcome == "survived"]
    for mutation in survivors:
        print(mutation.describe((ROOT / mutation.file).read_text()))
    noticed = len(results) - len(survivors)
    share = 100 * noticed / max(1, len(results))
    print(f"{noticed} of {len(results)} mutations noticed ({share:.1f} %)")
    if out is not None:
        rows = [
            {"file": str(m.file), "line": m.line, "operator": m.operator, "outcome": outcome}
            | {"change": m.describe((ROOT / m.file).read_text()).splitlines()[1:]}
            for m, outcome in results
        ]
        out.write_text(json.dumps(rows, indent=1) + "\n")
    return int(noticed < 0.95 * len(results))


if __name__ == "__main__":
    sys.exit(main())
