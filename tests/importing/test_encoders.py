from __future__ import annotations

import pytest

from geoseg.importing.encoders import encoder_rules, root_of


def placed(source: str, name: str, *others: str) -> str | None:
    rules = encoder_rules(source, "encoder.model", [name, *others])
    fitting = [rule for rule in rules if rule.fits(name)]
    return max(fitting, key=lambda rule: len(rule.source)).place(name)


@pytest.mark.parametrize(
    ("source", "name", "other", "target"),
    [
        ("", "layer1.0.conv1.weight", "conv1.weight", "layer1.0.conv1.weight"),
        ("backbone", "backbone.stem.3.weight", "backbone.stem.7.running_mean", "conv1.3.weight"),
        ("backbone", "backbone.stem.7.bias", "backbone.stem.7.running_mean", "bn1.bias"),
        ("backbone", "backbone.resinit.conv1.weight", "x", "conv1.weight"),
        (
            "backbone",
            "backbone.resinit.conv1.weight",
            "backbone.resinit.conv3.weight",
            "conv1.0.weight",
        ),
        ("", "resinit.bn3.weight", "resinit.conv1.weight resinit.conv3.weight", "bn1.weight"),
        ("", "features.a.denselayer2.norm.1.bias", "x", "features.a.denselayer2.norm1.bias"),
        ("", "features.4.1.weight", "features.1.0.layer_scale", "stages_2.downsample.1.weight"),
        (
            "",
            "features.3.2.block.5.bias",
            "features.1.0.layer_scale",
            "stages_1.blocks.2.mlp.fc2.bias",
        ),
        (
            "",
            "features.2.0.block.3.1.bias",
            "features.1.0.block.1.fc1.weight features.2.0.block.3.0.weight",
            "blocks.1.0.bn3.bias",
        ),
        ("", "features.2.1.bias", "features.1.0.block.1.fc1.weight", None),
    ],
)
def test_names_of_other_programs_become_timms(
    source: str, name: str, other: str, target: str | None
) -> None:
    expected = None if target is None else f"encoder.model.{target}"
    assert placed(source, name, *other.split()) == expected


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("encoder.model.model.conv1.weight", "encoder.model.model"),
        ("model.conv1.weight", "model"),
        ("encoder.layer1.0.weight", "encoder"),
    ],
)
def test_the_root_ends_where_the_encoders_own_names_begin(name: str, root: str) -> None:
    assert root_of([name]) == root
