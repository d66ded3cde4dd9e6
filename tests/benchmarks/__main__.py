"""Run benchmarks: ``python -m tests.benchmarks [NAME ...]``; without a name, all of them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.benchmarks import measures


def main(names: list[str]) -> None:
    """Run the named benchmarks in one temporary folder."""
    chosen = names or list(measures.ALL)
    unknown = [name for name in chosen if name not in measures.ALL]
    if unknown:
        sys.exit(f"unknown benchmark {unknown[0]!r}; there are {', '.join(measures.ALL)}")
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            print(f"== {name}: {measures.ALL[name].__doc__}", flush=True)
            measures.ALL[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
