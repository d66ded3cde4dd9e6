"""What a tile index names, and what a fingerprint sees of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from geoseg.errors import SourceError
from geoseg.raster import open_raster, source_fingerprint
from geoseg.raster.references import follow_references
from geoseg.raster.tile_index import read_tile_index

Make = Callable[..., Path]


def save(path: Path, tiles: list[Path], column: str = "location", **metadata: str) -> Path:
    """An index of tiles, all of them in the same place."""
    box = shapely.to_wkb(shapely.box(500_000, 5_400_000 - 32, 500_040, 5_400_000))
    pyogrio.raw.write(
        str(path),
        np.array([box] * len(tiles), object),
        [np.array([str(tile) for tile in tiles], object), np.arange(len(tiles))],
        [column, "rank"],
        geometry_type="Polygon",
        crs="EPSG:32632",
        driver="GPKG",
        layer_metadata=metadata or None,
    )
    return path


@pytest.mark.parametrize("column", ["location", "LOCATION", "Location"])
def test_the_column_of_tiles_is_found_whatever_its_case_as_gdal_finds_it(
    make_raster: Make, tmp_path: Path, column: str
) -> None:
    tile = make_raster("tile.tif")
    index = save(tmp_path / "all.gti.gpkg", [tile], column)
    assert read_tile_index(index).locations == [str(tile)]
    assert follow_references(index) == [str(tile)]
    assert open_raster(index).width == 80, "GDAL opened the tile"


def test_another_column_and_overviews_are_named_by_metadata(
    make_raster: Make, tmp_path: Path
) -> None:
    tile, small = make_raster("tile.tif"), make_raster("small.tif")
    index = save(
        tmp_path / "all.gti.gpkg",
        [tile, tile],
        "where",
        LOCATION_FIELD="WHERE",
        OVERVIEW_0_DATASET=str(small),
    )
    assert read_tile_index(index).locations == [str(small), str(tile)]
    (tmp_path / "by.gti").write_text(
        f"<GDALTileIndexDataset><IndexDataset>{index.name}</IndexDataset>"
        "<LocationField>where</LocationField></GDALTileIndexDataset>"
    )
    assert read_tile_index(tmp_path / "by.gti") == read_tile_index(index)


def test_an_index_that_cannot_be_read_or_runs_sql_is_one_line(tmp_path: Path) -> None:
    index = tmp_path / "a.gti.gpkg"
    index.write_text("no GeoPackage")
    with pytest.raises(
        SourceError, match=r"a\.gti\.gpkg: its tile index cannot be read \(.*\); ex"
    ):
        read_tile_index(index)
    with pytest.raises(SourceError, match="holds SQL to run; export the index without"):
        read_tile_index(save(tmp_path / "b.gti.gpkg", [tmp_path / "t.tif"], SQL="SELECT 1"))
    above = tmp_path / "c.gti"
    above.write_text(
        "<GDALTileIndexDataset><IndexDataset>gone.gpkg</IndexDataset></GDALTileIndexDataset>"
    )
    for read in (read_tile_index, open_raster):
        with pytest.raises(
            SourceError, match=r"c\.gti: names \S+gone\.gpkg as its tile index, whi"
        ):
            read(above)


def test_the_fingerprint_changes_with_a_tile_and_with_the_index_and_not_by_a_look_at_it(
    make_raster: Make, tmp_path: Path
) -> None:
    one, other = make_raster("one.tif"), make_raster("other.tif", seed=1)
    index = save(tmp_path / "all.gti.gpkg", [one, other])
    content = index.read_bytes()
    prints = [source_fingerprint(index)]
    with closing(sqlite3.connect(index)) as database:  # as a program opens it to edit it
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA user_version = 10201")
        assert source_fingerprint(index) == prints[0]
    assert index.read_bytes() != content
    assert source_fingerprint(index) == prints[0]
    with rasterio.open(other) as file:
        file.stats(approx=False)
    assert other.with_name("other.tif.aux.xml").exists()
    assert source_fingerprint(index) == prints[0]
    with rasterio.open(other, "r+") as file:
        file.write(255 - file.read())
    prints.append(source_fingerprint(index))
    index.unlink()
    save(index, [other, one])
    prints.append(source_fingerprint(index))
    assert len(set(prints)) == 3


def test_the_fingerprint_changes_with_the_xml_of_an_index(
    make_raster: Make, tmp_path: Path
) -> None:
    index = save(tmp_path / "all.gti.gpkg", [make_raster("one.tif"), make_raster("two.tif")])
    above = tmp_path / "by.gti"
    prints = []
    for order in ("ASC", "DESC"):
        above.write_text(
            f"<GDALTileIndexDataset><IndexDataset>{index}</IndexDataset><SortField>rank"
            f"</SortField><SortFieldAsc>{order == 'ASC'}</SortFieldAsc></GDALTileIndexDataset>"
        )
        prints.append(source_fingerprint(above))
    assert prints[0] != prints[1]
