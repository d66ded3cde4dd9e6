import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from geoseg.raster.validity import Validity, find_validity


def validity(path, used=(1, 2, 3), alphas=(), nodata=None):
    with rasterio.open(path) as file:
        return find_validity(file, used, alphas, nodata)


def test_without_nodata_alpha_and_mask_all_is_valid(make_raster):
    assert validity(make_raster()) == Validity((None, None, None))


def test_declared_nodata_counts_a_band(make_raster):
    assert validity(make_raster(nodata=7), used=(3, 1)) == Validity((7.0, 7.0))


def test_a_given_value_replaces_the_declared_one_in_every_band(make_raster):
    assert validity(make_raster(nodata=7), nodata=9) == Validity((9.0, 9.0, 9.0))
    assert validity(make_raster(), nodata=0) == Validity((0.0, 0.0, 0.0))


def test_alpha_counts_where_it_is_not_read(make_raster):
    path = make_raster(bands=4)
    assert validity(path, alphas=(4,)) == Validity((None, None, None), alpha=4)
    assert validity(path, used=(4, 1), alphas=(4,)) == Validity((None, None))
    assert validity(path, used=(1,), alphas=(4, 3)).alpha == 4


@pytest.mark.parametrize("nodata", [None, 7])
def test_a_mask_of_the_dataset_is_read_once_and_comes_before_declared_nodata(make_raster, nodata):
    path = make_raster(nodata=nodata)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.zeros(file.shape, np.uint8))
    found = validity(path, used=(2, 3))
    assert found.mask_bands == (2,)
    assert found.nodata_values is None
    assert validity(path, used=(2, 3), nodata=5) == Validity((5.0, 5.0), mask_bands=(2,))


def test_masks_of_single_bands_are_all_read(make_raster, tmp_path):
    make_raster("a.tif", bands=1)
    source = (
        '<SimpleSource><SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        "<SourceBand>1</SourceBand></SimpleSource>"
    )
    mask = f'<MaskBand><VRTRasterBand dataType="Byte">{source}</VRTRasterBand></MaskBand>'
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{source}{mask}</VRTRasterBand>'
        for band in (1, 2)
    )
    vrt = tmp_path / "a.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="80" rasterYSize="64">{bands}</VRTDataset>')
    assert validity(vrt, used=(2, 1)) == Validity((None, None), mask_bands=(2, 1))


def test_alpha_beside_the_bands_is_no_mask_of_the_dataset(make_raster):
    path = make_raster(bands=2, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.gray, ColorInterp.alpha]
    assert validity(path, used=(1,), alphas=(2,)) == Validity((None,), alpha=2)


def test_one_band_without_nodata_keeps_every_pixel_valid():
    assert Validity((0.0, None)).nodata_values is None
    assert Validity((0.0, 5.0)).nodata_values == (0.0, 5.0)
