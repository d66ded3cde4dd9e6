"""The map's server: a page, tiles and polygons, for this machine alone.

It answers a few kinds of addresses, none of which is the name of a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

import rasterio
from rasterio.errors import RasterioError

from geoseg.classes import UNCERTAIN
from geoseg.coordinate_systems import crs_name
from geoseg.errors import ConfigError, GeosegError
from geoseg.raster import GDAL_CACHE_BYTES, every_class, parse_crs, read_class_names
from geoseg.raster.gdal import open_dataset
from geoseg.styles import RAMP, hex_of
from geoseg.viewing.placed import NOWHERE, Placed, Pyramid
from geoseg.viewing.polygons import PolygonFile, polygons_in
from geoseg.viewing.results import Results
from geoseg.viewing.tiles import ClassLayer, ConfidenceLayer, ImageryLayer, RasterLayer, png_of

_HOST = "127.0.0.1"
_TILE = re.compile(r"/tile/(classes|confidence|imagery)/(\d{1,2})/(\d{1,9})/(\d{1,9})\.png")
_PAGE_ONLY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:"
"""The page may load nothing from elsewhere."""
_KINDS: dict[str, type[RasterLayer]] = {
    "imagery": ImageryLayer,
    "classes": ClassLayer,
    "confidence": ConfidenceLayer,
}
"""From below to above."""
_OPACITY = {"imagery": 1.0, "classes": 0.6, "confidence": 0.8}


class MapServer(ThreadingHTTPServer):
    """A map of a run, on a port of this machine.

    Args:
        results: what it shows.
        port: 0: any that is free.

    Raises:
        ConfigError: the port is taken, or may not be used.
        SourceError: a class raster cannot be opened.
        VectorError: polygons cannot be.
    """

    daemon_threads = True
    allow_reuse_address = False

    def __init__(self, results: Results, port: int = 0) -> None:
        self.lines = list(results.lines)
        named = {kind: getattr(results, kind) for kind in _KINDS}
        crs = None if results.crs is None else parse_crs(results.crs)
        rasters = {kind: [Placed.at(path, crs) for path in paths] for kind, paths in named.items()}
        first = rasters["classes"][0]
        placed = {kind: self._placed(each, first) for kind, each in rasters.items()}
        self.pyramid = Pyramid.over(first, [bounds for _, bounds in placed["classes"]])
        self.layers = {
            kind: _KINDS[kind](*zip(*found, strict=True)) for kind, found in placed.items() if found
        }
        self.polygons = list(filter(None, map(PolygonFile.at, results.polygons)))
        self.legend = _legend(first, uncertain=results.uncertain)
        try:
            super().__init__((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"port {port} cannot be used ({error}); give another with --port, or leave it out"
            ) from error

    def _placed(self, rasters: list[Placed], first: Placed) -> list[tuple[Placed, Any]]:
        """Those that lie on the map, and where."""
        found = [(raster, raster.bounds(first.crs)) for raster in rasters]
        self.lines += [
            f"{raster.path}: is not shown; its place cannot be told in the CRS of {first.path}"
            for raster, bounds in found
            if bounds is None
        ]
        return [(raster, bounds) for raster, bounds in found if bounds is not None]

    @property
    def url(self) -> str:
        """The map's address."""
        return f"http://{_HOST}:{self.server_port}/"

    def describe(self) -> dict[str, Any]:
        """What the page needs to know, as JSON holds it."""
        crs = self.pyramid.crs
        return {
            "pyramid": self.pyramid.to_json(),
            "crs": "pixels" if crs == NOWHERE else crs_name(crs),
            "layers": [{"kind": kind, "opacity": _OPACITY[kind]} for kind in self.layers],
            "polygons": bool(self.polygons),
            "legend": self.legend,
            "ramp": list(RAMP),
            "lines": self.lines,
        }


def _legend(first: Placed, *, uncertain: bool) -> list[dict[str, str]]:
    """Names and colours of the classes."""
    scheme = every_class(first.path)
    names = read_class_names(first.path) or scheme.names
    legend = [
        {"name": name, "color": hex_of(color)}
        for name, color in zip(names, scheme.colors, strict=False)
    ]
    if uncertain:
        with open_dataset(first.path) as file:
            color = file.colormap(1)[UNCERTAIN]
        legend.append({"name": "uncertain", "color": hex_of(color[:3])})
    return legend


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: MapServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the page, or a part of the map."""
        hosts = {f"{name}:{self.server.server_port}" for name in (_HOST, "localhost")}
        if self.headers.get("Host") not in hosts:  # a page from elsewhere, by a name of its own
            self._say(HTTPStatus.FORBIDDEN, "this map is for this machine alone")
            return
        asked = urlsplit(self.path)
        answer = self._answer_to(asked.path, parse_qs(asked.query))
        if answer is None:
            self._say(HTTPStatus.NOT_FOUND, "nothing here")
            return
        try:
            with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
                kind, content = answer()
        except (GeosegError, RasterioError, OSError) as error:
            self._say(HTTPStatus.INTERNAL_SERVER_ERROR, " ".join(str(error).split()))
            return
        self._send(HTTPStatus.OK, kind, content)

    def _answer_to(
        self, path: str, query: Mapping[str, list[str]]
    ) -> Callable[[], tuple[str, bytes]] | None:
        """What makes the answer; None where there is none."""
        if path == "/":
            return lambda: ("text/html", (files("geoseg.viewing") / "page.html").read_bytes())
        if path == "/map.json":
            return lambda: _json(self.server.describe())
        if path == "/polygons":
            return self._polygons(query)
        found = _TILE.fullmatch(path)
        if found is None or found[1] not in self.server.layers:
            return None
        level, col, row = (int(found[number]) for number in (2, 3, 4))
        pyramid = self.server.pyramid
        if level > pyramid.last:
            return None
        cols, rows = pyramid.tiles(level)
        if col >= cols or row >= rows:
            return None
        return partial(self._tile, found[1], level, col, row)

    def _tile(self, kind: str, level: int, col: int, row: int) -> tuple[str, bytes]:
        picture = self.server.layers[kind].draw(self.server.pyramid, level, col, row)
        return "image/png", png_of(picture)

    def _polygons(self, query: Mapping[str, list[str]]) -> Callable[[], tuple[str, bytes]] | None:
        try:
            left, bottom, right, top = map(float, query["bbox"][0].split(","))
            tolerance = float(query.get("tolerance", ["0"])[0])
        except (KeyError, ValueError):
            return None
        shown = (left, bottom, right, top)
        server = self.server
        return lambda: _json(polygons_in(server.polygons, server.pyramid.crs, shown, tolerance))

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, "text/plain", text.encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind if kind.startswith("image") else f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", _PAGE_ONLY),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-cache"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        """Answer until the browser closes the connection."""
        try:
            super().handle()
        except ConnectionError:  # it no longer wants what it has asked for
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def _json(document: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(document).encode()
