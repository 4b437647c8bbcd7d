"""What every command shares: the project, the output format, and how documents reach the reader."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from remediate.report.document import Document
    from remediate.service.project import Project


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


pass_settings = click.make_pass_decorator(Settings)

output_option = click.option(
    "--output", "output_", type=click.Choice(["text", "json"]), help="For people, or for programs."
)

PLAN_FILE = click.Path(path_type=Path, dir_okay=False)
KEY_FILE = click.Path(path_type=Path, dir_okay=False)
