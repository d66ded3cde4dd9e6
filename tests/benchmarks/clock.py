"""What a block of a benchmark takes."""

from __future__ import annotations

import time

from geoseg.inference.probe import peak_memory


class Clock:
    """Wall clock, CPU time and memory of a block."""

    def __enter__(self) -> Clock:
        self._memory = peak_memory()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self._wall = time.perf_counter() - self._wall
        self._cpu = time.process_time() - self._cpu
        self._memory = peak_memory() - self._memory

    def result(self) -> dict[str, float]:
        """Seconds, and the MiB that the block added to the peak of the process."""
        return {
            "wall": round(self._wall, 2),
            "cpu": round(self._cpu, 2),
            "MiB": round(self._memory / 2**20),
        }
