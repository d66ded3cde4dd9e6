"""A file's tensors put into a network by a name table, with an account of every one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from geoseg.errors import ModelError
from geoseg.importing.rules import Rule
from geoseg.report import counted

USED, CHANGED, FOLDED, LEFT_OUT, INITIAL = "used", "changed", "folded", "left out", "initial"
"""What became of a tensor: taken as it is; taken after a change; added to another one; without a
use; or a tensor of the network that no tensor of the file has filled."""
_COUNTER = "num_batches_tracked"
"""Steps that a batch normalisation has trained; without a use where its momentum is fixed."""
_COUNTERS_NOTE = "step counters of normalisations"
_ASKED = "as --leave-out asks"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of tensors that one rule fits."""

    source: str
    """The beginning of their names in the file; empty for those that the file lacks."""
    target: str
    """The beginning of their names in the network; empty for those left out."""
    what: str
    """One of the words above."""
    note: str
    """Why, or what was changed."""
    tensors: tuple[str, ...]
    """Their names in the file, or, where it lacks them, in the network."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user does without."""

    leave_out: Sequence[str] = ()
    """Beginnings of the names of the file's tensors that may be without a use."""
    initial: Sequence[str] = ()
    """Beginnings of the names of the network's tensors that may keep random initial values."""


class Placing:
    """The tensors of one file on their way into one network.

    Args:
        where: the file, for messages.
        network: what it is, for messages.
        wanted: the network's tensors by name, with their initial values.
        wishes: of the user.
    """

    def __init__(
        self, where: str, network: str, wanted: Mapping[str, Tensor], wishes: Wishes
    ) -> None:
        self.where, self.network, self.wanted, self.wishes = where, network, wanted, wishes
        self._placed: dict[str, Tensor] = {}
        self._biases: dict[str, Tensor] = {}
        self._unknown: list[str] = []
        self._misfits: list[str] = []
        self._told: dict[tuple[str, str, str, str], list[str]] = {}

    def place(self, tensors: Mapping[str, Tensor], rules: Iterable[Rule]) -> dict[str, Tensor]:
        """All tensors of the network.

        Raises:
            ModelError: a tensor has another shape, is of no layer, or one of the network is missing
                and none of them was named; the message says what to do.
        """
        by_length = sorted(rules, key=lambda rule: len(rule.source), reverse=True)
        for name, tensor in tensors.items():
            self._place_one(name, tensor, next((r for r in by_length if r.fits(name)), None))
        self._refuse_unknown()
        if self._misfits:  # after those without a place, which tell more of another network
            raise ModelError(self._misfits[0])
        for norm, bias in self._biases.items():
            mean = f"{norm}.running_mean"
            if mean in self._placed:
                self._placed[mean] = self._placed[mean] - bias
        return self._completed()

    def entries(self) -> list[Entry]:
        """The account of all tensors, in the file's order."""
        return [Entry(*key, tuple(names)) for key, names in self._told.items()]

    def _place_one(self, name: str, tensor: Tensor, rule: Rule | None) -> None:
        asked = next((each for each in self.wishes.leave_out if _begins(name, each)), None)
        if asked is not None:
            self._tell(asked, "", LEFT_OUT, _ASKED, name)
            return
        target = None if rule is None else rule.place(name)
        if rule is None or (target is not None and not self._takes(target, rule)):
            if name.endswith(_COUNTER):
                self._tell(f"*.{_COUNTER}", "", LEFT_OUT, _COUNTERS_NOTE, name)
            else:
                self._unknown.append(name)
        elif target is None:
            self._tell(rule.source, "", LEFT_OUT, rule.note, name)
        elif target not in self.wanted:
            norm = str(rule.bias_into)
            self._biases[norm] = tensor.float()
            self._tell(name, f"{norm}.running_mean", FOLDED, "a bias before a norm", name)
        elif target in self._placed:
            self._misfits.append(
                f"{self.where}: {name!r} is a second tensor for {target!r} of {self.network}; do "
                f"without it by --leave-out {name}"
            )
        else:
            self._placed[target] = self._fitted(name, target, tensor, rule)
            how = (CHANGED, rule.note) if rule.change else (USED, "")
            self._tell(rule.source, rule.target or "", *how, name)

    def _takes(self, target: str, rule: Rule) -> bool:
        """Whether the network has this tensor, or a norm that takes up what it would be."""
        return target in self.wanted or (rule.bias_into is not None and target.endswith(".bias"))

    def _fitted(self, name: str, target: str, tensor: Tensor, rule: Rule) -> Tensor:
        """The tensor as the network has it."""
        wanted = self.wanted[target]
        found = tensor if rule.change is None else rule.change(tensor)
        if found.shape != wanted.shape:
            self._misfits.append(
                f"{self.where}: {name!r} is {tuple(tensor.shape)}, {target!r} of {self.network} is "
                f"{tuple(wanted.shape)}; give the --encoder and --option of the file's network"
            )
        return found.to(wanted.dtype)

    def _refuse_unknown(self) -> None:
        if self._unknown:
            raise ModelError(
                f"{self.where}: {_first(self._unknown)} of no layer of {self.network}; give the "
                "--encoder and --as of the file's network, or do without by --leave-out "
                f"{_module_of(self._unknown[0])}"
            )

    def _completed(self) -> dict[str, Tensor]:
        """The placed tensors, and those that the file may lack."""
        complete, missing = dict(self._placed), []
        for name, initial in self.wanted.items():
            if name in complete:
                continue
            if name.endswith(_COUNTER):
                complete[name] = torch.zeros_like(initial)
            elif any(_begins(name, each) for each in self.wishes.initial):
                complete[name] = initial
                self._tell("", name.rpartition(".")[0], INITIAL, "as --initial asks", name)
            else:
                missing.append(name)
        if missing:
            raise ModelError(
                f"{self.where}: {_first(missing)} of {self.network} but not in the file; give the "
                "--encoder and --option of the file's network, or begin at random by --initial "
                f"{_module_of(missing[0])}"
            )
        return complete

    def _tell(self, source: str, target: str, what: str, note: str, name: str) -> None:
        self._told.setdefault((source, target, what, note), []).append(name)


def _begins(name: str, beginning: str) -> bool:
    return name == beginning or name.startswith(f"{beginning}.")


def _first(names: Sequence[str]) -> str:
    """The first of some tensors and how many more there are, and that they are."""
    if len(names) == 1:
        return f"{names[0]!r} is"
    return f"{names[0]!r} and {counted(len(names) - 1, 'more tensor')} are"


def _module_of(name: str) -> str:
    """What a tensor is of: its name without the last part."""
    return name.rpartition(".")[0] or name


def table(entries: Sequence[Entry]) -> list[str]:
    """The account as lines of columns: from the file, into the network, how many, what."""
    rows = [("in the file", "in the network", "tensors", "")]
    rows += [
        (
            entry.source or "-",
            entry.target or "-",
            str(len(entry.tensors)),
            entry.what + (f": {entry.note}" if entry.note else ""),
        )
        for entry in entries
    ]
    one, two, three = (max(len(row[column]) for row in rows) for column in range(3))
    return [f"{a:<{one}}  {b:<{two}}  {c:>{three}}  {d}".rstrip() for a, b, c, d in rows]


def summary(entries: Sequence[Entry]) -> dict[str, int]:
    """How many tensors met each of the five ends."""
    counts = dict.fromkeys((USED, CHANGED, FOLDED, LEFT_OUT, INITIAL), 0)
    for entry in entries:
        counts[entry.what] += len(entry.tensors)
    return counts
