"""What a survey finds of a raster: outputs, parts, and the windows that are left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from geoseg.errors import OutputError
from geoseg.inference.band import Band
from geoseg.inference.choice import Choice
from geoseg.inference.probe import Probe
from geoseg.inference.run import PredictRun
from geoseg.inference.sheet import RasterResult, tell_raster
from geoseg.inference.stories import tell_stories
from geoseg.inference.survey import RasterJob, Survey, survey_raster
from geoseg.progress import Progress
from geoseg.raster import SeenSource, open_raster
from geoseg.tiling import Block, Cells, TileGrid

MakeRun = Callable[..., PredictRun]
MakeJob = Callable[..., RasterJob]


def finish(run: PredictRun, survey: Survey) -> None:
    with run.open_slots(lambda _: None, workers=False) as slots:
        tell_stories([tell_raster(run.facts, survey, Progress(), RasterResult())], slots)


def write_parts(survey: Survey, left_out: Callable[[int, int], bool]) -> None:
    """Parts of all bands but those left out, as an interrupted run leaves them."""
    survey.folder.write_plan(survey.blocks, survey.batch, "fp32")
    for number, block in enumerate(survey.blocks):
        for lattice_row, area in block.bands():
            if not left_out(number, lattice_row):
                pixels = np.zeros((area.height, area.width), np.uint8)
                survey.folder.write(number, lattice_row, Band(area, pixels, pixels, None))


def test_of_a_new_raster_everything_is_missing(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(block=40, vectors="gpkg,shp", confidence=True, probabilities=True, batch=3)
    survey = survey_raster(run, make_job(run, "a.b.tif"))
    kinds = {"classes", "preview", "confidence", "probabilities", "gpkg", "shp"}
    assert {output.kind for output in survey.outputs} == kinds
    assert survey.missing == survey.outputs
    assert survey.outputs[0].path == run.out / "a.b_classes.tif"
    assert survey.blocks == tuple(survey.job.grid.blocks(40))
    assert [list(rows) for rows in survey.missing_rows] == [
        [row for row, _ in block.bands()] for block in survey.blocks
    ]
    assert survey.forwards == sum(
        len(block.lattice_rows) * len(block.lattice_cols) for block in survey.blocks
    )
    assert survey.needs_parts
    assert (survey.batch, survey.resumed) == (3, False)
    assert not run.out.exists(), "looking changes nothing"


def test_only_what_is_asked_for_is_an_output(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none")
    survey = survey_raster(run, make_job(run))
    assert [output.kind for output in survey.outputs] == ["classes", "preview"]
    run = make_run(vectors="none", preview=False)
    survey = survey_raster(run, make_job(run))
    assert [output.kind for output in survey.outputs] == ["classes"]


@pytest.mark.parametrize(
    ("options", "confidence", "probabilities"),
    [
        ({"vectors": "none"}, False, False),
        ({"vectors": "gpkg"}, True, False),
        ({"vectors": "none", "confidence": True}, True, False),
        ({"vectors": "none", "min_confidence": 0.1}, True, False),
        ({"vectors": "none", "probabilities": True}, False, True),
    ],
)
def test_parts_hold_what_outputs_are_made_from(
    make_run: MakeRun,
    make_job: MakeJob,
    options: dict[str, Any],
    confidence: bool,
    probabilities: bool,
) -> None:
    run = make_run(**options)
    folder = survey_raster(run, make_job(run)).folder
    assert (folder.confidence, folder.probabilities) == (confidence, probabilities)
    assert folder.classes == 4


def test_parts_lie_in_the_work_folder_under_the_sources_name_and_their_key(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    job = make_job(run, "scene.tif")
    north = replace(job, target=run.out / "north/scene")
    path = survey_raster(run, north).folder.path
    assert path.parent == run.out / ".geoseg/north"
    assert path.name.startswith("scene-")
    assert len(path.name) == len("scene-") + 16
    other = make_run(flip=True)
    assert survey_raster(other, north).folder.path.name != path.name


def test_blocks_for_workers_last_two_minutes_at_most_and_keep_a_resumed_runs(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(window=16, overlap=0)
    survey = survey_raster(run, make_job(run, height=160, width=160))  # 10 x 10 windows
    one, quick, slow = Choice(workers=1), Probe(0.1, 0), Probe(12.0, 0)  # seconds a window
    assert len(survey.cut(one, quick, "auto", 100).blocks) == 2, "two for each process"
    assert len(survey.cut(one, quick, "auto", 10 * 100).blocks) == 1, "others have enough for it"
    slow_blocks = survey.cut(one, slow, "auto", 10 * 100)
    assert len(slow_blocks.blocks) == 10
    assert slow_blocks.forwards == survey.forwards == 100
    write_parts(survey, lambda number, row: row == 0)
    resumed = survey_raster(run, survey.job)
    assert resumed.resumed
    assert resumed.cut(one, slow, "auto", 100) == resumed


def test_blocks_are_narrower_where_the_maps_that_windows_share_are_large(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(window=16, overlap=4)
    job = make_job(run, height=32, width=12_000)
    grid = TileGrid(32, 12_000, 16, 4, "blend", 4, Cells(64, 8))
    survey = survey_raster(run, replace(job, grid=grid))
    assert survey.cut(Choice(), Probe(0.1, 0, map_bytes=1.0), "auto", 1) is survey
    large = survey.cut(Choice(), Probe(0.1, 0, map_bytes=1e6), "auto", 1)
    assert len(survey.blocks) == 1
    assert [round(block.area.width, -2) for block in large.blocks] == [4000, 4000, 4000]
    assert len(large.missing_rows) == 3


def test_a_finished_raster_is_complete_under_the_same_options_only(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run()
    job = make_job(run)
    finish(run, survey_raster(run, job))
    survey = survey_raster(run, job)
    assert survey.missing == ()
    assert not survey.needs_parts
    assert survey.forwards == 0
    assert survey.missing_rows == ((),) * len(survey.blocks)
    other = make_run(flip=True)
    with pytest.raises(
        OutputError,
        match=r"scene_classes\.tif exists, made from another source, model or options .*"
        "use --overwrite to replace it, or another --out",
    ):
        survey_raster(other, job)
    replacing = make_run(flip=True, overwrite=True)
    assert len(survey_raster(replacing, job).missing) == 3


def test_a_preview_alone_needs_no_window(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run()
    job = make_job(run)
    finish(run, survey_raster(run, job))
    (run.out / "scene_preview.png").unlink()
    survey = survey_raster(run, job)
    assert [output.kind for output in survey.missing] == ["preview"]
    assert not survey.needs_parts
    assert survey.forwards == 0


def test_a_resumed_run_keeps_blocks_and_batch_and_counts_what_is_left(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    first = make_run(vectors="none", block=40, batch=2)
    job = make_job(first)
    begun = survey_raster(first, job)
    write_parts(begun, left_out=lambda number, row: (number, row) in {(0, 2), (1, 0)})
    second = make_run(vectors="none", block="auto", batch=5)
    survey = survey_raster(second, job)
    assert survey.resumed
    assert (survey.blocks, survey.batch) == (begun.blocks, 2)
    assert survey.missing_rows == ((2,), (0,), (), ())
    # Windows start at rows 0, 12, 24, ...: rows 24..35 are seen from 12 and 24, rows 0..11 from 0.
    columns = [len(block.lattice_cols) for block in survey.blocks]
    assert survey.forwards == 2 * columns[0] + 1 * columns[1]
    plan = survey.plan(Choice())
    assert (plan.forwards, plan.blocks, plan.pixels) == (survey.forwards, 4, 64 * 80)
    assert plan.windows == len(job.grid)


def test_bands_that_share_windows_run_them_once(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run(vectors="none")
    job = make_job(run)
    begun = survey_raster(run, job)
    write_parts(begun, left_out=lambda _, row: row in (2, 3))
    survey = survey_raster(run, job)
    assert isinstance(survey.blocks[0], Block)
    assert survey.forwards == 3 * len(job.grid.col_starts)  # lattice rows 1, 2 and 3


def test_a_survey_opens_nothing(make_run: MakeRun, make_job: MakeJob, opened: list[str]) -> None:
    run = make_run(block=40)
    job = make_job(run)
    write_parts(survey_raster(run, job), left_out=lambda number, row: (number, row) == (3, 4))
    opened.clear()
    survey = survey_raster(run, job)
    assert survey.missing_rows == ((), (), (), (4,))
    assert survey.resumed
    assert opened == []


def test_keys_are_made_of_the_sources_fingerprint(make_run: MakeRun, make_job: MakeJob) -> None:
    run = make_run()
    job = make_job(run)
    first = survey_raster(run, job)
    data = job.source.path.read_bytes()
    job.source.path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    second = survey_raster(run, replace(job, seen=SeenSource.at(job.source.path)))
    assert second.job.seen.fingerprint != first.job.seen.fingerprint
    assert second.folder.path != first.folder.path
    assert {output.key for output in second.outputs}.isdisjoint(o.key for o in first.outputs)


def test_files_are_begun_early_where_each_reads_several_parts_that_are_missing(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    def can(height: int = 64, left: int = 5, **options: Any) -> bool:
        run = make_run(**options)
        survey = survey_raster(run, make_job(run, f"{height}.tif", height=height, width=300))
        if left < 5:
            rows = tuple(tuple(rows)[-left:] if left else () for rows in survey.missing_rows)
            survey = replace(survey, missing_rows=rows)
        return survey.plan(Choice(), run.options.cleaning).files_begun

    assert can()
    assert can(left=2)
    assert not can(left=1)
    assert not can(left=0)
    assert not can(height=16), "one window"
    assert not can(min_area="4px"), "cleaned parts come after all others"
    assert not can(1024, max_output_pixels=2**18), "some squares would be whole too early"


def test_a_new_raster_of_a_trillion_pixels_is_surveyed_without_a_look_at_each_band(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = 10**6
    profile = {"driver": "GTiff", "height": side, "width": side, "count": 3, "dtype": "uint8"}
    sparse = {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "sparse_ok": True}
    with rasterio.open(tmp_path / "sparse.tif", "w", **profile, **sparse, bigtiff="yes"):
        pass
    run, source = make_run(window=32, overlap=8), open_raster(tmp_path / "sparse.tif")
    grid = run.options.grid(run.model.card, source)
    job = RasterJob(source, run.out / "sparse", grid, SeenSource.at(source.path))
    monkeypatch.setattr(Block, "bands", lambda block: pytest.fail("each band was visited"))
    survey = survey_raster(run, job)
    assert survey.plan(Choice()).windows == 41_667**2
    assert survey.forwards >= 41_667**2


@pytest.mark.parametrize(
    "name",
    [
        "a_classes.tif.aux.xml",
        "a_preview.png",
        "a_polygons.gpkg-wal",
        "a_polygons.dbf",
        "a_polygons.qix",
        "a_polygons.geoseg.json",
    ],
)
def test_files_that_geoseg_did_not_write_are_in_the_way_unless_they_may_be_overwritten(
    make_run: MakeRun, make_job: MakeJob, name: str
) -> None:
    run = make_run(vectors="gpkg,shp")
    job = make_job(run, "a.tif")
    run.out.mkdir()
    (run.out / name).write_text("the user's own")
    with pytest.raises(OutputError, match=f"{name} exists, made from another source"):
        survey_raster(run, job)
    survey = survey_raster(make_run(vectors="gpkg,shp", overwrite=True), job)
    assert survey.missing == survey.outputs


def test_what_geoseg_wrote_beside_a_file_that_was_removed_is_not_in_the_way(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(vectors="fgb")
    job = make_job(run, "a.tif")
    finish(run, survey_raster(run, job))
    (run.out / "a_classes.tif").unlink()
    (run.out / "a_polygons.fgb").unlink()
    left = {path.name for path in run.out.iterdir()}
    assert {"a_classes.tif.aux.xml", "a_classes.qml", "a_polygons.qml"} <= left
    survey = survey_raster(run, job)
    assert {output.kind for output in survey.missing} == {"classes", "fgb"}
    finish(run, survey)
    assert not survey_raster(run, job).missing


@pytest.mark.parametrize("name", ["a_classes.tif.aux.xml", "a_polygons.qix", "a_polygons.gpkg-wal"])
def test_what_other_programs_put_beside_a_finished_output_is_left_alone(
    make_run: MakeRun, make_job: MakeJob, name: str
) -> None:
    run = make_run(vectors="gpkg,shp")
    job = make_job(run, "a.tif")
    finish(run, survey_raster(run, job))
    (run.out / name).write_text("<PAMDataset/>" if name.endswith(".xml") else "")
    assert not survey_raster(run, job).missing


def test_statistics_beside_source_and_outputs_change_nothing(
    make_run: MakeRun, make_job: MakeJob
) -> None:
    run = make_run(vectors="gpkg")
    job = make_job(run, "a.tif")
    finish(run, survey_raster(run, job))
    for path in (job.source.path, run.out / "a_classes.tif", run.out / "a_preview.png"):
        with rasterio.open(path) as file:
            file.stats(approx=False)
        assert "STATISTICS" in path.with_name(f"{path.name}.aux.xml").read_text()
    assert not survey_raster(run, job).missing
