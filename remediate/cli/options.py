"""What every command shares: the project, the output format, and how documents reach the reader."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from remediate.report.document import Document
    from remediate.service.project import Project


OUTPUTS = ("text", "json")


@dataclass(frozen=True, slots=True)
class Settings:
    """The global options."""

    project: Path | None
    output: str
    debug: bool

    @property
    def json(self) -> bool:
        """Whether a program reads the output."""
        return self.output == "json"

    def open(self) -> Project:
        """The project that the command is about."""
        from remediate.service.project import Project

        return Project.open(self.project)

    def say(self, text: str) -> None:
        """Progress for a person; never on standard output, which may go to a file or program."""
        if not self.json:
            click.echo(text, err=True)

    def data(self, value: Mapping[str, Any]) -> None:
        """One JSON object for a program."""
        click.echo(json.dumps(value, ensure_ascii=False))

    def document(self, document: Document, format_: str | None = None) -> None:
        """A document in the format that was asked for; on a terminal with its width and colours."""
        from remediate.report.render import render

        chosen = format_ or self.output
        if chosen == "text" and sys.stdout.isatty():
            from rich.console import Console

            from remediate.report.text import write

            write(document, Console())
            return
        click.echo(render(document, chosen), nl=False)


class Listing(click.Group):
    """A group whose list of commands tells each one's whole first sentence."""

    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Titles and the commands below them."""
        return (("Commands", tuple(sorted(self.commands))),)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """One list for each section."""
        for title, names in self.sections():
            if rows := [
                (n, self.commands[n].get_short_help_str(_WHOLE)) for n in names if n in self.commands
            ]:
                with formatter.section(title):
                    formatter.write_dl(rows)


#: Longer than any first sentence.
_WHOLE = 200

pass_settings = click.make_pass_decorator(Settings)


def with_globals(command: click.Command) -> click.Command:
    """Let a command, and all below it, take the global options after its own name as well."""
    command.params += [
        _global(["--project"], "project", click.Path(path_type=Path), "Folder with remediate.toml."),
        _global(["--output"], "output", click.Choice(OUTPUTS), "For people, or for programs."),
        _global(["--debug"], "debug", None, "Show the traceback of an error."),
    ]
    if isinstance(command, click.Group):
        for child in command.commands.values():
            with_globals(child)
    return command


def _global(names: list[str], field: str, type_: click.ParamType[Any] | None, help_: str) -> click.Option:
    def keep(ctx: click.Context, _: click.Parameter, value: object) -> None:
        if value:
            ctx.obj = replace(ctx.obj, **{field: value})

    return click.Option(
        names, type=type_, is_flag=type_ is None, expose_value=False, callback=keep, help=help_
    )


PLAN_FILE = click.Path(path_type=Path, dir_okay=False)
KEY_FILE = click.Path(path_type=Path, dir_okay=False)
