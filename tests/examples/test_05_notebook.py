"""The notebook at toy size, in a kernel as Jupyter starts it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "05_notebook.ipynb"


class ThisPython(KernelManager):
    """Kernels of the Python that runs the tests, wherever others are registered."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts one."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python", language="python")


def test_it_runs_from_top_to_bottom_and_shows_what_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOSEG_EXAMPLE", str(tmp_path))
    monkeypatch.setenv("GEOSEG_EXAMPLE_SIZE", "256")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not kept"
    manager = ThisPython(connection_file=str(tmp_path / "kernel.json"))
    NotebookClient(notebook, km=manager, timeout=120, resources={}).execute()
    shown = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert "5 classes: impervious" in shown[0][-1].data["text/plain"]
    assert "plan: 1 raster" in streamed(shown[1], "stdout")
    assert streamed(shown[1], "stderr") == ""
    assert any(
        "application/vnd.jupyter.widget-view+json" in each.get("data", {}) for each in shown[1]
    )
    assert "<img" in shown[1][-1].data["text/html"]
    assert "(256, 256)" in shown[2][-1].data["text/plain"]
    assert "image/png" in shown[5][-1].data
    assert "mean IoU" in streamed(shown[6], "stdout")


def streamed(outputs: list[Any], name: str) -> str:
    return "".join(each.text for each in outputs if each.get("name") == name)
