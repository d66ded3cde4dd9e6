"""The group that the commands belong to: the options that all have, and one call of a command.

Commands import what they need when they are called, so that ``geoseg --help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from geoseg.cli_options import ThemedCommand


def _remember_debug(context: click.Context, _: click.Parameter, given: bool) -> None:
    """For the whole program: the option may come before or after the command's name."""
    context.obj = bool(context.obj) or given


CONTINUES = "the same command continues where this run stopped"
"""What is said of a command that was interrupted and keeps what it has done."""

_DEBUG = click.Option(
    ["--debug"],
    is_flag=True,
    expose_value=False,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)
_JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print the report as JSON.")


class _Commands(click.Group):
    """The commands; what is wrong with their options is one line."""

    def invoke(self, ctx: click.Context) -> Any:
        as_json = "--json" in ctx.args  # of a command whose options cannot be read
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            from geoseg.program import UsageError

            raise UsageError(error, ctx, as_json=as_json) from error


@click.group(
    cls=_Commands,
    params=[_DEBUG],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="geoseg", message="geoseg %(version)s")
def cli() -> None:
    """Orthophotos of any size to georeferenced class rasters and clean polygons."""


def command(function: Callable[..., None]) -> click.Command:
    """A command with the options that all have, under its function's name.

    A function whose command's name is a word of Python ends in an underscore.
    """
    command = cli.command(function.__name__.rstrip("_"), cls=ThemedCommand)(function)
    command.params += [_DEBUG, _JSON]
    return command


def call(name: str, *arguments: Any, **options: Any) -> None:
    """Run a command and end the program; see `call_command`."""
    from geoseg.program import call_command

    call_command(name, *arguments, debug=bool(click.get_current_context().obj), **options)
