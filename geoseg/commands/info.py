"""How geoseg reads a file: a model's card, or a raster's grid, bands and validity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import rasterio

from geoseg.foreign import with_allow_remote
from geoseg.geodesy import crs_name
from geoseg.raster import Source, open_raster
from geoseg.raster.references import follow_references
from geoseg.report import Report


@with_allow_remote
def run(file: str | os.PathLike[str]) -> Report:
    """Describe a model file or a raster.

    Raises:
        ModelError: a ``.safetensors`` file that is not a geoseg model.
        SourceError: the raster is missing or geoseg would refuse it; the message says why.
    """
    path = Path(file)
    is_model = path.suffix == ".safetensors"
    facts = _model_facts(path) if is_model else _raster_facts(open_raster(path))
    width = max(len(name) for name in facts)
    lines = [
        f"{name.replace('_', ' '):<{width}}  {_formatted(value)}" for name, value in facts.items()
    ]
    return Report("\n".join([str(path), *lines]), {"path": str(path), **facts})


def _model_facts(path: Path) -> dict[str, Any]:
    from geoseg.models import load_model  # imports torch, which a raster does not need

    model = load_model(path)
    card, spec = model.card, model.card.spec
    return {
        "kind": "model",
        "system": spec.system,
        "preset": spec.preset,
        "encoder": spec.encoder,
        "output_stride": spec.output_stride,
        "options": dict(spec.options),
        "parameters": sum(parameter.numel() for parameter in model.net.parameters()),
        "classes": list(card.classes.names),
        "bands": list(card.bands),
        "value_range": list(card.value_range),
        "mean": list(card.mean),
        "std": list(card.std),
        "ground_sampling": card.ground_sampling,
        "window": card.window,
        "overlap": card.overlap,
        "training": dict(card.training),
        "license": card.license,
        "sha256": model.digest,
    }


def _raster_facts(source: Source) -> dict[str, Any]:
    return {
        "kind": "raster",
        "height": source.height,
        "width": source.width,
        "bands": list(source.bands),
        "band_names": list(source.band_names),
        "band_colors": [source.file_bands[band - 1].color for band in source.bands],
        "dtype": source.dtype,
        "nodata": source.nodata,
        "masked_by": _masks(source),
        "crs": None if source.crs is None else crs_name(source.crs),
        "transform": list(source.transform)[:6],
        "ground_sampling": source.ground_sampling,
        "refers_to": follow_references(source.path),
        "warnings": list(source.warnings),
        "gdal": rasterio.__gdal_version__,
    }


def _masks(source: Source) -> list[str]:
    """What makes pixels invalid, besides values that are not finite."""
    validity = source.validity
    names = [] if validity.nodata_values is None else ["nodata"]
    names += [] if validity.alpha is None else [f"alpha (band {validity.alpha})"]
    return names + (["mask"] if validity.mask_bands else [])


def _formatted(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        items = [f"[{_formatted(item)}]" if isinstance(item, list) else item for item in value]
        return ", ".join(map(_formatted, items)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_formatted(item)}" for name, item in value.items()) or "none"
    return "none" if value is None else str(value)
