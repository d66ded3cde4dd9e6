"""Runs of two small sheets, and a map of them that answers."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from PIL import Image

import geoseg
from geoseg.viewing import MapServer, read_results
from tests.conftest import GRID

Make = Callable[..., Path]


class Map:
    """What a browser would get."""

    def __init__(self, server: MapServer) -> None:
        self.server, self.pyramid = server, server.pyramid

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        asked = urllib.request.Request(self.server.url + path, headers=headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def tile(self, kind: str, level: int, col: int, row: int) -> np.ndarray:
        status, content = self.get(f"tile/{kind}/{level}/{col}/{row}.png")
        assert status == 200, content
        return np.array(Image.open(BytesIO(content)))

    def whole(self, kind: str, level: int) -> np.ndarray:
        """All tiles of a level as one picture."""
        cols, rows = self.pyramid.tiles(level)
        tiles = [[self.tile(kind, level, col, row) for col in range(cols)] for row in range(rows)]
        return np.concatenate([np.concatenate(row, axis=1) for row in tiles])


@contextmanager
def shown(out: Path) -> Iterator[Map]:
    """The map of a run while it is served."""
    with MapServer(read_results(out)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Map(server)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def predict(make_raster: Make, model_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """A run over ``town``, of two sheets of 150 x 320 pixels that adjoin."""

    def run(**options: Any) -> Path:
        for number in range(2):
            pixels = np.random.default_rng(number).integers(1, 255, (3, 15, 32), np.uint8)
            pixels = np.kron(pixels, np.ones((1, 10, 10), np.uint8))
            pixels[:, :30, :30] = 0
            place = GRID @ Affine.translation(320 * number, 0)
            make_raster(f"town/{number}.tif", data=pixels, transform=place, nodata=0)
        options = {"preview": False, "confidence": True} | options
        out = tmp_path / "out"
        assert geoseg.predict(tmp_path / "town", model_file, out=out, **options).exit_code == 0
        return out

    return run
