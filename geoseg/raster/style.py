"""How QGIS shows an output raster: its classes by name, or probabilities by one ramp of colours."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from xml.sax.saxutils import quoteattr

from geoseg.raster.layers import Layer
from geoseg.raster.preview import shown_bands, shown_range
from geoseg.raster.source import Source
from geoseg.styles import RAMP, hex_of, qgis_style


def raster_style(layer: Layer) -> str:
    """A QGIS style of a class raster, of confidence, or of the first of several probabilities.

    The legend has the classes in their order, then what 254 and 255 mean.
    """
    lines = _probability(layer) if layer.classes is None else _classes(layer)
    pipe = chain(["<pipe>"], lines, ["</pipe>"])
    return qgis_style(pipe, {"styleCategories": "Symbology"})


def imagery_style(source: Source) -> str:
    """A QGIS style of imagery, as previews show it.

    Raises:
        SourceError: the imagery cannot be read.
    """
    low, high = shown_range(source)
    colors = list(zip(("red", "green", "blue"), shown_bands(source), strict=True))
    bands = " ".join(f'{color}Band="{source.bands[band]}"' for color, band in colors)
    lines = [f'<rasterrenderer type="multibandcolor" {bands} opacity="1" alphaBand="-1">']
    for color, _ in colors:
        lines += [
            f"<{color}ContrastEnhancement><minValue>{low!r}</minValue><maxValue>{high!r}</maxValue>"
            f"<algorithm>StretchToMinimumMaximum</algorithm></{color}ContrastEnhancement>"
        ]
    pipe = ["<pipe>", *lines, "</rasterrenderer>", "</pipe>"]
    return qgis_style(pipe, {"styleCategories": "Symbology"})


def _classes(layer: Layer) -> Iterator[str]:
    yield f"<rasterrenderer {_renderer('paletted')}>"
    yield "<colorPalette>"
    for value, (name, color, opacity) in layer.meanings.items():
        yield (
            f'<paletteEntry value="{value}" color="{hex_of(color)}" '
            f'alpha="{opacity}" label={quoteattr(name)}/>'
        )
    yield "</colorPalette>"
    yield "</rasterrenderer>"


def _probability(layer: Layer) -> Iterator[str]:
    """QGIS applies the scale of the file, so values are 0..1 here; a mask is its last band."""
    shown = 'classificationMin="0" classificationMax="1"'
    alpha = len(layer.bands) + 1 if layer.nodata is None else -1
    yield f"<rasterrenderer {_renderer('singlebandpseudocolor', alpha)} {shown}>"
    yield "<rastershader>"
    kind = 'colorRampType="INTERPOLATED" classificationMode="1" clip="0"'
    yield f'<colorrampshader {kind} minimumValue="0" maximumValue="1">'
    for step, color in enumerate(RAMP):
        share = step / (len(RAMP) - 1)
        yield f'<item value="{share}" color="{color}" alpha="255" label="{share:.0%}"/>'
    yield "</colorrampshader>"
    yield "</rastershader>"
    yield "</rasterrenderer>"


def _renderer(kind: str, alpha: int = -1) -> str:
    return f'type="{kind}" band="1" opacity="1" alphaBand="{alpha}" nodataColor=""'
