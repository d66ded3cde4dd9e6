"""One call of a command: its report printed, its errors in a line each, the program's exit code."""

from __future__ import annotations

import functools
import importlib
import io
import json
import logging
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NoReturn

import click

from geoseg.errors import GeosegError
from geoseg.failures import EXIT_NOTHING_BEGUN, LOG, exit_code_of, failure_line
from geoseg.foreign import without_secrets
from geoseg.lazy import uncollected
from geoseg.progress import Progress
from geoseg.report import Report, finite
from geoseg.stopping import EXIT_CODES, STOPPING
from geoseg.terminal import TerminalProgress


class UsageError(click.ClickException):
    """A command line that click refuses, reported in one line as all errors are."""

    exit_code = EXIT_NOTHING_BEGUN

    def __init__(self, error: click.UsageError, context: click.Context, *, as_json: bool) -> None:
        called = f"{context.command_path} {context.invoked_subcommand or ''}"
        command = error.ctx.command_path if error.ctx else called
        problem = " ".join(error.format_message().split()).rstrip(".")
        super().__init__(f"{problem}; {command.strip()} --help shows what there is")
        self._as_json = as_json

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002  (click's own signature)
        """Print it, on stderr and, if wanted, as JSON on stdout."""
        _print_error([self.message], "UsageError", self.exit_code, as_json=self._as_json)


def call_command(
    command: str,
    *arguments: Any,
    as_json: bool,
    debug: bool,
    quiet: bool | None = None,
    after_interrupt: str = "run it again",
    **options: Any,
) -> None:
    """Run a command, print its report and end with its exit code; an error is a line on stderr.

    Args:
        command: its name; ``geoseg.commands.<name>.run`` is called.
        arguments: of that function.
        as_json: print the report, or the error, as JSON.
        debug: show the tracebacks of errors.
        quiet: print errors only; None for a command that shows no progress.
        after_interrupt: what to do after an interrupted run.
        options: of that function.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # names need not be in the terminal's encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    if quiet is not None:
        options["progress"] = Progress() if quiet else TerminalProgress()
    try:
        STOPPING.begin(f"geoseg: interrupted; {after_interrupt}")
        with _tracebacks(shown=debug):
            outcome = _outcome(command, *arguments, **options)
        STOPPING.end()
    except KeyboardInterrupt:
        _end_interrupted()
    if isinstance(outcome, Exception):
        if STOPPING.exit_code:  # what the signal broke: workers got it too
            _end_interrupted()
        _end_by(outcome, command, as_json=as_json, debug=debug)
    _print_report(outcome, as_json=as_json, quiet=bool(quiet))
    sys.exit(outcome.exit_code)


def _outcome(command: str, *arguments: Any, **options: Any) -> Report | Exception:
    """What a command returns or raises."""
    try:
        with uncollected():
            module = importlib.import_module(f"geoseg.commands.{command}")
        report: Report = module.run(*arguments, **options)
    except Exception as error:
        return error
    return report


def _end_interrupted() -> NoReturn:
    STOPPING.say(functools.partial(click.echo, err=True))
    sys.exit(STOPPING.exit_code or EXIT_CODES[signal.SIGINT])


def _end_by(error: Exception, command: str, *, as_json: bool, debug: bool) -> NoReturn:
    if debug:
        text = "".join(traceback.format_exception(error))
        print(without_secrets(text), end="", file=sys.stderr)  # noqa: T201
    lines = [failure_line(command.rstrip("_"), error)]
    if isinstance(error, GeosegError):
        lines = str(error).splitlines()
    _print_error(lines, type(error).__name__, exit_code_of(error), as_json=as_json)
    sys.exit(exit_code_of(error))


def _print_report(report: Report, *, as_json: bool, quiet: bool) -> None:
    for line in [] if quiet else report.warnings:
        click.echo(f"geoseg: warning: {line}", err=True)
    for line in report.data.get("failures", []):
        click.echo(f"geoseg: {line}", err=True)
    if as_json:
        _print_json(report.data)
    elif not quiet:
        click.echo(report.text)


def _print_error(lines: list[str], kind: str, exit_code: int, *, as_json: bool) -> None:
    for line in lines:
        click.echo(f"geoseg: {line}", err=True)
    if as_json:
        _print_json({"error": kind, "exit_code": exit_code, "failures": lines})


def _print_json(document: Any) -> None:
    click.echo(json.dumps(finite(document), indent=2, allow_nan=False))


class _Formatter(logging.Formatter):
    """As usual, without the signatures of URLs."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


@contextmanager
def _tracebacks(*, shown: bool) -> Iterator[None]:
    """Print the tracebacks of failed inputs to stderr, if wanted."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    if shown:
        LOG.addHandler(handler)
        LOG.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.setLevel(logging.NOTSET)
