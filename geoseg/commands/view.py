"""A map of a run in the browser, until it is stopped.

The story: read the report of the run; place what is there on a map; serve it to this machine.
"""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path

from geoseg.buckets import is_store_url
from geoseg.errors import ConfigError
from geoseg.given import given_path
from geoseg.progress import Progress
from geoseg.report import Report, counted
from geoseg.viewing import MapServer, read_results


def run(
    folder: str | os.PathLike[str],
    *,
    port: int = 0,
    browser: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Show what a run has made: imagery, classes, confidence, and polygons on click.

    Args:
        folder: that ``geoseg predict`` has written into.
        port: of this machine; 0: any that is free.
        browser: open it in the browser.
        progress: is told the map's address.

    Returns:
        When Ctrl-C or SIGTERM stops it: what was shown.

    Raises:
        ConfigError: there is nothing to show, or the port is taken.
        SourceError: a class raster cannot be opened.
        VectorError: a polygon file cannot be read.
    """
    progress = progress or Progress()
    name = given_path("folder", folder)
    if is_store_url(str(name)):
        raise ConfigError(f"{name}: is a bucket; copy what is there to this machine and show that")
    results = read_results(Path(name))
    with MapServer(results, port) as server:
        for line in server.lines:
            progress.note(line)
        progress.note(f"map of {counted(len(results.classes), 'raster')} at {server.url}")
        progress.note("Ctrl-C stops it")
        if browser and _has_screen():
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:  # how it is meant to end
            text = f"stopped; {Path(name)} is as it was"
    facts = {"url": server.url, "rasters": len(results.classes), "warnings": []}
    return Report(text, facts)


def _has_screen() -> bool:
    """Whether a browser has a window to open: without one it might take over the terminal."""
    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
