from xml.etree import ElementTree as ET

import pytest

from geoseg.classes import ClassScheme
from geoseg.raster import class_layer, confidence_layer, probability_layer
from geoseg.raster.style import raster_style

CLASSES = ClassScheme.from_names(['a "road" & <path>', "Dach"], [(255, 0, 16), (0, 200, 0)])


def test_a_class_raster_lists_its_classes_then_uncertain_and_no_data_last() -> None:
    entries = ET.fromstring(raster_style(class_layer(CLASSES))).iter("paletteEntry")
    listed = [[entry.get(key) for key in ("value", "label", "color", "alpha")] for entry in entries]
    assert listed == [
        ["0", 'a "road" & <path>', "#ff0010", "255"],
        ["1", "Dach", "#00c800", "255"],
        ["254", "uncertain", "#808080", "255"],
        ["255", "no data", "#000000", "0"],
    ]


@pytest.mark.parametrize(
    ("layer", "alpha"), [(confidence_layer(), "-1"), (probability_layer(CLASSES), "3")]
)
def test_probabilities_get_a_ramp_from_0_to_1_of_one_band_and_their_mask_as_opacity(
    layer, alpha
) -> None:
    (renderer,) = ET.fromstring(raster_style(layer)).iter("rasterrenderer")
    assert (renderer.get("band"), renderer.get("alphaBand")) == ("1", alpha)
    values = [float(item.get("value", "nan")) for item in renderer.iter("item")]
    assert values == [0.0, 0.25, 0.5, 0.75, 1.0]
