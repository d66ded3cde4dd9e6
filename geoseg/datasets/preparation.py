"""One image with its labels: checked, cut, written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from geoseg.classes import ClassScheme
from geoseg.datasets.labels import Labels, RasterLabels, check_labels
from geoseg.datasets.manifest import KINDS, Entry, Made, sha256_of
from geoseg.datasets.patches import Piece
from geoseg.datasets.polygon_labels import PolygonLabels
from geoseg.datasets.tally import Tally
from geoseg.datasets.writer import Form, write_piece
from geoseg.errors import SourceError
from geoseg.raster import Source, open_raster, source_fingerprint
from geoseg.vector.read import SUFFIXES

VERSION = 1
"""Of what is written; another one makes everything anew."""
_SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(frozen=True, slots=True)
class Job:
    """What one image will become."""

    tile: str
    """Its name in the prepared folder."""
    form: Form
    labels: Path
    """A label raster, or polygons."""
    attribute: str | None
    """Of the polygons, that holds the class."""
    pieces: tuple[Piece, ...]

    @property
    def image(self) -> Source:
        """What is cut."""
        return self.form.image

    def open_labels(self) -> Labels:
        """The labels on the image's grid.

        Raises:
            SourceError: they do not lie on it, or cannot be read.
            VectorError: likewise for polygons.
        """
        if is_vector(self.labels):
            return PolygonLabels(self.labels, self.image, self.form.scheme, self.attribute)
        source = open_raster(self.labels)
        check_labels(self.image, source)
        return RasterLabels(source, self.form.scheme)

    def key(self) -> str:
        """A hash that changes with everything that the files of this job depend on."""
        image, scheme = self.image, self.form.scheme
        facts = (
            VERSION,
            image.crs and image.crs.to_wkt(),
            self.form.band_names,
            scheme,
            self.attribute,
            self.pieces,
        )
        digest = hashlib.sha256(repr(facts).encode())
        digest.update(source_fingerprint(image.path).encode())
        digest.update(_labels_fingerprint(self.labels).encode())
        return digest.hexdigest()


def is_vector(path: Path) -> bool:
    """Whether a file's name says that it holds polygons."""
    return path.suffix.lower() in SUFFIXES


def make(job: Job, staging: Path) -> Entry:
    """Write all pieces of a job into a staging folder; pieces without a labelled pixel are left out.

    Raises:
        SourceError: image or labels are damaged, hold too much that is no class's, or no label at all.
        VectorError: the polygons cannot be used.
        OutputError: a file cannot be written.
    """
    made: list[Made] = []
    tallies: dict[str, Tally] = {}
    with closing(job.open_labels()) as labels, job.image.open() as reader:
        for piece in job.pieces:
            paths = [f"{piece.part}/{kind}/{job.tile}{piece.suffix}.tif" for kind in KINDS]
            files = [staging / path for path in paths]
            for file in files:
                file.parent.mkdir(parents=True, exist_ok=True)
            tally = write_piece(piece, reader, labels, job.form, files[0], files[1])
            if tally.labelled:
                image_sum, labels_sum = map(sha256_of, files)
                place = piece.window
                made.append(
                    Made(
                        piece.part, paths[0], paths[1], image_sum, labels_sum, place.row, place.col
                    )
                )
                tallies[piece.part] = (
                    tallies[piece.part] + tally if piece.part in tallies else tally
                )
            else:
                for file in files:
                    file.unlink()
        warning = labels.unknown()
    if not job.pieces:
        raise SourceError(
            f"{job.image.path}: {job.image.height} x {job.image.width} pixels hold no whole patch; "
            "give a smaller --patch, or --edge pad"
        )
    if not made:
        raise SourceError(
            f"{job.labels}: no pixel of {job.image.path.name} is labelled; give other labels, or leave it out"
        )
    return Entry(
        job.tile, str(job.image.path), str(job.labels), job.key(), tuple(made), tallies, warning
    )


def check_alike(jobs: Sequence[Job]) -> tuple[list[Job], list[str]]:
    """The jobs whose images have the bands of the first one's, and a line for each other: no network takes both."""
    alike, lines = [], []
    for job in jobs:
        first, image = jobs[0].image, job.image
        if (len(image.bands), image.dtype) == (len(first.bands), first.dtype):
            alike.append(job)
        else:
            lines.append(
                f"{image.path}: has {len(image.bands)} band(s) of {image.dtype}, {first.path.name} has "
                f"{len(first.bands)} of {first.dtype}; prepare them apart"
            )
    return alike, lines


def _labels_fingerprint(path: Path) -> str:
    if not is_vector(path):
        return source_fingerprint(path)
    parts = (
        [path.with_suffix(suffix) for suffix in _SHAPEFILE]
        if path.suffix.lower() == ".shp"
        else [path]
    )
    try:
        return " ".join(sha256_of(part) for part in parts if part.is_file())
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def scheme_document(scheme: ClassScheme) -> dict[str, object]:
    """The content of a classes file for prepared labels, which hold the class ids themselves."""
    entries = [
        {"id": index, "name": name, "color": list(color)}
        for index, (name, color) in enumerate(zip(scheme.names, scheme.colors, strict=True))
    ]
    return {"classes": entries, "ignore": 255}
