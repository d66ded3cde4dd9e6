"""How geoseg reads a file: a model's card, or a raster and what it needs for a model."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rasterio

from geoseg.errors import ConfigError
from geoseg.foreign import remote_allowed, with_allow_remote
from geoseg.given import given_path
from geoseg.models.external_file import SOURCES
from geoseg.models.file_content import is_of_torch
from geoseg.models.named import is_model_folder, model_file
from geoseg.raster import describe_grid, open_raster, opened_once
from geoseg.raster import stack as stack_files
from geoseg.raster.companions import Patterns, companions, given_patterns
from geoseg.raster.description import describe_raster, description_lines
from geoseg.remote import RemotePath, source_path
from geoseg.report import Report
from geoseg.value_ranges import as_lists, as_value_range, ranges_words

_MODELS = (".safetensors", *SOURCES)


@with_allow_remote
def run(
    file: str | os.PathLike[str],
    model: str | os.PathLike[str] | None = None,
    plot: str | os.PathLike[str] | None = None,
    stack: Patterns = (),
    card: str | os.PathLike[str] | None = None,
) -> Report:
    """Describe a model file, a raster, or a folder of rasters.

    Args:
        file: the raster, also on a server or in an archive; a folder of them; or a model: its file,
            its folder, or a name that `geoseg.load_model` takes.
        model: a model; then also the options that the raster needs for it.
        plot: a picture (``.png``) of where the rasters of a folder lie.
        stack: patterns of files with more bands of each raster, such as ``{stem}_dsm.tif``.
        card: a card file (YAML) of the model, where it is a network of another program.

    Raises:
        ModelError: a model file that is not a geoseg model.
        SourceError: the raster is missing or geoseg would refuse it; the message says why.
        ConfigError: it is a model and `model` is given; `plot` is given for another thing than a
            folder; or no raster of a folder can be read.
    """
    patterns = given_patterns("--stack", stack)
    file = given_path("file", file)
    of_model = is_model_folder(file)
    is_model = of_model or (not os.path.isdir(file) and Path(file).suffix in SOURCES)
    if card is not None and model is None and not is_model:
        raise ConfigError(f"--card {os.fspath(card)}: is of a model; give one with --model")
    if os.path.isdir(file) and not of_model:
        from geoseg.commands.info_folder import describe_folder

        chosen = None if model is None else os.fspath(model)
        drawn = None if plot is None else Path(plot)
        return describe_folder(Path(file), chosen, drawn, patterns, card)
    if plot is not None:
        raise ConfigError(f"--plot {os.fspath(plot)}: draws the sheets of a folder; give a folder")
    named = source_path(file)
    path = named if isinstance(named, RemotePath) else model_file(file)
    # Of weights that are no model, the model file's reader says what makes one of them.
    if path is not named and (path.suffix in _MODELS or is_of_torch(path)):
        if model is not None:
            raise ConfigError(f"{path} is a model itself; --model goes with a raster")
        if patterns:
            raise ConfigError(f"--stack {patterns[0]}: goes with rasters, and {path} is a model")
        facts = _model_facts(path, card)
        lines = [(name.replace("_", " "), _formatted(value)) for name, value in facts.items()]
        return _report(path, facts, lines)
    with opened_once(path):
        fit = None if model is None else _fit(path, os.fspath(model), patterns, card)
        facts = describe_raster(open_raster(path))
    lines = [*description_lines(facts)]
    if patterns:
        facts["stack"], more = _beside(path, patterns)
        facts["warnings"] = list(dict.fromkeys([*facts["warnings"], *more]))
        lines += [("beside", _beside_line(each)) for each in facts["stack"]]
    lines.append(("gdal", rasterio.__gdal_version__))
    facts["gdal"] = rasterio.__gdal_version__
    if fit is not None:
        facts["fit"] = fit
        facts["warnings"] = fit["warnings"] or facts["warnings"]
        lines += _fit_lines(path, fit)
    return _report(path, facts, lines)


def _report(path: Path, facts: dict[str, Any], lines: list[tuple[str, str]]) -> Report:
    width = max(len(name) for name, _ in lines)
    text = [f"{name:<{width}}  {value}" for name, value in lines]
    return Report("\n".join([str(path), *text]), {"path": str(path), **facts})


def _beside(path: Path, patterns: Sequence[str]) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """The files that hold more bands of a raster, as JSON holds them, and what is to be known."""
    whole = stack_files([path, *companions(path, patterns)])
    found = []
    for part, positions in whole.parts:
        if part.path != path:
            bands = [whole.bands[position] for position in positions]
            names = [whole.file_bands[band - 1].name for band in bands]
            grid = describe_grid(part)
            found.append(
                {"path": str(part.path), "bands": bands, "band_names": names, "grid": grid}
                | {"dtype": part.dtype, "nodata": part.nodata, "masked_by": list(part.masked_by)}
            )
    return found, whole.warnings


def _beside_line(each: dict[str, Any]) -> str:
    named = zip(each["bands"], each["band_names"], strict=True)
    bands = ", ".join(f"{number} {name}" for number, name in named)
    masked = ", ".join(each["masked_by"]) or "nothing"
    return f"bands {bands}: {each['path']}, {each['dtype']}, {each['grid']}, masked by {masked}"


def _fit(
    path: Path, model: str, patterns: Sequence[str], card_file: str | os.PathLike[str] | None
) -> dict[str, Any]:
    """The options that a raster needs for a model, as JSON holds them."""
    # A raster alone needs neither.
    from geoseg.inference.fitting import find_fit
    from geoseg.models import load_card

    card = load_card(model, card_file)
    fit = find_fit(path, card, patterns)
    given = "".join(f"--stack {shlex.quote(pattern)} " for pattern in patterns)
    command = f"geoseg predict {_typed(path)} --model {_typed(model)} --out OUT "
    if card_file is not None:
        command += f"--card {_typed(os.fspath(card_file))} "
    command += f"{given}{fit.arguments}"
    if remote_allowed():
        command += " --allow-remote"
    return {
        "model": model,
        "bands": list(card.bands),
        "value_range": as_lists(card.value_range),
        "ground_sampling": card.ground_sampling,
        "fits": not fit.refusal,
        "options": fit.options,
        "command": None if fit.refusal else command.rstrip(),
        "reasons": list(fit.reasons),
        "refusal": fit.refusal or None,
        "warnings": list(fit.warnings),
    }


def _typed(path: str | Path) -> str:
    """A path as one types it: quoted where needed, and never taken for an option."""
    return shlex.quote(f"./{path}" if str(path).startswith("-") else str(path))


def _fit_lines(path: Path, fit: dict[str, Any]) -> list[tuple[str, str]]:
    takes = f"{', '.join(fit['bands'])}; values {ranges_words(as_value_range(fit['value_range']))}"
    sampling = fit["ground_sampling"]
    takes += "" if sampling is None else f"; {_formatted(sampling)} m"
    lines = [("model", fit["model"]), ("model takes", takes)]
    lines += [("because", reason.removeprefix(f"{path}: ")) for reason in fit["reasons"]]
    if fit["refusal"]:
        return [*lines, ("refused", fit["refusal"].removeprefix(f"{path}: "))]
    return [*lines, ("command", fit["command"])]


def _model_facts(path: Path, card_file: str | os.PathLike[str] | None) -> dict[str, Any]:
    from geoseg.models import load_model  # imports torch, which a raster does not need
    from geoseg.models.parameter_count import count_parameters

    model = load_model(path, card_file)
    card, spec = model.card, model.card.spec
    parameters = count_parameters(model.net)
    return {
        "kind": "model",
        "system": spec.system,
        "preset": spec.preset,
        "encoder": spec.encoder,
        "output_stride": spec.output_stride,
        "options": dict(spec.options),
        **({} if parameters is None else {"parameters": parameters}),
        "classes": list(card.classes.names),
        "bands": list(card.bands),
        "value_range": as_lists(card.value_range),
        "mean": list(card.mean),
        "std": list(card.std),
        "ground_sampling": card.ground_sampling,
        "window": card.window,
        "overlap": card.overlap,
        "training": dict(card.training),
        "license": card.license,
        "sha256": model.digest,
    }


def _formatted(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        items = [f"[{_formatted(item)}]" if isinstance(item, list) else item for item in value]
        return ", ".join(map(_formatted, items)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_formatted(item)}" for name, item in value.items()) or "none"
    return "none" if value is None else str(value)
