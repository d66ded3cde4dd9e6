"""The commands as functions of Python: a bar where someone looks, warnings as logged lines."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable
from typing import Any

from geoseg.errors import ConfigError, shown
from geoseg.failures import LOG
from geoseg.lazy import uncollected
from geoseg.progress import Progress
from geoseg.report import Report
from geoseg.terminal import shown_progress

_COMMANDS = ("compare", "evaluate", "predict", "prepare", "train", "vectorize")


def __getattr__(name: str) -> Any:  # PEP 562: a command is imported when it is first used
    if name not in _COMMANDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with uncollected():
        module = importlib.import_module(f"geoseg.commands.{name}")
    return _call(module.run, name)


def _call(run: Callable[..., Report], name: str) -> Callable[..., Report]:
    """``run`` of a command, with what a person who calls it by hand wants to see."""
    signature = inspect.signature(run)
    shows = "progress" in signature.parameters

    @functools.wraps(run)
    def call(*arguments: Any, **options: Any) -> Report:
        try:
            signature.bind(*arguments, **options)
        except TypeError as error:
            raise TypeError(f"geoseg.{name}: {error}") from None
        if shows and options.get("progress") is None:
            options["progress"] = shown_progress()
        if shows and not isinstance(options["progress"], Progress):
            raise ConfigError(
                f"progress {shown(options['progress'])}: give a geoseg.progress.Progress"
            )
        report = run(*arguments, **options)
        for line in report.warnings:
            LOG.warning("%s", line)
        for line in report.data.get("failures", []):
            LOG.error("%s", line)
        return report

    call.__name__ = call.__qualname__ = name
    return call
