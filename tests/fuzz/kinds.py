"""The kinds of files: how a valid one is made, which of its files is changed, how it is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import rasterio.shutil
import shapely
from rasterio.transform import from_origin
from rasterio.windows import Window

BOX = np.array([shapely.to_wkb(shapely.box(0, 0, 1, 1))] * 3, object)
NAMES = np.array(["road", "house", "road"], object)
GRID = from_origin(500_000.0, 5_400_000.0, 0.5, 0.5)
PLACES = {"EPSG:4326": from_origin(0.2, 0.8, 0.01, 0.01), "EPSG:32631": from_origin(2e5, 8e4, 9, 9)}
MOST_PIXELS = 1_000_000


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    make: Callable[[Path], Path]
    """Writes a valid one into a folder; gives the file that is changed."""
    use: Callable[[Path], object]
    """Reads the changed one; gives what has been read, or checks it."""
    protected: bool = False
    """Whether the file has a checksum: it is refused, or gives what it gave before the change."""


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
    """Opens, places and reads a raster; its pixels are those that rasterio reads."""
    from geoseg.geodesy import area_rule
    from geoseg.raster import every_class, open_raster, source_fingerprint
    from geoseg.raster.file_source import FileSource

    path = path.with_name(path.name.removesuffix(".aux.xml"))
    source = open_raster(path)
    assert isinstance(source, FileSource)
    every_class(path)
    source_fingerprint(path)
    side = source.ground_sampling
    assert side is None or 0 < side < np.inf, f"ground sampling {side}"
    area_rule(source.transform, source.crs, source.height, source.width)
    height = min(source.height, 512)
    width = min(source.width, MOST_PIXELS // height // len(source.bands) or 1)
    with source.open() as reader:
        pixels, valid = reader.read(0, 0, height, width)
        assert reader.overviews >= 0
    # Else GDAL gives noise for a PNG that is cut short.
    with rasterio.Env(GDAL_PNG_WHOLE_IMAGE_OPTIM=False), rasterio.open(path) as file:
        stored = np.zeros_like(pixels)  # GDAL leaves parts of it out
        file.read(list(source.bands), window=Window(0, 0, width, height), out=stored)
        mask = file.dataset_mask(window=Window(0, 0, width, height)) > 0
    expected = stored if source.white is None else source.white - stored
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(valid, mask & np.isfinite(stored).all(axis=0))


def _vector(driver: str, suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"a{suffix}"
        pyogrio.raw.write(
            path, BOX, [NAMES], ["class"], geometry_type="Polygon", crs="EPSG:4326", driver=driver
        )
        return path

    return make


def _beside_shapefile(suffix: str) -> Callable[[Path], Path]:
    return lambda folder: _vector("ESRI Shapefile", ".shp")(folder).with_suffix(suffix)


def use_vector(path: Path) -> list[bytes]:
    """Reads polygons and places them on grids; gives them."""
    from geoseg.vector import Grid, place, read_features

    path = path.with_suffix(".shp") if path.suffix in (".dbf", ".shx", ".prj") else path
    features = read_features(path, attribute="class")
    for crs, transform in PLACES.items():
        place(features, Grid.of(transform, rasterio.CRS.from_string(crs), 48, 64))
    return [shapely.to_wkb(polygon) for polygon in features.polygons]


def _model(folder: Path) -> Path:
    import geoseg

    net = geoseg.create_model("pixel", encoder=None, classes=2, in_channels=1)
    facts: dict[str, Any] = {
        "mean": [0.5],
        "std": [0.2],
        "value_range": (0, 255),
        "window": 32,
        "overlap": 8,
    }
    path = folder / "a.safetensors"
    geoseg.save_model(net, path, classes=["road", "house"], bands=["red"], **facts)
    return path


def use_model(path: Path) -> dict[str, bytes]:
    from geoseg.models import load_model

    model = load_model(path)
    return {"card": model.card.to_json().encode(), **_tensors(model.net.state_dict())}


def _tensors(state: Mapping[str, Any]) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in state.items()}


def _training() -> tuple[Any, Any]:
    """A network after a step, and its optimizer."""
    import torch

    import geoseg

    torch.manual_seed(0)
    net = geoseg.create_model("pixel", encoder=None, classes=2, in_channels=1)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 1, 4, 4)).logits.square().sum().backward()
    optimizer.step()
    return net, optimizer


def _state(folder: Path) -> Path:
    from geoseg.training.state import random_state, save_state

    net, optimizer = _training()
    path = folder / "last.safetensors"
    save_state(path, {"net": net}, optimizer, {"step": 1, "best": 0.5}, [random_state()])
    return path


def use_state(path: Path) -> dict[str, bytes]:
    from geoseg.training.state import load_state

    net, optimizer = _training()
    facts = load_state(path, {"net": net}, optimizer)
    kept = optimizer.state_dict()["state"]
    moments = {str(number): _tensors(state) for number, state in kept.items()}
    return {"facts": repr((facts, moments)).encode(), **_tensors(net.state_dict())}


PART = (10, 20, 40, 50, "0123456789abcdef")


def _part(folder: Path) -> Path:
    from geoseg.raster import Part, write_part

    part = Part(folder / "0000-00000-classes.tif", *PART)
    write_part(part, np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.uint8))
    return Path(str(part.path))


def use_part(path: Path) -> bytes:
    from geoseg.raster import Part, read_part

    return read_part(Part(path, *PART)).tobytes()


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
    "dbf": Kind(_beside_shapefile(".dbf"), use_vector),
    "shx": Kind(_beside_shapefile(".shx"), use_vector, protected=True),
    "prj": Kind(_beside_shapefile(".prj"), use_vector, protected=True),
    "fgb": Kind(_vector("FlatGeobuf", ".fgb"), use_vector),
    "jpeg": Kind(lambda folder: _raster(folder, "a.jpg", driver="JPEG"), use_raster),
    "jp2": Kind(lambda folder: _raster(folder, "a.jp2", driver="JP2OpenJPEG"), use_raster),
    "model": Kind(_model, use_model, protected=True),
    "state": Kind(_state, use_state, protected=True),
    "part": Kind(_part, use_part, protected=True),
    "yaml": Kind(_config, use_config),
}
