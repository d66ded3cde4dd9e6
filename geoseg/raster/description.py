"""What a raster file is, for people: size, place, layout, bands and their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg import geodesy
from geoseg.coordinate_systems import crs_name
from geoseg.raster.fills import find_fills
from geoseg.raster.gdal import open_dataset, reading_metadata
from geoseg.raster.nodata import number_text
from geoseg.raster.references import follow_references
from geoseg.raster.source import Source
from geoseg.raster.undeclared import PREDICT, Look
from geoseg.report import shorten

_LEAST_DISTINCT = 64
_PERCENTILES = (2, 50, 98)
_RPC = tuple(
    f"{axis}_{kind}"
    for axis in ("lat", "long", "height", "line", "samp")
    for kind in ("off", "scale")
)
"""What of a camera's coefficients says where it looked, in degrees, metres and pixels."""


def describe_raster(source: Source) -> dict[str, Any]:
    """The facts about a raster, as JSON holds them; values are those of a bounded sample.

    Raises:
        SourceError: the file cannot be read.
    """
    with open_dataset(source.path) as file, reading_metadata(source.path):
        layout, place = _layout(file), _place(file, source)
        bands = [_declared(file, band) for band in range(1, file.count + 1)]
    look = Look.at(source)
    sample = look.sample
    for band, values, extremes in zip(source.bands, sample.values, look.values, strict=True):
        bands[band - 1] |= _statistics(values, extremes)
    fills = find_fills(look.values) if _is_measured(look.values) else []
    return {
        "kind": "raster",
        "height": source.height,
        "width": source.width,
        **layout,
        **place,
        "dtype": source.dtype,
        "bands": list(source.bands),
        "band_names": list(source.band_names),
        "band_colors": [source.file_bands[band - 1].color for band in source.bands],
        "nodata": source.nodata,
        "masked_by": list(source.masked_by),
        "invalid_share": float(1 - sample.valid.mean()),
        "sampled_pixels": sample.valid.size,
        "undeclared": look.counts(fills) if fills else None,
        "band_facts": bands,
        "refers_to": follow_references(source.path),
        "warnings": [*source.warnings, *look.border_warning((0, 0), PREDICT)],
    }


def description_lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The same facts in words: a name and a value each, values with all digits."""
    yield "kind", f"{facts['kind']} ({facts['format']})"
    yield "size", f"{facts['height']} x {facts['width']} pixels (height x width)"
    yield from _place_lines(facts)
    rows, cols = facts["block_shape"]
    shape = "strips" if cols == facts["width"] else "tiles"
    stored = [f"{shape} of {rows} x {cols}", facts["compression"], facts["interleave"]]
    yield "blocks", ", ".join(text for text in stored if text)
    yield "overviews", ", ".join(f"1/{factor}" for factor in facts["overviews"]) or "none"
    names = shorten(facts["subdatasets"])
    yield "pages", f"{facts['pages']} ({names})" if names else "1"
    yield "nodata", "none" if facts["nodata"] is None else number_text(facts["nodata"])
    yield "masked by", ", ".join(facts["masked_by"]) or "none"
    total = facts["height"] * facts["width"]
    all_pixels = facts["sampled_pixels"] == total
    share = f"{facts['sampled_pixels'] / total:.2g} of all"
    yield "sample", "all pixels" if all_pixels else f"{facts['sampled_pixels']:,} pixels, {share}"
    yield "invalid", f"{100 * facts['invalid_share']:.3g} % of the sample"
    if facts["undeclared"]:
        yield "undeclared", f"{facts['undeclared']}, far from all others"
    yield "band names", ", ".join(facts["band_names"])
    yield "band colors", ", ".join(facts["band_colors"])
    for band in facts["band_facts"]:
        yield f"band {band['band']}", _band_line(band, read=band["band"] in facts["bands"])
    yield "refers to", shorten(facts["refers_to"]) or "none"


def _place_lines(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    extent, middle, rpc = facts["extent_m"], facts["centre"], facts["rpc"]
    sampling = facts["ground_sampling"]
    yield "extent", "unknown" if extent is None else f"{extent[0]:.6g} x {extent[1]:.6g} m"
    yield "ground sampling", "unknown" if sampling is None else f"{sampling:.6g} m"
    yield "crs", facts["crs"] or "none"
    if facts["bounds"]:
        yield "transform", ", ".join(map(number_text, facts["transform"]))
        yield "bounds", f"{', '.join(map(number_text, facts['bounds']))} (left, bottom, right, top)"
    else:
        yield "transform", "none"
    if middle:
        yield "centre", f"{middle[1]:.6f}, {middle[0]:.6f} (latitude, longitude)"
    if facts["control_points"]:
        crs = facts["control_points_crs"] or "no CRS"
        yield "control points", f"{facts['control_points']} ({crs})"
    if rpc:
        yield "rpc", f"around {rpc['lat_off']:.6g}, {rpc['long_off']:.6g} (latitude, longitude)"


def _band_line(band: dict[str, Any], *, read: bool) -> str:
    known = [band["description"], band["color"], band["dtype"]]
    parts = [" ".join(text for text in known if text)]
    if "minimum" in band:
        pixel = np.dtype(band["dtype"]).type
        parts.append(f"{pixel(band['minimum'])!s} to {pixel(band['maximum'])!s}")
        parts.append(
            f"2 % {band['percentile_2']:.6g}, median {band['median']:.6g}, "
            f"98 % {band['percentile_98']:.6g}"
        )
    elif read:
        parts.append("no valid pixel in the sample")
    else:
        parts.append("not read as imagery")
    if band["nodata"] is not None:
        parts.append(f"nodata {number_text(band['nodata'])}")
    if (band["scale"], band["offset"]) != (1.0, 0.0):
        parts.append(f"scale {band['scale']!r}, offset {band['offset']!r} (not applied)")
    if band["unit"]:
        parts.append(f"unit {band['unit']}")
    return "; ".join(parts)


def _layout(file: Any) -> dict[str, Any]:
    """How the file is stored."""
    structure = file.tags(ns="IMAGE_STRUCTURE")
    return {
        "format": file.driver,
        "block_shape": list(file.block_shapes[0]),
        "compression": structure.get("COMPRESSION"),
        "interleave": structure.get("INTERLEAVE"),
        "overviews": file.overviews(1),
        "pages": max(1, len(file.subdatasets)),
        "subdatasets": list(file.subdatasets),
    }


def _place(file: Any, source: Source) -> dict[str, Any]:
    """Where the pixels lie, and what else says so."""
    shape = source.height, source.width
    points, points_crs = file.gcps
    rpcs = file.rpcs
    return {
        "crs": None if source.crs is None else crs_name(source.crs),
        "transform": list(source.transform)[:6],
        "bounds": list(file.bounds) if source.georeferenced else None,
        "extent_m": geodesy.extent(source.transform, source.crs, *shape),
        "centre": geodesy.centre(source.transform, source.crs, *shape),
        "ground_sampling": source.ground_sampling,
        "control_points": len(points),
        "control_points_crs": crs_name(points_crs) if points and points_crs else None,
        "rpc": None if rpcs is None else {name: getattr(rpcs, name) for name in _RPC},
    }


def _declared(file: Any, band: int) -> dict[str, Any]:
    """What the file says about a band."""
    return {
        "band": band,
        "description": file.descriptions[band - 1],
        "color": file.colorinterp[band - 1].name,
        "dtype": file.dtypes[band - 1],
        "nodata": file.nodatavals[band - 1],
        "scale": file.scales[band - 1],
        "offset": file.offsets[band - 1],
        "unit": file.units[band - 1],
    }


def _is_measured(values: NDArray[Any]) -> bool:
    """Whether values can have others far from them: no bytes, and no few ids of classes."""
    return values.dtype != np.uint8 and len(np.unique(values)) >= _LEAST_DISTINCT


def _statistics(values: NDArray[Any], extremes: NDArray[Any]) -> dict[str, float]:
    """Of a band's valid values, and of those around its extremes too; none where there is none."""
    if not values.size:
        return {}
    low, middle, high = np.percentile(values, _PERCENTILES)
    return {
        "minimum": extremes.min().item(),
        "percentile_2": float(low),
        "median": float(middle),
        "percentile_98": float(high),
        "maximum": extremes.max().item(),
    }
