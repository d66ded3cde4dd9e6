"""How torch's threads wait for one another on a CPU.

Between two layers they spin, as OpenMP has it: for milliseconds, each on a processor of its own.
Where others want these too (threads that make files, another program) what spins keeps away those
that it waits for, and a run takes many times as long. libgomp lets threads sleep soon once there
are more of them than processors, so a pool beside the network's is enough; it sleeps all the time.
"""

from __future__ import annotations

import torch

_SHARED = 2**17
"""Numbers that torch adds up in several threads."""


def let_others_sleep() -> None:
    """Begin a pool of this thread's own, if it has none, so that those of others do not spin."""
    torch.ones(_SHARED).add_(1)
