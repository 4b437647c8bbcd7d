"""docs/cli.md, as it has to read: every command with its options, out of the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from remediate.cli.main import cli

Path = tuple[str, ...]

_GLOBAL = ("project", "output", "debug")

HEAD = """\
# Command line

This page is generated from the program: `REMEDIATE_GOLDEN=update pytest tests/docs/test_cli.py` writes it.
The words here are those of `remediate COMMAND --help`. A run is named by its id, by a beginning of it that
no other run has, or as `last`. [Exit codes](operations.md#exit-codes) are the same for every command.

These options stand before or after the command's name:
"""


def text() -> str:
    """The whole page."""
    parts = [HEAD, *_table(cli)]
    for name in cli.list_commands(click.Context(cli)):
        parts += _command(("remediate", name), cli.commands[name])
    return "\n".join(parts).rstrip() + "\n"


def walk(command: click.Command = cli, path: Path = ()) -> Iterator[tuple[Path, click.Command]]:
    """Every command with its path: ``("lab", "up")``."""
    if path:
        yield path, command
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from walk(child, (*path, name))


def _own(command: click.Command) -> list[click.Option]:
    """Its options without those that every command takes."""
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    return options if command is cli else [p for p in options if p.name not in _GLOBAL]


def _table(command: click.Command) -> list[str]:
    rows = [f"| `{_names(option)}` | {_meaning(option)} |" for option in _own(command)]
    return ["| option | meaning |", "|---|---|", *rows, ""] if rows else []


def _names(option: click.Option) -> str:
    metavar = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command('x')))}"
    return (", ".join((*option.opts, *option.secondary_opts)) + metavar).replace("|", "\\|")


def _meaning(option: click.Option) -> str:
    notes = [option.help or ""]
    if option.required:
        notes.append("Required.")
    if option.multiple:
        notes.append("May be repeated.")
    if option.show_default and option.default is not None:
        notes.append(f"Default: {option.default}.")
    return " ".join(n for n in notes if n).replace("|", "\\|")


def _command(path: tuple[str, ...], command: click.Command) -> list[str]:
    arguments = [_argument(p) for p in command.params if isinstance(p, click.Argument)]
    usage = [*path, *arguments, *(["[OPTIONS]"] if _own(command) else [])]
    if isinstance(command, click.Group):
        usage += ["[COMMAND]"] if command.invoke_without_command else ["COMMAND"]
    level = "#" * len(path)
    parts = [f"{level} {' '.join(path)}", "", "```text", " ".join(usage), "```", "", _help(command), ""]
    parts += _table(command)
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            parts += _command((*path, name), command.commands[name])
    return parts


def _argument(argument: click.Argument) -> str:
    name = (argument.metavar or argument.name or "").upper()
    return name if argument.required else f"[{name}]"


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("\b\n", "")
