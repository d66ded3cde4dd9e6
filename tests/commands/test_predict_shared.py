"""`geoseg predict --encode shared`: the same bits however it is run, and what the report says."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import geoseg
from geoseg.errors import ConfigError
from geoseg.models import save_model
from geoseg.progress import Progress
from tests.fixtures.models import context_network

OPTIONS = {"encode": "shared", "cell": 64, "vectors": "none", "preview": False, "precision": "fp32"}


class StopAfter(Progress):
    """Interrupts a run as Ctrl-C does, after some windows."""

    def __init__(self, windows):
        self.left = windows

    def advance(self, count):
        self.left -= count
        if self.left <= 0:
            raise KeyboardInterrupt


@pytest.fixture
def hcnet_file(tmp_path):
    net = context_network("hcnet", prior_channels=8)
    facts = {"classes": list("abcd"), "bands": list("rgb"), "value_range": (0, 255)}
    facts |= {"mean": [120.0] * 3, "std": [60.0] * 3, "window": 48, "overlap": 16}
    return save_model(net, tmp_path / "hcnet.safetensors", **facts)


@pytest.fixture
def scene(make_raster):
    data = np.random.default_rng(1).integers(1, 256, (3, 13, 15)).astype(np.uint8)
    data = data.repeat(10, 1).repeat(10, 2)
    data[:, 20:50, 90:] = 0
    return make_raster("scene.tif", data=data, nodata=0, crs="EPSG:32632")


def labels_of(out):
    with rasterio.open(out / "scene_classes.tif") as file:
        return file.read(1), file.transform


def test_blocks_interruptions_and_areas_change_no_label(scene, hcnet_file, tmp_path):
    whole = geoseg.predict(scene, hcnet_file, out=tmp_path / "whole", **OPTIONS)
    labels, transform = labels_of(tmp_path / "whole")
    assert len(np.unique(labels)) > 2
    with pytest.raises(KeyboardInterrupt):
        geoseg.predict(
            scene, hcnet_file, out=tmp_path / "cut", progress=StopAfter(9), block=60, **OPTIONS
        )
    resumed = geoseg.predict(scene, hcnet_file, out=tmp_path / "cut", batch=2, **OPTIONS)
    np.testing.assert_array_equal(labels_of(tmp_path / "cut")[0], labels)
    assert resumed.data["forwards"] > 0
    area = tmp_path / "area.gpkg"
    box = shapely.box(*transform @ (10, 60), *transform @ (40, 20))
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32632").to_file(area)
    inside = geoseg.predict(scene, hcnet_file, out=tmp_path / "area", aoi=area, **OPTIONS)
    np.testing.assert_array_equal(labels_of(tmp_path / "area")[0], labels[20:60, 10:40])
    assert inside.data["cells"] < whole.data["cells"] == whole.data["plan"]["cells"] == 3 * 3
    assert whole.data["options"]["encode"] == "shared"


@pytest.mark.slow
def test_the_report_says_what_was_shared_and_other_cells_are_other_outputs(
    scene, hcnet_file, tmp_path
):
    out = tmp_path / "out"
    report = geoseg.predict(scene, hcnet_file, out=out, **OPTIONS).data
    assert report["options"]["encode"] == "shared"
    assert (report["cells"], report["plan"]["cells"]) == (9, 9)
    assert report["inputs"][0]["cells"] == 9
    for other in ({"cell": 96}, {"cell": None, "encode": "window"}):
        again = geoseg.predict(scene, hcnet_file, out=out, **{**OPTIONS, **other})
        assert "made from another source, model or options" in again.data["failures"][0]
    kept = geoseg.predict(scene, hcnet_file, out=out, **OPTIONS).data
    assert kept["inputs"][0]["status"] == "kept"


def test_what_cannot_be_shared_is_refused_once_before_anything_is_begun(
    scene, hcnet_file, tmp_path
):
    with pytest.raises(ConfigError, match=r"encode shared with scales or flip"):
        geoseg.predict(scene, hcnet_file, out=tmp_path / "out", flip=True, **OPTIONS)
    assert not (tmp_path / "out").exists()
