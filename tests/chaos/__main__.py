"""Let workers and schedulers die: ``python -m tests.chaos``; see the package."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.campaign import Campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--workers", type=int, default=50, help="workers that die or freeze")
    parser.add_argument("--schedulers", type=int, default=20, help="schedulers that die")
    parser.add_argument("--side", type=int, default=200, help="of the rasters, pixels")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        campaign = Campaign(root, chosen.side, chosen.workers, chosen.schedulers, chosen.seed)
        for line in campaign.run():
            print(line, flush=True)
        if campaign.faults:
            print((root / "log").read_text(encoding="utf-8"))
    print(f"{campaign.runs} runs, {time.perf_counter() - started:.0f} s")
    return int(bool(campaign.faults))


if __name__ == "__main__":
    sys.exit(main())
