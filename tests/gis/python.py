"""Scripts run by the Python of QGIS, which has nothing of ours."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import cache
from pathlib import Path

import pytest

PYTHON = os.environ.get("QGIS_PYTHON", "/usr/bin/python3")
ENVIRONMENT = {
    name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")
}


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PYTHON, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def run_script(name: str, *arguments: str) -> str:
    """What a script in this folder prints."""
    session = run_python(str(Path(__file__).with_name(name)), *arguments)
    # QGIS 3.22 may crash as it takes itself apart; what it has printed says how far it came.
    assert session.returncode in (0, -signal.SIGSEGV), session.stderr
    return session.stdout


@cache
def has_qgis() -> bool:
    try:
        return run_python("-c", "import qgis.core").returncode == 0
    except OSError:
        return False


needs_qgis = pytest.mark.skipif(
    not has_qgis(),
    reason=f"needs QGIS: {PYTHON} has no qgis.core (QGIS_PYTHON names the Python that has)",
)
