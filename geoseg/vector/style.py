"""How QGIS and GeoServer show polygons: filled with the colour of their class, named in the legend.

Classes are told apart by their names, so that files with other classes never show wrong ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from geoseg.classes import ClassScheme, Color
from geoseg.styles import hex_of, qgis_style
from geoseg.vector.layer_copies import connect

_OPACITY = 0.6
"""Of the filling: imagery below stays visible."""
_OUTLINE = (70, 70, 70)
_OUTLINE_WIDTH = 0.1
"""Millimetres on paper or screen."""
_LABELS_FROM = 1500
"""Names are written into polygons from this scale on, where they fit."""

# QGIS makes this table where it saves a style in a GeoPackage, and reads the style by default
# from it.
_TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
_CONTENTS = """INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description,
last_change, srs_id) SELECT 'layer_styles', 'attributes', 'layer_styles', '', last_change, 0
FROM gpkg_contents WHERE table_name = ?"""
_ROW = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name,
f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner, update_time)
SELECT '', '', contents.table_name, column_name, ?, ?, ?, 1, ?, '', last_change
FROM gpkg_contents AS contents JOIN gpkg_geometry_columns USING (table_name)
WHERE contents.table_name = ?"""


def qml_of(classes: ClassScheme, shown: Sequence[int]) -> str:
    """A QGIS style of polygons.

    Args:
        classes: names and colours.
        shown: the ids of those in the legend, in its order.
    """
    limit = f'scaleVisibility="1" scaleMin="1" scaleMax="{_LABELS_FROM}"'
    lines = [
        '<renderer-v2 type="categorizedSymbol" attr="class" symbollevels="0" forceraster="0" '
        'enableorderby="0">',
        "<categories>",
        *(
            f'<category symbol="{index}" value={name} label={name} render="true" type="string"/>'
            for index in shown
            for name in [quoteattr(classes.names[index])]
        ),
        "</categories>",
        "<symbols>",
        *(line for index in shown for line in _qgis_symbol(index, classes.colors[index])),
        "</symbols>",
        "</renderer-v2>",
        '<labeling type="simple"><settings calloutType="simple">',
        '<text-style fieldName="class" isExpression="0" fontSize="8" fontSizeUnit="Point" '
        'textColor="0,0,0,255" textOpacity="1" multilineHeight="1">',
        '<text-buffer bufferDraw="1" bufferSize="0.8" bufferSizeUnits="MM" '
        'bufferColor="255,255,255,255" bufferOpacity="0.8"/></text-style>',
        '<placement placement="1" fitInPolygonOnly="1" polygonPlacementFlags="2"/>',
        f'<rendering drawLabels="1" {limit} fontMinPixelSize="3" obstacle="1"/>',
        "</settings></labeling>",
    ]
    return qgis_style(lines, {"styleCategories": "Symbology|Labeling", "labelsEnabled": "1"})


def polygon_style(classes: ClassScheme) -> str:
    """A QGIS style of polygons with all classes in the legend."""
    return qml_of(classes, range(len(classes)))


def _qgis_symbol(index: int, color: Color) -> Iterator[str]:
    options = {
        "color": _qgis_color(color, round(255 * _OPACITY)),
        "style": "solid",
        "outline_color": _qgis_color(_OUTLINE, 255),
        "outline_style": "solid",
        "outline_width": str(_OUTLINE_WIDTH),
        "outline_width_unit": "MM",
        "joinstyle": "bevel",
    }
    yield f'<symbol name="{index}" type="fill" alpha="1" clip_to_extent="1" force_rhr="0">'
    yield '<layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">'
    for name, value in options.items():
        yield f'<Option name="{name}" type="QString" value="{value}"/>'
    yield "</Option></layer></symbol>"


def _qgis_color(color: Color, opacity: int) -> str:
    return ",".join(map(str, (*color, opacity)))


def sld_of(name: str, classes: ClassScheme, shown: Sequence[int]) -> str:
    """A style for GeoServer and others: OGC's Styled Layer Descriptor 1.0.

    Args:
        name: of the layer.
        classes: names and colours.
        shown: the ids of those in the legend, in its order.
    """
    width = f'<CssParameter name="stroke-width">{_OUTLINE_WIDTH / 0.28:.2f}</CssParameter>'
    outline = (
        f'<Stroke><CssParameter name="stroke">{hex_of(_OUTLINE)}</CssParameter>{width}</Stroke>'
    )
    rules = (
        f"<Rule><Name>{escape(class_name)}</Name><Title>{escape(class_name)}</Title>"
        "<ogc:Filter><ogc:PropertyIsEqualTo><ogc:PropertyName>class</ogc:PropertyName>"
        f"<ogc:Literal>{escape(class_name)}</ogc:Literal></ogc:PropertyIsEqualTo></ogc:Filter>"
        "<PolygonSymbolizer><Fill>"
        f'<CssParameter name="fill">{hex_of(classes.colors[index])}</CssParameter>'
        f'<CssParameter name="fill-opacity">{_OPACITY}</CssParameter></Fill>{outline}'
        "</PolygonSymbolizer></Rule>"
        for index in shown
        for class_name in [classes.names[index]]
    )
    return "\n".join(
        [
            '<StyledLayerDescriptor version="1.0.0" xmlns="http://www.opengis.net/sld" '
            'xmlns:ogc="http://www.opengis.net/ogc">',
            f"<NamedLayer><Name>{escape(name)}</Name><UserStyle><Name>classes</Name>",
            "<FeatureTypeStyle>",
            *rules,
            "</FeatureTypeStyle>",
            "</UserStyle></NamedLayer></StyledLayerDescriptor>",
            "",
        ]
    )


def add_styles(path: Path, styles: Iterable[tuple[str, str, str]]) -> None:
    """Put styles into a GeoPackage, where QGIS finds them.

    Args:
        path: of the file, which is only being built; nobody else has it open.
        styles: of some layers: its name, QML and SLD.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    described = "colours of the classes"
    with closing(connect(path)) as file:
        file.execute("BEGIN")
        file.execute(_TABLE)
        for layer, qml, sld in styles:
            file.execute(_CONTENTS, (layer,))
            file.execute(_ROW, ("classes", qml, sld, described, layer))
        file.execute("COMMIT")
