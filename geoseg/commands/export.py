"""A model written as other programs take it, once it is shown to give the same there."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoseg.errors import ConfigError
from geoseg.export.readers import ANY, READERS, refuse_unreadable
from geoseg.failures import begun
from geoseg.given import given_path, given_paths, refuse_existing
from geoseg.models import Card, load_card
from geoseg.models.hub import HUB_FILES
from geoseg.models.named import model_file
from geoseg.report import Report

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoseg.export.agreement import Agreement

    Tiles = Sequence[NDArray[np.float32]]

SUFFIXES = {"onnx": ".onnx", "torch": ".pt2", "mlm": ".json", "hf": ""}
"""What each form's path ends in; a folder has none."""
PRECISIONS = ("fp32", "fp16", "int8")
_NEEDED = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "torch": (), "mlm": (), "hf": ()}
_FEW = 0.99
"""Labels of smaller numbers that agree, below which a warning says it."""
_LARGEST_TILE = 512
"""Side of the generated tiles, in pixels."""


def run(
    model: str | os.PathLike[str],
    to: str,
    out: str | os.PathLike[str],
    precision: str = "fp32",
    tiles: Sequence[str | os.PathLike[str]] = (),
    *,
    reader: str = ANY,
    overwrite: bool = False,
) -> Report:
    """Export a model.

    Args:
        model: a model file, the name of a model that comes with geoseg, or ``hf://USER/NAME``.
        to: ``onnx``, ``torch`` (a `torch.export` program), ``mlm`` (a STAC item that describes the
            model) or ``hf`` (a folder for a model hub).
        out: the file, or the folder, to write.
        precision: of the numbers inside an ONNX file: ``fp32``, ``fp16`` or ``int8``.
        tiles: rasters from which the tiles are taken that both are run on; none: generated ones.
        reader: of an ONNX file: ``any``, or ``geodeep``, which standardises no image and knows one
            size of tiles, the card's window.
        overwrite: replace what exists.

    Returns:
        What was written and how it agrees with the model.

    Raises:
        ConfigError: an option is wrong, or a package is missing that the form needs.
        ModelError: the model is wrong, cannot be exported, or would give something else.
        SourceError: a raster of `tiles` cannot be used.
        OutputError: `out` exists, or cannot be written.
    """
    path = Path(given_path("out", out))
    _check_options(to, precision, path, tiles)
    if reader not in READERS:
        raise ConfigError(f"--reader {reader}: use {', '.join(READERS)}")
    if reader != ANY and to != "onnx":
        raise ConfigError(f"--reader {reader} is for --to onnx; leave it out for --to {to}")
    for each in [path] if to != "hf" else [path / name for name in HUB_FILES]:
        refuse_existing(each, overwrite=overwrite)
    file = model_file(model)
    refuse_unreadable(load_card(file), reader)  # before torch is imported
    from geoseg.models import load_model

    loaded = load_model(file)
    compared = to in ("onnx", "torch")
    chosen = _tiles(tiles, loaded.card, loaded.net.multiple, reader) if compared else []
    with begun():
        if to == "mlm":
            from geoseg.export.mlm import write_item

            write_item(loaded, path)
            return _report(path, to)
        if to == "hf":
            from geoseg.export.hub import write_folder

            write_folder(loaded, path)
            return _report(path, to)
        if to == "torch":
            from geoseg.export.torch_program import write_program

            return _report(path, to, write_program(loaded, path, chosen))
        from geoseg.export.onnx_file import write_onnx

        agreement = write_onnx(loaded, path, precision, chosen, reader)
        warnings = _warnings(loaded.card, reader, precision, agreement, given=bool(tiles))
        return _report(path, to, agreement, precision, warnings)


def _check_options(
    to: str, precision: str, path: Path, tiles: Sequence[str | os.PathLike[str]]
) -> None:
    """Refuse what makes no sense.

    Raises:
        ConfigError: it is the case.
    """
    if to not in SUFFIXES:
        raise ConfigError(f"--to {to}: use {', '.join(SUFFIXES)}")
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision {precision}: use {', '.join(PRECISIONS)}")
    if precision != "fp32" and to != "onnx":
        raise ConfigError(f"--precision {precision} is for --to onnx; leave it out for --to {to}")
    if tiles and to not in ("onnx", "torch"):
        raise ConfigError(f"--tiles is for --to onnx and torch; leave it out for --to {to}")
    if SUFFIXES[to] and path.suffix != SUFFIXES[to]:
        raise ConfigError(f"--out {path}: the file of --to {to} ends in {SUFFIXES[to]}")
    missing = [name for name in _NEEDED[to] if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"--to {to} needs {', '.join(missing)}, which is not installed; "
            "pip install 'geoseg[export]'"
        )


def _warnings(
    card: Card, reader: str, precision: str, agreement: Agreement, *, given: bool
) -> list[str]:
    """What its reader will take otherwise than meant, and what smaller numbers lose."""
    lines = []
    if reader != ANY and card.ground_sampling is None:
        lines += [
            "the card says no ground sampling, so GeoDeep takes 0.1 m a pixel and reduces finer"
        ]
    if agreement.labels < _FEW:
        finer = "--precision fp16" if precision == "int8" else "--precision fp32"
        tiles = "" if given else "--tiles of your own rasters, from which they are measured, or "
        lines += [
            f"{precision} changes {100 * (1 - agreement.labels):.1f} % of the labels; give "
            f"{tiles}{finer}"
        ]
    return lines


def _tiles(
    paths: Sequence[str | os.PathLike[str]], card: Card, multiple: int, reader: str
) -> Tiles:
    from geoseg.export.agreement import generated_tiles

    if paths:
        from geoseg.export.tiles import read_tiles

        read = list(read_tiles([Path(path) for path in given_paths("tiles", paths)], card))
        if reader == ANY or any(tile.shape[2:] == (card.window,) * 2 for tile in read):
            return read
        raise ConfigError(
            f"--tiles: no raster is as large as the model's window, {card.window} px, which is the "
            "size of GeoDeep's tiles; give a larger one, or leave out --tiles"
        )
    if reader != ANY:
        return generated_tiles(card, (card.window,))
    window = min(card.window, _LARGEST_TILE)
    # One that fits the network's multiple or not, a small one, and one of another size.
    return generated_tiles(card, (window, window // 2 + 5, 2 * multiple, window // 3 + 1))


def _report(
    path: Path,
    to: str,
    agreement: Agreement | None = None,
    precision: str = "fp32",
    warnings: Sequence[str] = (),
) -> Report:
    data: dict[str, Any] = {"path": str(path), "to": to, "precision": precision}
    data["warnings"] = list(warnings)
    line = f"{path}: written"
    if agreement is not None:
        data["agreement"] = agreement.to_json()
        line += (
            f"; {100 * agreement.labels:.3f} % of the labels of {agreement.pixels} pixels as the "
            f"model gives them, probabilities within {agreement.difference:.1g}"
        )
    return Report(line, data)
