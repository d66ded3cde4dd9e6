"""The kinds of files: how a valid one is made, which of its files is changed, how it is used."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import rasterio.shutil
import shapely
from rasterio.transform import from_origin

BOX = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))] * 3, object)
NAMES = np.array(["road", "house", "road"], object)
GRID = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)
MOST_PIXELS = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    make: Callable[[Path], Path]
    """Writes a valid one into a folder; gives the file that is changed."""
    use: Callable[[Path], object]
    """Reads the changed one."""


def _raster(folder: Path, name: str = "a.tif", **profile: object) -> Path:
    path = folder / name
    pixels = np.random.default_rng(0).integers(1, 255, (1, 48, 64)).astype(np.uint8)
    size = {"count": 1, "height": 48, "width": 64, "dtype": "uint8"}
    options = {"driver": "GTiff", "crs": "EPSG:32632", "transform": GRID, **size, **profile}
    with rasterio.open(path, "w", **options) as file:
        file.write(pixels)
    return path


def _tiled(folder: Path) -> Path:
    path = _raster(
        folder, tiled=True, blockxsize=16, blockysize=16, compress="deflate", BIGTIFF="YES"
    )
    with rasterio.open(path, "r+") as file:
        file.update_tags(GEOSEG_CLASSES='["road", "house"]')
        file.nodata = 0
        file.build_overviews([2], rasterio.enums.Resampling.nearest)
    return path


def _vrt(folder: Path) -> Path:
    rasterio.shutil.copy(_raster(folder), folder / "a.vrt", driver="VRT")
    return folder / "a.vrt"


def _aux_xml(folder: Path) -> Path:
    path = _raster(folder).with_name("a.tif.aux.xml")
    path.write_text(
        "<PAMDataset><SRS>EPSG:25832</SRS><GeoTransform>5e5, 0.5, 0, 5.4e6, 0, -0.5</GeoTransform>"
        '<PAMRasterBand band="1"><Description>red</Description><NoDataValue>3</NoDataValue>'
        "<CategoryNames><Category>road</Category></CategoryNames></PAMRasterBand></PAMDataset>"
    )
    return path


def use_raster(path: Path) -> None:
    from geoseg.raster import name_every_class, open_raster, source_fingerprint

    path = path.with_name(path.name.removesuffix(".aux.xml"))
    source = open_raster(path)
    name_every_class(path)
    source_fingerprint(path)
    height = min(source.height, 512)
    width = min(source.width, MOST_PIXELS // height // len(source.bands) or 1)
    with source.open() as reader:
        reader.read(0, 0, height, width)
        assert reader.overviews >= 0


def _vector(driver: str, suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a{suffix}"
        pyogrio.raw.write(
            path, BOX, [NAMES], ["class"], geometry_type="Polygon", crs="EPSG:4326", driver=driver
        )
        return path

    return make


def _dbf(folder: Path) -> Path:
    return _vector("ESRI Shapefile", ".shp")(folder).with_suffix(".dbf")


def use_vector(path: Path) -> None:
    from geoseg.vector.read import read_features

    path = path.with_suffix(".shp") if path.suffix == ".dbf" else path
    read_features(path, attribute="class")


def _model(folder: Path) -> Path:
    import geoseg

    net = geoseg.create_model("pixel", encoder=None, classes=2, in_channels=1)
    facts = {"mean": [0.5], "std": [0.2], "value_range": (0, 255), "window": 32, "overlap": 8}
    path = folder / "a.safetensors"
    geoseg.save_model(net, path, classes=["road", "house"], bands=["red"], **facts)
    return path


def use_model(path: Path) -> None:
    from geoseg.models import load_model

    load_model(path)


def _config(folder: Path) -> Path:
    path = folder / "a.yaml"
    configs = Path(__file__).parents[2] / "configs"
    text = (configs / "buildings.yaml").read_text()
    path.write_text(text.replace("${BUILDINGS}", "images"))
    return path


def use_config(path: Path) -> None:
    from geoseg.config import load_config

    load_config(path)


KINDS = {
    "tiff": Kind(_raster, use_raster),
    "tiled tiff": Kind(_tiled, use_raster),
    "vrt": Kind(_vrt, use_raster),
    "aux.xml": Kind(_aux_xml, use_raster),
    "png": Kind(lambda folder: _raster(folder, "a.png", driver="PNG"), use_raster),
    "geojson": Kind(_vector("GeoJSON", ".geojson"), use_vector),
    "gpkg": Kind(_vector("GPKG", ".gpkg"), use_vector),
    "shp": Kind(_vector("ESRI Shapefile", ".shp"), use_vector),
    "dbf": Kind(_dbf, use_vector),
    "model": Kind(_model, use_model),
    "yaml": Kind(_config, use_config),
}
