"""The YAML of a training run: read once, refused with path and reason, frozen from then on."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from geoseg.config_data import Data, PathText, Section
from geoseg.errors import ConfigError, shown
from geoseg.models.spec import check_system
from geoseg.report import shorten
from geoseg.training.recipe import Recipe
from geoseg.training.summary import metric_names
from geoseg.yaml_files import expand, first_error, override, read_yaml

_FREE_IN_RESUME: Any = {
    "compare": True,
    "data": {"train", "val"},  # may have moved; their pixels are compared when the state is loaded
    "train": {"device", "precision", "workers", "cache"}
    | {"patience", "pictures", "save_every", "tensorboard"},
}
"""Keys that a resumed run may change: no step depends on them."""


class Network(Section):
    """What `create_model` makes."""

    system: Annotated[str, AfterValidator(check_system)]
    preset: str = "geoseg"
    encoder: str | None = None
    """smp's name, or timm's after ``tu-``; left out, resnet50 (none where none is needed)."""
    encoder_weights: PathText | None = None
    """``imagenet``, a file, ``positions:FILE`` or ``package:NAME``."""
    start_from: PathText | None = None
    """A geoseg model file of the same architecture to start from; classes and bands may differ."""
    output_stride: int | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the system."""
    license: str | None = None
    """Under which the model file may be used; written into its card."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Network:
        if self.start_from is not None and self.encoder_weights is not None:
            raise ValueError(
                "start_from and encoder_weights are both given; a network begins with one of them"
            )
        return self


class Lattice(Section):
    """How the model is run by default; validation runs it in the same way."""

    window: Annotated[int, Field(ge=1)]
    """Left out, the longer side of the crop: context over another area has other statistics."""
    overlap: Annotated[int, Field(ge=0)]
    """Left out, a quarter of the window."""

    @model_validator(mode="after")
    def _overlap_fits(self) -> Lattice:
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} does not fit window {self.window}; use less")
        return self


class Comparison(Section):
    """What ``geoseg compare`` compares; everything else is in the config."""

    systems: tuple[str, ...] = ()
    """Systems by name, with their preset's options; ``model.options`` go to ``model.system``."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """``name: {key.path: value, ...}``: what differs from the config."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)] = (0, 1, 2)
    """Each variant is trained once per seed, so that differences are paired."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """The budget of each run; left out, ``train.steps``."""
    baseline: str | None = None
    """The variant that the others are compared with; left out, the first one."""

    @model_validator(mode="after")
    def _names(self) -> Comparison:
        names = [*self.systems, *self.variants]
        if not names:
            raise ValueError(
                "nothing to compare; "
                "give systems: [hcnet, fcn] or variants: {name: {key.path: value}}"
            )
        twice = {name for name in names if names.count(name) > 1} | {
            s for s in self.seeds if self.seeds.count(s) > 1
        }
        if twice:
            raise ValueError(f"{min(map(str, twice))} is given twice; name variants and seeds once")
        for name in names:
            if name in ("", ".", "..") or set(name) & set('/\\:*?"<>|'):
                raise ValueError(
                    f'variant {shown(name)} cannot name a folder; leave out / \\ : * ? " < > |'
                )
        if self.baseline is not None and self.baseline not in names:
            raise ValueError(f"baseline {self.baseline!r} is not one of {shorten(names, 20)}")
        return self

    def changes(self, own: str) -> dict[str, dict[str, Any]]:
        """What each variant sets, by its name.

        Args:
            own: the config's own system, which keeps ``model.options``.
        """
        systems: dict[str, dict[str, Any]] = {
            name: {}
            if name == own
            else {"model.system": name, "model.options": {}, "model.preset": "geoseg"}
            for name in self.systems
        }
        return systems | self.variants


class TrainConfig(Section):
    """A whole config file."""

    data: Data
    model: Network
    train: Recipe = Field(default_factory=Recipe)
    predict: Lattice = Field(default=None, validate_default=True)
    compare: Comparison | None = None

    @field_validator("predict", mode="before")
    @classmethod
    def _complete_from_crop(cls, given: Any, known: ValidationInfo) -> Any:
        """Fill in what is left out: a network is run on windows like those it was trained on."""
        given = {} if given is None else given
        if not isinstance(given, Mapping) or "train" not in known.data:
            return given
        window = given.get("window", max(known.data["train"].crop_size))
        quarter = {"overlap": window // 4} if isinstance(window, int) else {}
        return {"window": window, **quarter, **given}

    @model_validator(mode="after")
    def _best_by_exists(self) -> TrainConfig:
        known, given = metric_names(self.data.scheme.names), self.train.best_by
        if given not in known:
            near = difflib.get_close_matches(given, known, n=1)
            raise ValueError(
                f"train.best_by: there is no metric {given!r}; "
                + (f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}")
            )
        if self.train.patience is not None and not self.data.val:
            raise ValueError(
                "train.patience: nothing is validated; give data.val, or leave patience out"
            )
        return self


def load_config(
    source: str | os.PathLike[str] | Mapping[str, Any], overrides: Iterable[str] = ()
) -> TrainConfig:
    """A config from a YAML file or from the mapping that it would hold.

    Args:
        source: path, or mapping. ``${NAME}`` in any text is replaced by the environment's; relative
            paths count from the working directory.
        overrides: ``key.path=value`` each, the value in YAML.

    Raises:
        ConfigError: the file is missing or no YAML, a variable is unset, or a key or value is
            wrong.
    """
    document = source if isinstance(source, Mapping) else read_yaml(source)
    if not isinstance(document, Mapping):
        raise ConfigError(f"{source}: holds a list; give the keys data, model, train and predict")
    assignments = list(overrides)
    for assignment in assignments:
        document = override(document, assignment)
    try:
        document = expand(document)
        return TrainConfig.model_validate(document)
    except ValidationError as error:
        line = first_error(error, document, TrainConfig)
    except ConfigError as error:  # of a variable
        line = str(error)
    raise ConfigError(_naming_file(line, source, assignments))


def _naming_file(line: str, source: Any, assignments: Iterable[str]) -> str:
    """What is wrong with a config, and in which file, unless an override may have brought it in.

    Args:
        line: begins with the key.
        source: a path, or the mapping of a caller, which has no name.
        assignments: ``key.path=value`` each.
    """
    key = re.sub(r"\[(\d+)\]", r".\1", line.partition(":")[0])
    set_keys = [assignment.partition("=")[0].strip() for assignment in assignments]
    overridden = any(_is_within(key, each) or _is_within(each, key) for each in set_keys)
    return line if overridden or isinstance(source, Mapping) else f"{source}: {line}"


def _is_within(key: str, section: str) -> bool:
    return f"{key}.".startswith(f"{section}.")


def require_same_config(began: TrainConfig, now: TrainConfig, folder: Path) -> None:
    """Refuse to continue a run under another config, `_FREE_IN_RESUME` aside.

    Raises:
        ConfigError: with the first key that differs.
    """
    was, is_now = (
        _flat(config.model_dump(mode="json", exclude=_FREE_IN_RESUME)) for config in (began, now)
    )
    for key in sorted(was.keys() | is_now.keys()):
        if was.get(key) != is_now.get(key):
            raise ConfigError(
                f"{key}: {is_now.get(key)!r}, but the run in {folder} began with "
                f"{was.get(key)!r}; set it back, or start a new run in another --out"
            )


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    """``{key.path: value}`` of everything in nested mappings."""
    if not isinstance(node, Mapping):
        return {path: node}
    parts = (_flat(value, f"{path}.{key}" if path else key) for key, value in node.items())
    return {key: value for part in parts for key, value in part.items()}


def dump_config(config: TrainConfig) -> str:
    """The YAML of a config with everything resolved; `load_config` reads it back."""
    document = config.model_dump(mode="json")
    return yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=110)
