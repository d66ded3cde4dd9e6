"""A folder of sheets: kinds, places and fits are those of the sheets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.image import imread
from rasterio import Affine

from geoseg.commands import info_folder
from geoseg.commands.info import run
from geoseg.errors import ConfigError, OutputError
from geoseg.failures import EXIT_NOTHING_BEGUN, exit_code_of
from geoseg.models import create_model, save_model
from geoseg.raster import find_sources
from tests.conftest import GRID

Make = Callable[..., Path]


def test_sheets_are_counted_by_kind_and_place(make_raster: Make, tmp_path: Path) -> None:
    for number, (col, row) in enumerate([(0, 0), (64, 0), (0, 64), (32, 64)]):
        moved = GRID @ Affine.translation(col, row)
        make_raster(f"in/{number}.tif", height=64, width=64, transform=moved)
    make_raster("in/far.tif", height=64, width=64, crs="EPSG:3035")
    (tmp_path / "in/torn.tif").write_bytes(b"II*\0torn")
    report = run(tmp_path / "in", plot=tmp_path / "map.png")
    assert report.exit_code == 1
    assert [line for line in report.data["failures"] if "torn.tif" in line]
    assert report.data["sheets"] == 5
    assert report.data["pixels"] == 5 * 64 * 64
    assert sorted(report.data["kinds"].values()) == [1, 4]
    first, second = report.data["places"]
    assert (first["sheets"], first["one_grid"], first["pieces"], first["holes"]) == (4, True, 1, 0)
    assert first["overlap"] == pytest.approx(32 / 256)  # half a sheet of four lies on another
    assert second["crs"] == "EPSG:3035"
    assert imread(tmp_path / "map.png").std() > 0
    info_folder._refuse_plot(tmp_path / "map.png")  # it is geoseg's own, and no sheet
    assert find_sources([tmp_path / "map.png", tmp_path / "in/far.tif"]).own
    assert "4 sheets on one grid, in 1 piece with 0 holes; 12.5 %" in report.text


def test_of_many_sheets_a_bounded_number_is_drawn_and_a_line_says_so(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        moved = GRID @ Affine.translation(64 * number, 0)
        make_raster(f"in/{number}.tif", height=64, width=64, transform=moved)
    drawn = []

    class Drawn(PolyCollection):
        def __init__(self, outlines: list[np.ndarray], **options: object) -> None:
            drawn.append(len(outlines))
            super().__init__(outlines, **options)

    monkeypatch.setattr("matplotlib.collections.PolyCollection", Drawn)
    assert "map.png: " not in run(tmp_path / "in", plot=tmp_path / "map.png").text
    monkeypatch.setattr(info_folder, "_DRAWN", 3)
    report = run(tmp_path / "in", plot=tmp_path / "map.png")
    assert drawn == [7, 3]
    assert report.data["plot_step"] == 3
    assert "map.png: one of every 3 sheets is drawn, 3 at most" in report.text


def test_sheets_between_pixels_are_on_several_grids(make_raster: Make, tmp_path: Path) -> None:
    make_raster("in/a.tif", height=64, width=64)
    make_raster("in/b.tif", height=64, width=64, transform=GRID @ Affine.translation(64.5, 0))
    (place,) = run(tmp_path / "in").data["places"]
    assert (place["one_grid"], place["pieces"]) == (False, 2)


def test_what_a_model_would_do_is_said_of_each(
    make_raster: Make, model_file: Path, tmp_path: Path
) -> None:
    make_raster("in/a.tif")
    make_raster("in/b.tif", data=np.ones((1, 64, 64), np.uint8))
    fits = run(tmp_path / "in", model=model_file).data["model"]["fits"]
    assert {Path(path).name for paths in fits.values() for path in paths} == {"a.tif", "b.tif"}
    (refused,) = [what for what, paths in fits.items() if paths[0].endswith("b.tif")]
    assert refused.startswith("refused: ")


def test_files_beside_rasters_are_described_with_them_and_are_no_sheets(
    make_raster: Make, tmp_path: Path
) -> None:
    pattern = "{stem}_dsm.tif"
    path = make_raster("in/a.tif", photometric="rgb")
    data = np.random.default_rng(0).uniform(200, 300, (1, 32, 40)).astype(np.float32)
    coarse = GRID @ Affine.scale(2)
    beside = make_raster("in/a_dsm.tif", data=data, transform=coarse, nodata=-9999)
    model = save_model(
        create_model("pixel", classes=2, in_channels=4),
        tmp_path / "model.safetensors",
        classes=["low", "high"],
        bands=["red", "green", "blue", "dsm"],
        value_range=[(0, 255), (0, 255), (0, 255), (150, 400)],
        mean=[9] * 4,
        std=[9] * 4,
    )
    one = run(path, model=model, stack=pattern)
    (found,) = one.data["stack"]
    assert (found["path"], found["bands"], found["band_names"]) == (str(beside), [4], ["dsm"])
    assert (found["dtype"], found["masked_by"]) == ("float32", ["nodata"])
    assert "bands 4 dsm: " in one.text
    assert one.data["fit"]["fits"]
    assert "--stack '{stem}_dsm.tif'" in one.data["fit"]["command"]
    assert any("dsm: resampled to its pixels" in line for line in one.data["warnings"])
    folder = run(tmp_path / "in", model=model, stack=pattern)
    assert (folder.data["sheets"], folder.data["beside"]) == (1, [str(beside)])
    assert list(folder.data["model"]["fits"].values()) == [[str(path)]]
    assert not [what for what in folder.data["model"]["fits"] if what.startswith("refused")]
    make_raster("in/b.tif", photometric="rgb")
    lacking = run(tmp_path / "in", stack=pattern)
    assert lacking.exit_code == 1
    assert "b_dsm.tif is not there, which the pattern" in lacking.data["failures"][0]
    with pytest.raises(ConfigError, match=r"goes with rasters, and .* is a model"):
        run(model, stack=pattern)


@pytest.mark.parametrize(
    ("plot", "said"),
    [
        ("map.txt", r"--plot .*map\.txt: the picture is a PNG; give a name that ends in \.png"),
        ("map", "give a name that ends in"),
        ("in/a.tif", "give a name that ends in"),
        ("mine.png", "mine.png exists and was not written by geoseg info; move it away, or"),
        ("in/a.tif/map.png", r"\(.*a\.tif is a file, not a folder\); choose another --plot"),
    ],
)
def test_a_picture_that_cannot_be_one_is_refused_before_the_folder_is_read(
    plot: str, said: str, make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_raster("in/a.tif", height=16, width=16)
    (tmp_path / "mine.png").write_bytes(b"mine")
    monkeypatch.setattr(info_folder, "_open_all", None)
    with pytest.raises((ConfigError, OutputError), match=said) as refused:
        run(tmp_path / "in", plot=tmp_path / plot)
    assert exit_code_of(refused.value) == EXIT_NOTHING_BEGUN
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "mine.png"]
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
