import numpy as np
import pytest
import rasterio
import rasterio.shutil

from geoseg.errors import SourceError
from geoseg.raster import every_class, read_class_names

CATEGORIES = """<PAMDataset><PAMRasterBand band="1"><CategoryNames>
<Category>road &amp; path</Category><Category></Category>
<Category> tree </Category><Category>tree</Category>
</CategoryNames></PAMRasterBand></PAMDataset>"""


@pytest.fixture
def raster(make_raster):
    return make_raster(data=np.zeros((1, 4, 5), np.uint8))


def test_the_names_in_geosegs_own_tag_are_read_and_used_before_all_others(raster):
    assert read_class_names(raster) is None
    with rasterio.open(raster, "r+") as file:
        file.update_tags(GEOSEG_CLASSES='["roof", "grass"]')
    raster.with_name("scene.tif.aux.xml").write_text(CATEGORIES)
    assert read_class_names(raster) == ("roof", "grass")
    assert every_class(raster).names[:3] == ("roof", "grass", "class 2")


def test_every_id_below_254_gets_a_name_of_its_own(raster):
    raster.with_name("scene.tif.aux.xml").write_text(CATEGORIES)
    names = every_class(raster).names
    assert names[:5] == ("road & path", "class 1", "tree", "tree 3", "class 4")
    assert len(names) == len(set(names)) == 254


def test_a_vrt_holds_its_own_names(raster):
    raster.with_name("scene.tif.aux.xml").write_text(CATEGORIES)
    vrt = raster.with_name("scene.VRT")
    rasterio.shutil.copy(str(raster), str(vrt), driver="VRT")
    assert every_class(vrt).names[0] == "road & path"


def test_xml_without_names_names_nothing(raster):
    raster.with_name("scene.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    assert every_class(raster).names[0] == "class 0"


def test_xml_that_cannot_be_read_is_named(raster):
    raster.with_name("scene.tif.aux.xml").write_text("<PAMDataset")
    said = r"scene.tif.aux.xml: is not readable XML .* remove it to continue without"
    with pytest.raises(SourceError, match=said):
        every_class(raster)


@pytest.mark.parametrize("names", ["[", "{}", "3", "[1]", "null"])
def test_damaged_class_names_are_refused(raster, names):
    with rasterio.open(raster, "r+") as file:
        file.update_tags(GEOSEG_CLASSES=names)
    with pytest.raises(SourceError, match=r"scene\.tif: its class names are damaged"):
        every_class(raster)


def test_colours_are_those_of_the_palette_and_differ_without_one(raster):
    assert len(set(every_class(raster).colors[:20])) == 20
    with rasterio.open(raster, "r+") as file:
        file.write_colormap(1, {0: (1, 2, 3, 255), 1: (200, 0, 0, 255)})
    assert every_class(raster).colors[:3] == ((1, 2, 3), (200, 0, 0), (0, 0, 0))
