"""A folder of rasters as geoseg reads it: how many sheets, of which kinds, where they lie."""

from __future__ import annotations

import io
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform

from geoseg.coordinate_systems import crs_name
from geoseg.errors import ConfigError, OutputError
from geoseg.failures import per_input
from geoseg.files import write_bytes
from geoseg.prefetch import look_ahead
from geoseg.raster import GDAL_CACHE_BYTES, Source, find_sources, open_raster
from geoseg.raster.companions import companions, without_companions
from geoseg.raster.fingerprint import TAG, read_fingerprint
from geoseg.report import Report, counted, nothing_usable
from geoseg.unwritable import refuse_unwritable

_SHOWN = 8
"""Kinds, and what a model makes of them, that are printed; the JSON has all."""
_DRAWN = 2000
"""Sheets that are drawn in a picture at most."""
_PICTURE = "sheets of a folder"
"""In the picture's metadata: it may be replaced, and is no sheet of the folder that it lies in."""
_OFFSET = 0.1
"""Of a pixel: sheets whose pixels lie closer to one another's share a grid."""


def describe_folder(
    folder: Path,
    model: str | None,
    plot: Path | None,
    patterns: Sequence[str] = (),
    card: str | os.PathLike[str] | None = None,
) -> Report:
    """Describe the rasters in a folder, and those below it.

    Args:
        folder: is searched as ``geoseg predict`` does.
        model: a model; then also what ``geoseg predict`` would do with each raster.
        plot: a picture (``.png``) of where they lie, to be written.
        patterns: of files that hold more bands of each; these files are no sheets.
        card: a card file (YAML) of the model, where it is a network of another program.

    Returns:
        Sheets, pixels, bytes, kinds, coverage; exit code 1 where some cannot be read.

    Raises:
        ConfigError: none can be read, or `plot` is no name of a picture.
        OutputError: the picture cannot be written, or another file is in its place.
    """
    if plot is not None:
        _refuse_plot(plot)
    sources, beside, failures = _open_all(folder, patterns)
    kinds = Counter(map(_kind, sources))
    places = _places(sources)
    size = sum(source.path.stat().st_size for source in sources)
    pixels = sum(source.height * source.width for source in sources)
    sheets = counted(len(sources), "raster")
    lines = [
        (
            "sheets",
            f"{sheets}, {pixels / 1e6:,.1f} Mpx, {size / 1e6:,.1f} MB",
        ),
        *(("kind", f"{number:,} of {kind}") for kind, number in kinds.most_common(_SHOWN)),
        *(("place", _place_line(place)) for place in places),
    ]
    data: dict[str, Any] = {
        "path": str(folder),
        "sheets": len(sources),
        "pixels": pixels,
        "bytes": size,
        "kinds": dict(kinds.most_common()),
        "places": places,
        "beside": beside,
        "failures": failures,
    }
    if patterns:
        lines.append(("beside", f"{counted(len(beside), 'file')} with more bands of them"))
    if model is not None:
        fits = _fits(sources, model, patterns, card)
        data["model"] = {"model": model, "fits": fits}
        first = list(fits.items())[:_SHOWN]
        lines += [("model", f"{len(paths):,} {what}") for what, paths in first]
    if plot is not None:
        placed = [each for each in sources if each.georeferenced]
        step = max(1, -(-len(placed) // _DRAWN))
        write_bytes(plot, _picture(placed, step, len(sources)), option="--plot")
        data |= {"plot": str(plot), "plot_step": step}
        few = f": one of every {step} sheets is drawn, {_DRAWN:,} at most"
        lines.append(("plot", str(plot) + (few if step > 1 else "")))
    width = max(len(name) for name, _ in lines)
    text = "\n".join([str(folder), *(f"{name:<{width}}  {value}" for name, value in lines)])
    return Report(text, data, 1 if failures else 0)


def _refuse_plot(plot: Path) -> None:
    """Refuse a picture that cannot be written, before a folder of many rasters is read.

    Raises:
        ConfigError: it has another ending than a picture's.
        OutputError: its folder cannot be written, or another file is in its place.
    """
    if plot.suffix.lower() != ".png":
        raise ConfigError(f"--plot {plot}: the picture is a PNG; give a name that ends in .png")
    if plot.exists() and read_fingerprint(plot) != _PICTURE:
        raise OutputError(
            f"{plot} exists and was not written by geoseg info; move it away, or choose another "
            "--plot"
        )
    refuse_unwritable(plot, "--plot")


def _open_all(folder: Path, patterns: Sequence[str]) -> tuple[list[Source], list[str], list[str]]:
    """The rasters in a folder, those beside them, and why others cannot be read.

    Raises:
        ConfigError: none can.
    """
    found = find_sources([folder])
    images, _ = without_companions(found.sources, patterns)
    sources: list[Source] = []
    beside: dict[str, None] = {}
    failures = list(found.failures.values())
    for each in images:
        with per_input(each.path, failures.append):
            beside |= dict.fromkeys(map(str, companions(each.path, patterns)))
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        looks = look_ahead(open_raster, [each.path for each in images])
        for each, look in zip(images, looks, strict=True):
            with per_input(each.path, failures.append):
                sources.append(look.result())
    if not sources:
        raise nothing_usable(failures)
    return sources, list(beside), failures


def _kind(source: Source) -> str:
    """What sheets that need the same options have in common."""
    sampling = source.ground_sampling
    return ", ".join(
        [
            f"{counted(len(source.bands), 'band')} of {source.dtype}",
            _crs(source),
            "no ground sampling" if sampling is None else f"{sampling:.4g} m",
        ]
    )


def _crs(source: Source) -> str:
    return "no CRS" if source.crs is None else crs_name(source.crs)


def _outline(source: Source) -> shapely.Polygon:
    """The sheet in coordinates of its CRS."""
    pixels = shapely.box(0, 0, source.width, source.height)
    return shapely.transform(pixels, lambda xy: np.column_stack(source.transform @ xy.T))


def _places(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """For each CRS, how its sheets lie to one another."""
    groups = defaultdict(list)
    for source in sources:
        if source.georeferenced:
            groups[_crs(source)].append(source)
    places = []
    for name, members in sorted(groups.items(), key=lambda group: -len(group[1])):
        outlines = [_outline(each) for each in members]
        union = shapely.union_all(outlines)
        parts = shapely.get_parts(union)
        covered = sum(outline.area for outline in outlines)
        places.append(
            {
                "crs": name,
                "sheets": len(members),
                "one_grid": _on_one_grid(members),
                "bounds": list(union.bounds),
                "overlap": max(0.0, 1 - union.area / covered),
                "pieces": len(parts),
                "holes": sum(len(part.interiors) for part in parts),
            }
        )
    return places


def _on_one_grid(sources: Sequence[Source]) -> bool:
    """Whether all pixels lie on those of the first sheet, continued."""
    first = sources[0].transform
    for source in sources[1:]:
        here = ~first @ source.transform
        offsets = np.abs(np.array([here.c, here.f]) - np.round([here.c, here.f]))
        same_pixels = np.allclose([here.a, here.b, here.d, here.e], [1, 0, 0, 1], atol=1e-6)
        if not same_pixels or offsets.max() > _OFFSET:
            return False
    return True


def _place_line(place: dict[str, Any]) -> str:
    grid = "on one grid" if place["one_grid"] else "on several grids"
    return (
        f"{place['crs']}: {counted(place['sheets'], 'sheet')} {grid}, in "
        f"{counted(place['pieces'], 'piece')} with {counted(place['holes'], 'hole')}; "
        f"{100 * place['overlap']:.1f} % of their area lies on other sheets"
    )


def _fits(
    sources: Sequence[Source],
    model: str,
    patterns: Sequence[str],
    card_file: str | os.PathLike[str] | None,
) -> dict[str, list[str]]:
    """The paths of the sheets by what ``geoseg predict`` would do with them."""
    from geoseg.inference.fitting import find_fit
    from geoseg.models import load_card

    card = load_card(model, card_file)
    found = defaultdict(list)
    for source in sources:
        fit = find_fit(source.path, card, patterns)
        if fit.refusal:
            what = f"refused: {fit.refusal.removeprefix(f'{source.path}: ')}"
        else:
            what = f"with {fit.arguments}" if fit.options else "as they are"
        found[what].append(str(source.path))
    return dict(sorted(found.items(), key=lambda each: -len(each[1])))


def _picture(placed: Sequence[Source], step: int, sheets: int) -> bytes:
    """Where every `step`-th sheet lies, in the most frequent coordinate system, as a PNG."""
    from matplotlib.collections import PolyCollection  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

    name = Counter(map(_crs, placed)).most_common(1)[0][0] if placed else "none has a place"
    crs = next((each.crs for each in placed if _crs(each) == name), None)
    drawn = list(_outlines_in(name, crs, placed[::step]))
    colors = ["#4c72b0" if _crs(source) == name else "#dd8452" for source, _ in drawn]
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    outlines = PolyCollection(
        [outline for _, outline in drawn],
        facecolors=[f"{color}40" for color in colors],
        edgecolors=colors,
        linewidths=0.8,
    )
    axes.add_collection(outlines)
    axes.autoscale_view()
    others = sum(_crs(source) != name for source, _ in drawn)
    title = f"{len(drawn):,} of {counted(sheets, 'sheet')}, {name}"
    axes.set_title(f"{title}; orange: {others:,} in another one" if others else title)
    axes.ticklabel_format(useOffset=False, style="plain")
    axes.tick_params(labelsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={TAG: _PICTURE})
    return buffer.getvalue()


def _outlines_in(
    name: str, crs: Any, placed: Sequence[Source]
) -> Iterator[tuple[Source, NDArray[Any]]]:
    """Sheets and their corners in one coordinate system; without those that have no place there."""
    for source in placed:
        outline = shapely.get_coordinates(_outline(source))
        if _crs(source) != name:
            if source.crs is None or crs is None:
                continue
            outline = np.column_stack(transform(source.crs, crs, *outline.T))
        if np.isfinite(outline).all():
            yield source, outline
