"""One tool run once, in a process of its own, started by `tests.benchmarks.peers`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.runners import RUNNERS, prepare


class Counter:
    """Pixels that networks were given."""

    def __init__(self) -> None:
        self.pixels = 0

    def __call__(self, seen: Any) -> None:
        if isinstance(seen, dict):  # geoseg's own report, as it runs a copy of the network
            self.pixels += seen["plan"]["encoded_pixels"] or seen["plan"]["forward_pixels"]
            return
        seen.register_forward_pre_hook(lambda _, inputs: self._add(inputs[0].shape))

    def _add(self, shape: Any) -> None:
        self.pixels += shape[0] * shape[2] * shape[3]


def main(name: str, image: str, model: str, out: str) -> None:
    """Run it, and print what it took as JSON in the last line."""
    try:
        prepare(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    folder, counter = Path(out), Counter()
    folder.mkdir(parents=True, exist_ok=True)
    started, spent = time.perf_counter(), time.process_time()
    labels = RUNNERS[name].predict(Path(image), Path(model), folder, counter)
    facts = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - spent,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "pixels": counter.pixels,
        "labels": str(labels),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
