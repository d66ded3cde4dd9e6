"""Images and their labels found by a shared key: paths only, no rasters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from geoseg.errors import ConfigError

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".png", ".jpg", ".jpeg"})
"""What counts as a raster when a whole folder is named."""

Key = tuple[str, ...]


def pair_files(images: str, labels: str) -> list[tuple[Path, Path]]:
    """Each image with its labels, sorted by image.

    Both are a file, a folder (paired by file name without suffix), or a pattern. A pattern's ``*`` stands for
    anything but a slash and ``**`` for any folders; what the stars of the two patterns stand for is the key, so
    ``img/*_RGB.tif`` and ``gt/*_label.tif`` pair ``img/2_10_RGB.tif`` with ``gt/2_10_label.tif``. Files are never
    paired by their order.

    Raises:
        ConfigError: nothing is found, files stay without a partner, or the patterns do not fit together.
    """
    image_files, label_files = files_by_key(images), files_by_key(labels)
    for pattern, files in ((images, image_files), (labels, label_files)):
        if not files:
            raise ConfigError(
                f"{pattern}: no such files; give a file, a folder or a pattern such as DIR/*_image.tif"
            )
    if _stars(images) != _stars(labels):
        raise ConfigError(
            f"images {images!r} and labels {labels!r} do not have the same number of stars; "
            "each star of one stands for the same text in the other"
        )
    lonely = [path for key, path in image_files.items() if key not in label_files]
    _refuse(lonely, "images without labels", labels)
    _refuse(
        (path for key, path in label_files.items() if key not in image_files),
        "labels without an image",
        images,
    )
    return sorted((path, label_files[key]) for key, path in image_files.items())


def files_by_key(pattern: str) -> dict[Key, Path]:
    """The files that a file's path, a folder or a pattern means, each with its key; see `pair_files`."""
    if "*" in pattern:
        return _matches(pattern)
    path = Path(pattern)
    if path.is_dir():
        found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in RASTER_SUFFIXES)
        return _unique((((entry.stem,), entry) for entry in found), pattern)
    return {(): path} if path.is_file() else {}


def _matches(pattern: str) -> dict[Key, Path]:
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if "*" in part)
    root = Path(*parts[:fixed])
    rest = Path(*parts[fixed:]).as_posix()
    pieces = {"**/": "((?:.*/)?)", "**": "(.*)", "*": "([^/]*)"}
    translated = re.compile(
        "".join(pieces.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*)", rest))
    )
    candidates = sorted(root.rglob("*") if "**" in rest else root.glob(rest))
    keyed = (
        (translated.fullmatch(path.relative_to(root).as_posix()), path)
        for path in candidates
        if path.is_file()
    )
    return _unique(((match.groups(), path) for match, path in keyed if match), pattern)


def _unique(pairs: Iterable[tuple[Key, Path]], pattern: str) -> dict[Key, Path]:
    files: dict[Key, Path] = {}
    for key, path in pairs:
        if key in files:
            raise ConfigError(
                f"{pattern}: {files[key].name} and {path.name} have one key; name them by a pattern"
            )
        files[key] = path
    return files


def _stars(pattern: str) -> int:
    """How many parts the key of a pattern has; a folder's key is the stem."""
    return len(re.findall(r"\*\*|\*", pattern)) or int(Path(pattern).is_dir())


def _refuse(lonely: Iterable[Path], what: str, other: str) -> None:
    names = [path.name for path in lonely]
    if names:
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        raise ConfigError(f"{what}: {shown}; nothing under {other!r} has the same key")
