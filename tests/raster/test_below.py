"""What the values of images mean that lie below a VRT."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio

from geoseg.errors import SourceError
from geoseg.foreign import allow_remote
from geoseg.raster import open_raster, refuse_palette
from geoseg.raster.below import look_below, shows_palettes
from tests.fixtures.server import Server

Make = Callable[..., Path]


def vrt(path: Path, name: str, *, inside: str = "", kind: str = "Simple") -> Path:
    """A VRT over one image that says nothing of colours."""
    path.write_text(
        '<VRTDataset rasterXSize="80" rasterYSize="64"><VRTRasterBand dataType="Byte" band="1">'
        f'<{kind}Source><SourceFilename relativeToVRT="1">{name}</SourceFilename>{inside}'
        f"</{kind}Source></VRTRasterBand></VRTDataset>"
    )
    return path


@pytest.mark.parametrize("driver", ["GTiff", "PNG", "GIF"])
@pytest.mark.parametrize("levels", [1, 2])
def test_a_palette_below_a_vrt_is_refused_as_the_palette_itself(
    make_raster: Make, tmp_path: Path, driver: str, levels: int
) -> None:
    made = make_raster("made.tif", bands=1, photometric="PALETTE")
    with rasterio.open(made, "r+") as file:
        file.write_colormap(1, {1: (255, 0, 0, 255)})
    rasterio.shutil.copy(made, tmp_path / "image", driver=driver)
    path = vrt(tmp_path / "1.vrt", "image")
    if levels == 2:
        path = vrt(tmp_path / "2.vrt", "1.vrt")
    for refused in (path, tmp_path / "image"):
        with pytest.raises(SourceError, match="its values are palette indices"):
            refuse_palette(open_raster(refused), "")


def test_a_palette_that_the_vrt_expands_is_an_image(make_raster: Make, tmp_path: Path) -> None:
    make_raster("image.tif", bands=1, photometric="PALETTE")
    expand = "<ColorTableComponent>1</ColorTableComponent>"
    path = vrt(tmp_path / "a.vrt", "image.tif", inside=expand, kind="Complex")
    assert not shows_palettes(path)
    assert look_below(path).computed


def test_nothing_lies_below_a_raster_that_holds_its_pixels(make_raster: Make) -> None:
    path = make_raster()
    assert look_below(path).photometrics == {}
    assert not shows_palettes(path)


@pytest.mark.parametrize("photometric", ["MINISWHITE", "PALETTE"])
def test_images_on_a_server_are_asked_too(
    make_raster: Make, server: Server, tmp_path: Path, photometric: str
) -> None:
    image = make_raster("image.tif", bands=1, photometric=photometric)
    os.link(image, server.folder / "x.tif")
    path = vrt(tmp_path / "a.vrt", "x.tif")
    path.write_text(
        path.read_text()
        .replace("x.tif", f"/vsicurl/{server.url}/x.tif")
        .replace('relativeToVRT="1"', "")
    )
    with allow_remote():
        if photometric == "PALETTE":
            assert shows_palettes(path)
        else:
            assert open_raster(path).white == 255
