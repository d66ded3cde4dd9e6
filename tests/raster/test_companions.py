"""Which files lie beside an image, by patterns, and what they are called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from geoseg.errors import ConfigError, SourceError
from geoseg.raster import FoundSource
from geoseg.raster.companions import (
    companion_name,
    companions,
    given_patterns,
    without_companions,
)

VAIHINGEN = "top/top_mosaic_09cm_area1.tif", "dsm/dsm_09cm_matching_area1.tif"
POTSDAM = "2_Ortho_RGB/top_potsdam_2_10_RGB.tif", "1_DSM/dsm_potsdam_02_10.tif"


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("names", "pattern", "called"),
    [
        (("a.tif", "a_dsm.tif"), "{stem}_dsm.tif", "dsm"),
        (("rgb/a.tif", "heights/a.tif"), "../heights/{stem}.tif", "heights"),
        (("rgb/a.tif", "slope.vrt"), "../slope.vrt", "slope"),
        (VAIHINGEN, "../dsm/dsm_09cm_matching_area{2}.tif", "dsm_matching"),
        (POTSDAM, "../1_DSM/dsm_potsdam_{1:02}_{2:02}.tif", "dsm"),
    ],
)
def test_patterns_name_the_files_of_data_sets_as_they_are_distributed(
    tmp_path: Path, names: tuple[str, str], pattern: str, called: str
) -> None:
    image, file = touch(tmp_path, *names)
    absolute = str(tmp_path / "any" / pattern).replace("any", names[0].split("/")[0])
    for given in (pattern, absolute if "/" in names[0] else str(tmp_path / pattern)):
        assert companions(image, [given]) == [file]
    assert companion_name(image, file) == called


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            "{stem}_dsm.tif",
            r"a_1\.tif: .*a_1_dsm\.tif is not there, which the pattern \{stem\}_dsm",
        ),
        ("{stem}.tif", r"a_1\.tif: the pattern \{stem\}\.tif names the image itself"),
        ("dsm_{2}.tif", r"a_1\.tif: 1 numbers in its name, and the pattern .* the one of place 2"),
    ],
)
def test_a_file_that_is_missing_is_named_with_its_pattern(
    tmp_path: Path, pattern: str, message: str
) -> None:
    (image,) = touch(tmp_path, "a_1.tif")
    with pytest.raises(SourceError, match=message):
        companions(image, [pattern])


@pytest.mark.parametrize("wrong", ["{name}.tif", "{stem_dsm.tif", "{0}.tif", "{1:2f}.tif"])
def test_a_pattern_that_means_nothing_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match=rf"^--stack {re.escape(repr(wrong))}.*\{{stem\}} is the"):
        given_patterns("--stack", wrong)
    with pytest.raises(ConfigError, match=r"^--stack: an empty text is no path"):
        given_patterns("--stack", "")
    assert given_patterns("--stack", "{stem}_dsm.tif") == ("{stem}_dsm.tif",)


def test_files_that_lie_beside_others_are_no_inputs_and_are_named(tmp_path: Path) -> None:
    files = touch(tmp_path, "a.tif", "a_dsm.tif", "b.tif")
    found = [FoundSource(path, Path(path.stem)) for path in files]
    images, lines = without_companions(found, ["{stem}_dsm.tif"])
    assert [each.path for each in images] == [files[0], files[2]]
    assert lines == [f"{files[1]}: holds bands of {files[0]}"]
    assert without_companions(found, []) == (found, [])
