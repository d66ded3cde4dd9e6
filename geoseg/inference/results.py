"""What ``geoseg.predict`` returns: the outputs of each input, opened when asked for."""

from __future__ import annotations

import base64
import html
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from geoseg import ogr
from geoseg.buckets import is_store_url
from geoseg.copies import local_copy
from geoseg.errors import ConfigError
from geoseg.places import any_path
from geoseg.report import Report

_SHOWN = 20
"""Inputs that a notebook shows."""
_PICTURES = 3
"""Previews that it shows."""


@dataclass(frozen=True, slots=True)
class InputResult:
    """One input of a run, and what was made of it."""

    entry: Mapping[str, Any]
    """Of the report."""

    @property
    def path(self) -> str:
        """The input."""
        return str(self.entry["path"])

    @property
    def status(self) -> str:
        """``done``, ``kept``, ``refused``, ``failed``, ``interrupted`` or ``not begun``."""
        return str(self.entry["status"])

    @property
    def outputs(self) -> dict[str, str]:
        """The path of each output by its kind: ``classes``, ``gpkg``, ``preview``, ..."""
        return {
            kind: path if isinstance(path, str) else path[0]
            for kind, path in self.entry.get("outputs", {}).items()
        }

    @property
    def areas(self) -> dict[str, float]:
        """Square metres of each class; empty without a coordinate system."""
        return dict(self.entry.get("areas_m2", {}))

    @property
    def classes(self) -> Any:
        """The class raster: an `xarray.DataArray` where rioxarray is installed, else numpy.

        ``(height, width)`` uint8: class ids, 254 uncertain, 255 no data.

        Raises:
            ConfigError: the input was not done.
        """
        return self._raster("classes", "")

    @property
    def confidence(self) -> Any:
        """The confidence, likewise: 255 times the probability of the class, 0 no data.

        Raises:
            ConfigError: it was not asked for.
        """
        return self._raster("confidence", "; predict with confidence=True")

    @property
    def polygons(self) -> Any:
        """The polygons, a `geopandas.GeoDataFrame`.

        Raises:
            ConfigError: none were asked for, or geopandas is not installed.
        """
        from geoseg.vector import FORMATS

        path = next((self.outputs[kind] for kind in FORMATS if kind in self.outputs), None)
        if path is None:
            raise ConfigError(f"{self.path}: has no polygons ({self.status}); predict with vectors")
        if importlib.util.find_spec("geopandas") is None:
            raise ConfigError(
                f"{path}: needs geopandas to be opened; pip install 'geoseg[notebook]'"
            )
        import geopandas

        with local_copy(any_path(path)) as file:
            if path.endswith(".parquet"):
                return geopandas.read_parquet(file)
            layer = ogr.list_layers(file)[0][0]  # the styles of a GeoPackage are a layer too
            return geopandas.read_file(file, layer=layer)

    def __repr__(self) -> str:
        """The input, what became of it, and the kinds of its outputs."""
        return f"<{self.path}: {self.status}, {', '.join(self.outputs) or 'no outputs'}>"

    def _raster(self, kind: str, advice: str) -> Any:
        path = self.outputs.get(kind)
        if path is None:
            raise ConfigError(f"{self.path}: has no {kind} ({self.status}){advice}")
        if importlib.util.find_spec("rioxarray") is not None:
            import rioxarray

            with local_copy(any_path(path)) as file:
                opened: Any = rioxarray.open_rasterio(file)
                found = opened.squeeze("band", drop=True)
                return found.load() if is_store_url(path) else found  # the copy goes now
        with local_copy(any_path(path)) as file, rasterio.open(file) as pixels:
            return pixels.read(1)


@dataclass(frozen=True, slots=True, repr=False)
class PredictReport(Report):
    """The outcome of a run of predict."""

    @property
    def inputs(self) -> list[InputResult]:
        """Every input, in the order in which they were found."""
        return [InputResult(entry) for entry in self.data.get("inputs", [])]

    @property
    def areas(self) -> dict[str, float]:
        """Square metres of each class in all inputs."""
        total: dict[str, float] = {}
        for each in self.inputs:
            for name, area in each.areas.items():
                total[name] = total.get(name, 0.0) + area
        return total

    def __repr__(self) -> str:
        """One line."""
        return f"<geoseg.predict: {self.text}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the line, the first previews, a table of the first inputs."""
        inputs = self.inputs
        pictures = [_picture(each.outputs.get("preview")) for each in inputs[:_PICTURES]]
        names = list(self.areas)
        head = "".join(f"<th>{html.escape(name)}, ha</th>" for name in names)
        rows = "".join(
            f"<tr><td>{html.escape(Path(each.path).name)}</td><td>{each.status}</td>"
            + "".join(f"<td>{each.areas.get(name, 0.0) / 1e4:,.2f}</td>" for name in names)
            + "</tr>"
            for each in inputs[:_SHOWN]
        )
        more = f"<p>and {len(inputs) - _SHOWN:,} more</p>" if len(inputs) > _SHOWN else ""
        failures = "".join(
            f"<li>{html.escape(line)}</li>" for line in self.data.get("failures", [])[:_SHOWN]
        )
        return (
            f"<p>{html.escape(self.text)}</p>{''.join(pictures)}"
            f"<table><tr><th>input</th><th></th>{head}</tr>{rows}</table>{more}"
            + (f"<ul>{failures}</ul>" if failures else "")
        )


def _picture(path: str | None) -> str:
    """A preview inside the page; nothing where there is none."""
    if path is None or not any_path(path).is_file():
        return ""
    data = base64.b64encode(any_path(path).read_bytes()).decode()
    return f'<img src="data:image/png;base64,{data}" style="max-width: 32%">'
