from __future__ import annotations

import csv
import re
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rasterio.io import MemoryFile

from geoseg.classes import ISPRS, ClassScheme
from geoseg.commands.evaluate import run

Make = Callable[..., Path]

NAMES = ISPRS.names


def test_the_page_needs_no_other_file_and_shows_the_worst_places(
    make: Make, predicted: np.ndarray, reference: np.ndarray, tmp_path: Path
) -> None:
    big = np.tile(reference, (12, 9))
    guess = big.copy()
    guess[600:700, 520:700] = 4
    guess[10:20, 10:20] = 0
    scheme = ClassScheme(("<road>", *NAMES[1:]), ISPRS.colors, ISPRS.values)
    run(make("a_classes.tif", guess), make("a_label.tif", big), scheme, tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text()
    assert "&lt;road&gt;" in page
    assert "<road>" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "http" not in page
    pictures = [b64decode(text) for text in re.findall(r"base64,([^\"]+)", page)]
    assert len(pictures) == 1 + 3 * 2
    assert pictures[0] == (tmp_path / "out/confusion.png").read_bytes()
    assert page.index("rows 512 to 767, columns 512 to 719") < page.index(
        "rows 0 to 511, columns 0 to 511"
    )
    with MemoryFile(pictures[3]) as memory, memory.open() as picture:
        shown = picture.read([1, 2, 3])
    red = (shown == np.array([214, 39, 40])[:, None, None]).all(axis=0)
    inside = guess[512:768, 512:720] != big[512:768, 512:720]
    np.testing.assert_array_equal(red, inside & (big[512:768, 512:720] != 255))


def test_the_table_holds_each_class(pair: tuple[Path, Path], tmp_path: Path) -> None:
    data = run(*pair, "isprs", tmp_path / "out", protocol="isprs-geoseg").data
    rows = list(csv.DictReader((tmp_path / "out/classes.csv").open()))
    assert [row["class"] for row in rows] == list(NAMES)
    assert float(rows[1]["iou"]) == data["iou"]["building"]
    assert [row["in_mean"] for row in rows] == [
        "yes" if name in data["classes_in_mean"] else "no" for name in NAMES
    ]
    assert sum(int(row["reference_pixels"]) for row in rows) == data["pixels"]
