from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import geoseg
from geoseg.classes import CITYSCAPES, ISPRS
from geoseg.config import dump_config, load_config
from geoseg.errors import ConfigError
from geoseg.models import create_model, segmenter
from geoseg.training.recipe import Augment, Recipe
from geoseg.training.trainer import choose_aux_weights

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


def document(**sections: Any) -> dict[str, Any]:
    """The smallest config."""
    data = {
        "train": {"images": "images/*.tif", "labels": "labels/*.tif"},
        "classes": ["ground", "roof"],
    }
    return {"data": data, "model": {"system": "hcnet"}} | sections


def test_the_smallest_config_takes_all_defaults() -> None:
    config = load_config(document())
    assert config.data.train[0].images == "images/*.tif"
    assert config.data.scheme.names == ("ground", "roof")
    assert config.data.ignore == (255,)
    assert (config.train.learning_rate, config.train.momentum, config.train.power) == (
        0.01,
        0.9,
        0.9,
    )
    assert (config.predict.window, config.predict.overlap) == (512, 128)


@pytest.mark.parametrize(
    ("sections", "lattice"),
    [
        ({"train": {"crop": 256}}, (256, 64)),
        ({"train": {"crop": 769}}, (769, 192)),
        ({"train": {"crop": [512, 1024], "augment": {"turn": False}}}, (1024, 256)),
        ({"train": {"crop": 256}, "predict": {"window": 1024}}, (1024, 256)),
        ({"train": {"crop": 256}, "predict": {"overlap": 100}}, (256, 100)),
        ({"train": {"crop": 256}, "predict": {"window": 512, "overlap": 0}}, (512, 0)),
        ({"train": {"crop": 256}, "predict": None}, (256, 64)),
    ],
)
def test_windows_follow_from_the_crop_unless_given(
    sections: dict[str, Any], lattice: tuple[int, int]
) -> None:
    config = load_config(document(**sections))
    assert (config.predict.window, config.predict.overlap) == lattice
    assert (
        load_config(yaml.safe_load(dump_config(config)), ["train.crop=8"]).predict == config.predict
    )


def test_a_config_is_read_back_from_its_own_yaml() -> None:
    data = document()["data"] | {
        "classes": "isprs",
        "mean": [1, 2, 3],
        "std": [4, 5, 6],
        "bands": {"nir": 4, "red": 1},
    }
    config = load_config(
        document(data=data, train={"class_weights": [1, 2.5], "aux_weights": {"prior": 0.5}})
    )
    assert load_config(yaml.safe_load(dump_config(config))) == config


def test_configs_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config(document()).data.mean = (1.0,)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "train.lerning_rate=1",
            r"^train\.lerning_rate: unknown key; did you mean learning_rate\?$",
        ),
        ("train.augment.flp=true", r"^train\.augment\.flp: unknown key; did you mean flip\?$"),
        ("data.train.imgs=3", r"^data\.train\.imgs: unknown key; did you mean images\?$"),
        ("trian.steps=3", r"^trian: unknown key; did you mean train\?$"),
        ("data.zzz=1", r"^data\.zzz: unknown key; known are train, val, bands"),
        ("train.steps=many", r"^train\.steps: 'many' is not a whole number$"),
        ("train.learning_rate=fast", r"^train\.learning_rate: 'fast' is not a number$"),
        ("train.augment.flip=3", r"^train\.augment\.flip: 3 is not true or false$"),
        ("train.steps=0", r"^train\.steps: 0 is refused; it should be greater than or equal to 1$"),
        (
            "train.optimizer=adam",
            r"^train\.optimizer: 'adam' is refused; it should be 'sgd' or 'adamw'$",
        ),
        ("train=3", r"^train: 3 is not a mapping of keys to values$"),
        (
            "train.best_by=mean_iuo",
            r"^train\.best_by: there is no metric 'mean_iuo'; did you mean mean_iou\?$",
        ),
        (
            "train.best_by=loss",
            r"^train\.best_by: there is no metric 'loss'; there are mean_iou, .*, iou_roof$",
        ),
        ("train.patience=3", r"^train\.patience: nothing is validated; give data\.val"),
        ("train.crop=[512, 4]", r"^train\.crop\[1\]: 4 is refused"),
        ("train.crop=4", r"^train\.crop: 4 is refused; it should be greater than or equal to 8"),
        ("train.crop=[256, 256, 256]", r"^train\.crop: \[256, 256, 256\] holds 3 entries; give 2$"),
        (
            "train.seed=1000000000000000000000",
            r"^train\.seed: 10+ is refused; it should be less than 9223372036854775808",
        ),
        ("train.loss=[{dice: 1}]", r"^train\.loss: \[\{'dice': 1\}\] is not a mapping"),
        ("train.crop=[256, 512]", r"^train: crop \[256, 512\] is not square"),
        (
            "train.loss=dise",
            r"^train\.loss: 'dise' is refused; it should be 'cross_entropy', 'dice', 'focal', "
            r"'lovasz' or 'ohem'",
        ),
        (
            "train.loss=[dice, dise]",
            r"^train\.loss: 'dise' is refused; it should be 'cross_entropy', 'dice'",
        ),
        (
            "train.loss={dise: 2}",
            r"^train\.loss: 'dise' is refused; it should be 'cross_entropy', 'dice'",
        ),
        (
            "train.loss={dice: -1}",
            r"^train\.loss\.dice: -1 is refused; it should be greater than 0",
        ),
        ("train.ema=1.5", r"^train\.ema: 1\.5 is refused; it should be less than 1"),
        (
            "train.sampling=even",
            r"^train\.sampling: 'even' is refused; it should be 'uniform' or 'balanced'",
        ),
        (
            "train.warmup=20000",
            r"^train: warmup of 20000 steps leaves .*; set train\.warmup below 10000, say to 1000$",
        ),
        (
            "model={system: fcn, start_from: a.safetensors, encoder_weights: imagenet}",
            r"^model: start_from and encoder_w",
        ),
        ("model.system=", r"^model\.system: None is not text$"),
        ("data.mean=[1, x]", r"^data\.mean\[1\]: 'x' is not a number$"),
        ("data.value_range=[1]", r"^data\.value_range\[1\]: is missing$"),
        ("data.train=[]", r"^data\.train: is empty; give at least one$"),
        ("compare={systems: [fcn], seeds: []}", r"^compare\.seeds: is empty; give at least one$"),
        ("data.value_range=[1, 2, 3]", r"^data\.value_range: \[1, 2, 3\] holds 3 entries; give 2$"),
        ("data.train={images: 3, labels: x}", r"^data\.train\.images: 3 is not text$"),
        ("data.classes=[a, a]", r"^data: class name 'a' is given twice"),
        (
            "data.classes=isprs2",
            r"^data: isprs2: no such classes file, and no scheme; known schemes are isprs",
        ),
        ("data.train.images=''", r"^data\.train\.images: an empty text is no path"),
        ("model.start_from=''", r"^model\.start_from: an empty text is no path"),
        ("predict.overlap=600", r"^predict: overlap 600 does not fit window 512"),
        ("predict.window=wide", r"^predict\.window: 'wide' is not a whole number$"),
        ("predict=3", r"^predict: 3 is not a mapping of keys to values$"),
    ],
)
def test_an_error_is_one_line_with_its_path(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(document(), [override])


def test_a_missing_section_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^data: is missing$"):
        load_config({"model": {"system": "fcn"}})


def test_overrides_are_yaml_and_reach_into_lists() -> None:
    config = load_config(
        document(),
        [
            "train.augment.scale=[0.5, 2]",
            "train.learning_rate=1e-3",
            "data.classes.1=house",
            "model.encoder=null",
        ],
    )
    assert config.train.augment.scale == (0.5, 2.0)
    assert config.train.learning_rate == 0.001
    assert config.data.scheme.names == ("ground", "house")
    assert config.model.encoder is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.steps", "give key.path=value"),
        ("=3", "give key.path=value"),
        ("train.steps=[1", "the value is not valid YAML"),
        ("model.system.name=3", "'name' lies inside 'hcnet', which holds no keys"),
    ],
)
def test_overrides_of_another_form_are_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(document(), [override])


def test_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILES", "/data/tiles")
    config = load_config(document(), ["data.train.images='${TILES}/*.tif'"])
    assert config.data.train[0].images == "/data/tiles/*.tif"
    with pytest.raises(ConfigError, match=r"^data\.train\.labels: \$\{NO_SUCH\} is not set"):
        load_config(document(), ["data.train.labels='${NO_SUCH}/*.tif'"])


def test_classes_come_by_scheme_file_or_list(tmp_path: Path) -> None:
    file = tmp_path / "classes.yaml"
    file.write_text(
        "classes: [{id: [1, 2], name: paved, color: [9, 9, 9]}, {id: 0, name: green}]\n"
        "ignore: [7, 255]\n"
    )
    read = load_config(document(), [f"data.classes={file}"]).data.scheme
    assert (read.names, read.values, read.ignore) == (("paved", "green"), ((1, 2), (0,)), (7, 255))
    assert load_config(
        document(), [f"data.classes={file}", "data.ignore=9"]
    ).data.scheme.ignore == (9,)
    assert load_config(document(), ["data.classes=isprs"]).data.scheme == ISPRS
    assert load_config(document(), ["data.classes=cityscapes"]).data.scheme == CITYSCAPES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"- 1\n", "holds a list"),
        (b"3\n", "holds no keys and values"),
        (b"a: [", "no YAML"),
        (b"\xff\xfe", r"run\.yaml: is not UTF-8 text; give a YAML file$"),
        (None, r"run\.yaml: no such file; give a YAML file$"),
    ],
)
def test_files_that_hold_no_config_are_refused(
    tmp_path: Path, text: bytes | None, message: str
) -> None:
    file = tmp_path / "run.yaml"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(ConfigError, match=message):
        load_config(file)
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load_config(tmp_path)


PAPER_LOSSES = {
    "hcnet": {"prior": 0.8},  # 3.4, and lambda in 4.1.2
    "ocrnet": {"coarse": 0.4},  # 4.2
    "apcnet": {"deep": 0.4},  # DS of table 4; the weight is the released code's
    "isnet": {"semantic": 0.4},  # 3.4: alpha L_D + L_O, and nothing of stage 3
    "ranet": {"semantic": 0.4, "boundary": 0.08},  # 4; the weights are the released code's
    "fcn": {},
}
"""The cross-entropies that each paper adds to that of its result, with their weights."""
PAPER_CONFIGS = [
    path for path in CONFIGS if path.stem.split("_")[0] in ("cityscapes", "potsdam", "vaihingen")
]


@pytest.mark.parametrize("path", PAPER_CONFIGS, ids=[path.stem for path in PAPER_CONFIGS])
def test_configs_of_papers_name_a_preset_and_train_the_papers_losses(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(name, str(tmp_path))
    (tmp_path / "classes.yaml").write_text("classes: [a, b, c]")
    config = load_config(path)
    system, recipe = config.model.system, config.train
    # HCNet's eq. (4) as printed divides by sums near zero: it cannot be trained.
    assert config.model.preset == ("geoseg" if system in ("fcn", "hcnet") else "paper")
    assert "preset: " in path.read_text() or system == "fcn"
    assert config.model.options == {}
    net = create_model(
        system, encoder="tu-test_resnet", classes=3, preset=config.model.preset
    ).train()
    outputs = net(torch.zeros(2, 3, 64, 64))
    weights = choose_aux_weights(net, recipe.aux_weights)
    assert {name: weights[name] for name in outputs.aux} == weights == PAPER_LOSSES[system]
    assert recipe.loss == {"cross_entropy": 1.0}
    # HCNet's recipe weights classes (3.4), and all of Vaihingen's follow it; no other paper does.
    by_hcnet = system in ("hcnet", "fcn") or path.stem.startswith("vaihingen")
    assert recipe.class_weights == ("median" if by_hcnet else "none")


@pytest.mark.parametrize("path", CONFIGS, ids=[path.stem for path in CONFIGS])
def test_shipped_configs_build_their_model_and_open_with_their_command(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", path.read_text()):
        monkeypatch.setenv(name, str(tmp_path))
    scheme = CITYSCAPES if path.stem.startswith("cityscapes") else ISPRS
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump({"classes": list(scheme.names)}))
    config = load_config(path)
    bands = config.data.bands
    assert bands is not None
    network = {
        "classes": len(config.data.classes),
        "in_channels": len(bands),
        "output_stride": config.model.output_stride,
        "preset": config.model.preset,
        **config.model.options,
    }
    small = create_model(config.model.system, encoder="tu-test_resnet", **network).train()
    assert set(config.train.aux_weights) <= set(small(torch.zeros(2, len(bands), 64, 64)).aux)
    monkeypatch.setattr(segmenter, "_check_forward", lambda net: None)
    with torch.device("meta"):  # no memory, nothing computed
        create_model(config.model.system, encoder=config.model.encoder, **network)
    verb = "compare" if config.compare is not None else "train"
    assert f"geoseg {verb} configs/{path.name}" in path.read_text().splitlines()[0]


def test_every_key_of_a_recipe_is_documented() -> None:
    text = (Path(__file__).parents[1] / "docs" / "train.md").read_text()
    keys = {field.name for field in fields(Recipe)} - {"augment"} | {
        f"augment.{field.name}" for field in fields(Augment)
    }
    keys |= {"model.start_from"}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("given", [5, 2.5, None, b"a.yaml", ["data"], object, True])
def test_what_names_no_file_is_no_config(given: Any) -> None:
    for read in (load_config, geoseg.train, lambda value: geoseg.compare(value, out="out")):
        with pytest.raises(ConfigError, match=r": names no file; give a YAML file$") as caught:
            read(given)
        assert "\n" not in str(caught.value)


def test_what_is_wrong_in_a_file_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    file = tmp_path / "mine.yaml"
    wrong = {
        "train: {stepz: 3}": "train.stepz: unknown key; did you mean steps?",
        "train: {steps: 3, warmup: 4}": "train: warmup of 4 steps leaves nothing of 3",
        "extra: ${NOT_SET}": "extra: ${NOT_SET} is not set; set it",
    }
    for text, line in wrong.items():
        file.write_text(f"{yaml.safe_dump(document())}\n{text}\n", encoding="utf-8")
        with pytest.raises(ConfigError, match=f"^{re.escape(f'{file}: {line}')}"):
            load_config(file)


def test_what_an_override_brings_in_is_not_said_to_be_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(document()), encoding="utf-8")
    for override in ("train.stepz=3", "train={stepz: 3}"):
        with pytest.raises(ConfigError, match=r"^train\.stepz: unknown key"):
            load_config(file, [override])
    with pytest.raises(ConfigError, match=r"^train: warmup of 4 steps leaves nothing of 3"):
        load_config(file, ["train.steps=3", "train.warmup=4"])
    with pytest.raises(ConfigError, match=r"^data\.train\[0\]\.imgs: unknown key"):
        load_config(file, ["data.train=[{images: a, labels: b}]", "data.train.0.imgs=c"])
