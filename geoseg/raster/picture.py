"""Panels side by side, each under its title, and a legend below them, as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Panel = tuple[str, NDArray[np.uint8]]
"""Title and ``(height, width, 3)`` pixels; all panels of a picture have one size."""
Entry = tuple[str, tuple[int, int, int]]
"""Of a legend: name and colour."""

GAP = 10
"""Pixels between panels, and at the picture's left and right side."""
_LINE, _ENTRY = 24, 170
"""Pixels: a line of text, the least width of an entry of the legend."""
_SWATCH_WIDTH, _SWATCH_HEIGHT = 25, 9
_AROUND = 8
"""Pixels between a swatch and its name, and between that and the next entry."""
_TITLE_SIZE, _NAME_SIZE = 14, 13
"""Of letters, in pixels."""
_COMPRESSION = {"compress_level": 1, "compress_type": 3}
"""Of a PNG: runs alone (`Z_RLE`). Imagery hardly gets smaller by more, which takes longer."""
_PAPER, _INK, _FRAME = (255, 255, 255), (0, 0, 0), (102, 102, 102)


def draw_picture(panels: Sequence[Panel], legend: Sequence[Entry]) -> Image:
    """The picture; a pixel of a panel is one of its pixels.

    A title that is wider than its panel ends in an ellipsis. Names are written whole: the wider
    they are, the fewer stand in a row.
    """
    from PIL import Image, ImageDraw

    height, width = panels[0][1].shape[:2]
    font = _font(_NAME_SIZE)
    names = [_one_line(name) for name, _ in legend]
    longest = max((font.getlength(name) for name in names), default=0.0)
    entry = max(_ENTRY, int(longest) + _SWATCH_WIDTH + 3 * _AROUND)
    across = max(len(panels) * (width + GAP) + GAP, 2 * _ENTRY, entry)
    columns = max(1, min(len(legend), across // entry))
    rows = -(-len(legend) // columns)
    picture = Image.new("RGB", (across, _LINE + height + _LINE * (rows + 1)), _PAPER)
    draw = ImageDraw.Draw(picture)
    for index, (title, pixels) in enumerate(panels):
        left = GAP + index * (width + GAP)
        picture.paste(Image.fromarray(pixels), (left, _LINE))
        shown = _fitting(_one_line(title), width + GAP, _font(_TITLE_SIZE))
        place = left + width / 2, _LINE / 2
        draw.text(place, shown, _INK, _font(_TITLE_SIZE), anchor="mm")
    first = (across - columns * entry) // 2 + _AROUND
    for number, (name, (_, color)) in enumerate(zip(names, legend, strict=True)):
        row, column = divmod(number, columns)
        x, y = first + column * entry, _LINE + height + _LINE * (row + 1)
        box = (x, y - _SWATCH_HEIGHT // 2, x + _SWATCH_WIDTH, y + _SWATCH_HEIGHT // 2)
        draw.rectangle(box, color, _FRAME)
        draw.text((x + _SWATCH_WIDTH + _AROUND, y), name, _INK, font, anchor="lm")
    return picture


def write_png(picture: Image, path: Path, facts: Mapping[str, str]) -> None:
    """Write a picture, and texts by key into its metadata."""
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    for key, text in facts.items():
        texts.add_text(key, text)
    picture.save(path, format="png", pnginfo=texts, **_COMPRESSION)


def _one_line(text: str) -> str:
    """The text on one line, with marks for bytes that are no text, as names of files may have."""
    return " ".join(text.encode(errors="replace").decode().split())


def _fitting(text: str, width: float, font: FreeTypeFont) -> str:
    """The text, or as much of it as fits, and an ellipsis."""
    if font.getlength(text) <= width:
        return text
    ends = range(len(text), 0, -1)
    return next((cut for end in ends if font.getlength(cut := f"{text[:end]}…") <= width), "…")


def _font(size: int) -> FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has the letters of most alphabets."""
    from PIL import ImageFont

    return ImageFont.truetype(str(_font_file()), size)  # older versions of Pillow take no Path


@cache
def _font_file() -> Path:
    name = Path("fonts", "ttf", "DejaVuSans.ttf")
    # Without an import, which takes longer than to draw some pictures.
    package = find_spec("matplotlib")
    for folder in (package and package.submodule_search_locations) or ():
        if (place := Path(folder, "mpl-data", name)).exists():
            return place
    import matplotlib as mpl  # whose distributors may keep its data elsewhere

    return Path(mpl.get_data_path(), name)
