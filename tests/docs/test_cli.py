"""docs/cli.md is what the program says, and every command line in the documentation can be parsed."""

from __future__ import annotations

import contextlib
import os
import shlex

import click
import pytest

from remediate.cli.main import cli
from remediate.cli.options import Settings
from tests.docs import cli_text
from tests.docs.blocks import DOCS, ROOT, blocks, commands, pages

CLI = DOCS / "cli.md"
#: What ends the part of a shell line that is ours.
_SHELL = {"|", ">", ">>", "2>", "&&", "||", ";", "&"}


def test_the_page_is_generated() -> None:
    wanted = cli_text.text()
    if os.environ.get("REMEDIATE_GOLDEN") == "update":
        CLI.write_text(wanted, encoding="utf-8")
    assert CLI.read_text(encoding="utf-8") == wanted, "REMEDIATE_GOLDEN=update pytest tests/docs/test_cli.py"


def test_every_command_and_option_stands_there() -> None:
    page = CLI.read_text(encoding="utf-8")
    for path, command in cli_text.walk():
        assert f"# remediate {' '.join(path)}\n" in page
        options = [p for p in command.params if isinstance(p, click.Option)]
        missing = [n for p in options for n in p.opts if f"`{n}" not in page and f", {n}" not in page]
        assert not missing, path


def _ours(line: str) -> list[str] | None:
    """The arguments of a `remediate` call at the beginning of a line, None if it is another program's."""
    words: list[str] = []
    for word in shlex.split(line, comments=True):
        if word in _SHELL:
            break
        words.append(word)
    while words and "=" in words[0] and not words[0].startswith("-"):
        words.pop(0)  # VARIABLE=value before the command
    if words[:1] == ["sudo"]:
        words.pop(0)
    return words[1:] if words[:1] == ["remediate"] else None


def _parse(command: click.Command, arguments: list[str], parent: click.Context | None = None) -> None:
    """Parse as click does, down to the last subcommand, without doing anything."""
    settings = Settings(None, "text", debug=False)
    context = command.make_context(command.name or "", list(arguments), parent=parent, obj=settings)
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    if isinstance(command, click.Group) and rest:
        name, child, arguments = command.resolve_command(context, rest)
        assert name is not None
        assert child is not None
        _parse(child, arguments, context)


def _all_commands() -> list[tuple[str, list[str]]]:
    found = []
    for page in (*pages(), *([ROOT / "README.md"] if (ROOT / "README.md").exists() else [])):
        for block in blocks(page, "console"):
            for number, line in commands(block):
                if (arguments := _ours(line)) is not None:
                    found.append((f"{page.relative_to(ROOT)}:{number}", arguments))
    return found


@pytest.mark.parametrize(("where", "arguments"), [pytest.param(w, a, id=w) for w, a in _all_commands()])
def test_a_documented_command_line_parses(where: str, arguments: list[str]) -> None:
    try:
        with contextlib.suppress(click.exceptions.Exit):  # --help and --version end the parsing
            _parse(cli, arguments)
    except click.UsageError as error:
        pytest.fail(f"{where}: remediate {shlex.join(arguments)}: {error.format_message()}")
