"""What is shared, as options and model have it, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from geoseg.classes import ClassScheme
from geoseg.errors import ConfigError
from geoseg.inference.keys import raster_facts
from geoseg.inference.options import PredictOptions
from geoseg.models import Card, ModelSpec, load_card
from geoseg.raster import Source, open_raster


@pytest.fixture
def hcnet() -> Card:
    return Card(
        spec=ModelSpec("hcnet", "resnet18", 8, 3, 4),
        classes=ClassScheme.from_names(list("abcd")),
        bands=("r", "g", "b"),
        value_range=(0.0, 255.0),
        mean=(120.0,) * 3,
        std=(60.0,) * 3,
        window=256,
        overlap=64,
    )


@pytest.fixture
def source(make_raster: Callable[..., Path]) -> Source:
    return open_raster(make_raster(height=700, width=900))


def grid_of(card: Card, source: Source, **options: object):
    return PredictOptions.from_keywords(**options).grid(card, source)


def test_shared_windows_start_at_the_stride_and_cells_are_the_familys_or_those_given(
    hcnet: Card, source: Source
) -> None:
    grid = grid_of(hcnet, source, encode="shared")
    assert (grid.window, grid.overlap, grid.multiple) == (256, 64, 8)
    assert grid.cells is not None
    assert grid_of(hcnet, source, encode="shared", cell="64").cells.size == 64
    whole = grid_of(hcnet, source, encode="window")
    assert (whole.multiple, whole.cells) == (1, None)


def test_a_network_without_context_runs_on_cells_that_own_their_pixels(
    model_file: Path, source: Source
) -> None:
    grid = grid_of(load_card(model_file), source, encode="shared")
    assert (grid.overlap, grid.stitch, grid.cells) == (0, "crop", None)
    assert grid.window > load_card(model_file).window


def test_a_network_without_context_takes_cells_unless_windows_are_asked_for(
    model_file: Path, source: Source
) -> None:
    card = load_card(model_file)
    assert grid_of(card, source) == grid_of(card, source, encode="shared")
    window = {"window": 64, "overlap": 16}
    for asked in ({"window": 64}, {"overlap": 16}, {"flip": True}, {"scales": "1,2"}, window):
        grid = grid_of(card, source, **asked)
        assert grid.overlap == asked.get("overlap", card.overlap)
        assert grid.window == asked.get("window", card.window)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encode": "both"}, "encode 'both' is unknown; use auto, shared, window"),
        ({"encode": "shared", "cell": 100}, "cell 100: give a multiple of 32 pixels, such as 512"),
        ({"encode": "shared", "cell": 0}, "cell 0: give a multiple of 32 pixels"),
        ({"encode": "window", "cell": 64}, "cell 64: cells are those of encode shared; give it"),
        ({"cell": "some"}, "cell 'some': give one whole number"),
    ],
)
def test_what_has_no_sense_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        PredictOptions.from_keywords(**options)


@pytest.mark.parametrize("options", [{"flip": True}, {"scales": "0.5,1"}])
def test_windows_that_are_run_several_times_do_not_share(
    hcnet: Card, options: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=r"encode shared with scales or flip: .* leave them out"):
        PredictOptions.from_keywords(encode="shared", **options).sharing(hcnet)
    assert PredictOptions.from_keywords(**options).sharing(hcnet) is None


def test_only_torch_runs_a_network_in_parts(hcnet: Card, model_file: Path) -> None:
    options = PredictOptions.from_keywords(encode="shared", backend="compile")
    with pytest.raises(ConfigError, match="encode shared with backend compile: only torch runs"):
        options.sharing(hcnet)
    assert options.sharing(load_card(model_file)) is not None


def test_a_window_is_refused_where_cells_take_its_place(model_file: Path) -> None:
    options = PredictOptions.from_keywords(encode="shared", window=64)
    with pytest.raises(ConfigError, match=r"window 64: pixel looks at no window, .* give cell in"):
        options.sharing(load_card(model_file))


@pytest.mark.parametrize(
    ("options", "is_shared"),
    [
        ({}, True),
        ({"window": 264, "overlap": 8}, True),
        ({"window": 260}, False),
        ({"overlap": 63}, False),
        ({"flip": True}, False),
        ({"scales": "0.5,1"}, False),
        ({"backend": "compile"}, False),
        ({"encode": "window"}, False),
    ],
)
def test_what_can_be_shared_is_unless_other_options_stand_in_the_way(
    hcnet: Card, options: dict[str, object], is_shared: bool
) -> None:
    chosen = PredictOptions.from_keywords(**options)
    assert (chosen.sharing(hcnet) is not None) == is_shared


@pytest.mark.parametrize(
    ("spec", "is_shared"),
    [
        (ModelSpec("ocrnet", "resnet50", 8, 3, 4), True),
        (ModelSpec("smp.unet", "resnet18", 32, 3, 4), True),
        (ModelSpec("fcn", "resnet50", 8, 3, 4), True),
        (ModelSpec("smp.unet", "efficientnet-b0", 32, 3, 4), False),
        (ModelSpec("pixel", None, 1, 3, 4), True),
        (ModelSpec("hcnet", "efficientnet-b0", 16, 3, 4), False),
        (ModelSpec("smp.pspnet", "resnet18", 8, 3, 4), False),
        (ModelSpec("external", None, 1, 3, 4), False),
    ],
)
def test_what_a_network_is_decides_whether_it_shares_unasked(
    hcnet: Card, spec: ModelSpec, is_shared: bool
) -> None:
    card = hcnet.model_copy(update={"spec": spec})
    assert (PredictOptions().sharing(card) is not None) == is_shared


def test_keys_change_with_the_cells_and_stay_what_they_were_for_whole_windows(
    hcnet: Card, source: Source
) -> None:
    facts = [
        raster_facts({}, source, grid_of(hcnet, source, **options), "digest")
        for options in (
            {"encode": "window"},
            {"encode": "shared"},
            {"encode": "shared", "cell": 64},
        )
    ]
    assert len({str(each) for each in facts}) == 3
    assert set(facts[0]) == {"source", "bands", "crs", "window", "overlap", "stitch"}
