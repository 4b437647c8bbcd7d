"""The command line's entry: global options, one subcommand per use case, errors to exit codes.

Nothing heavy is imported here: `remediate --help` has to answer at once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from itertools import pairwise
from pathlib import Path

import click

import remediate
from remediate.cli import (
    approvals,
    backups,
    control,
    diagnose,
    labs,
    observing,
    plans,
    proving,
    runs,
    snapshots,
)
from remediate.cli.options import OUTPUTS, Listing, Settings, with_globals
from remediate.cli.streams import prepare
from remediate.errors import Exit, InputError, RemediateError

_GROUPS = (
    ("Plan and approve", ("runbooks", "plan", "show", "approve", "deny")),
    ("Run", ("run", "pause", "resume", "abort", "decide", "accept", "rollback")),
    ("Look", ("diagnose", "runs", "status", "watch", "log", "report", "audit", "snapshots", "backups")),
    ("Prove", ("test",)),
    ("Machine", ("lab", "doctor")),
)


class Commands(Listing):
    """Lists commands in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """All names, in the order of the groups."""
        return [name for _, names in _GROUPS for name in names if name in self.commands]

    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """One for each group."""
        return _GROUPS


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 verified new, 2 usage, 3 refused, 4 rolled back and verified original, "
    "5 needs a human, 6 waiting (approval, pause, ticket), 130 interrupted and resumable, 1 internal error.",
)
@click.version_option(remediate.__version__, prog_name="remediate")
@click.option("--project", type=click.Path(path_type=Path), help="Folder with remediate.toml.")
@click.option("--output", type=click.Choice(OUTPUTS), help="For people, or for programs.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, project: Path | None, output: str | None, debug: bool) -> None:
    """Carry out approved fixes on real infrastructure, one verified step at a time.

    \b
    A fix goes this way:
      remediate plan NAME --ticket ID --set key=value -o fix.plan.json
      remediate show fix.plan.json
      remediate approve fix.plan.json --key ~/.ssh/id_ed25519
      remediate run fix.plan.json
    """
    ctx.obj = Settings(project, output or _output_of_environment(), debug)


def _output_of_environment() -> str:
    named = os.environ.get("REMEDIATE_OUTPUT") or "text"
    if named not in OUTPUTS:
        raise InputError(
            f"REMEDIATE_OUTPUT: {named!r} is no output format",
            f"set it to {' or '.join(OUTPUTS)}, or unset it",
        )
    return named


for module in (plans, approvals, runs, control, diagnose, observing, snapshots, backups, proving, labs):
    for command in module.COMMANDS:
        cli.add_command(with_globals(command))


def main() -> None:
    """Run the command line and leave with its exit code. Only here does the program exit."""
    prepare()
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """The command line as a function: returns the exit code."""
    try:
        return int(cli.main(args=argv, prog_name="remediate", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return int(Exit.INTERRUPTED)
    except Exception as error:
        if "--debug" in argv or os.environ.get("REMEDIATE_DEBUG") == "1":
            from remediate.credentials.scrub import scrub_all

            click.echo(scrub_all("".join(traceback.format_exception(error)), guess=True), err=True)
        return int(_explain(error, _wants_json(argv)))


def _explain(error: Exception, as_json: bool) -> Exit:
    """Say what is wrong and what to do next; returns the exit code."""
    if isinstance(error, click.ClickException):
        if as_json:
            _json_error(error.format_message(), "", Exit.USAGE)
        else:
            error.show()
        return Exit.USAGE
    if not isinstance(error, RemediateError):
        problem = f"internal error: {type(error).__name__}: {_plainly(error)}"
        error = RemediateError(problem, "run it again with --debug and report what it prints")
    _say(error, as_json)
    return error.exit_code


def _plainly(error: Exception) -> str:
    from pydantic import ValidationError

    from remediate.model.wording import wrong

    return wrong(error) if isinstance(error, ValidationError) else str(error)


def _wants_json(argv: list[str]) -> bool:
    asked = any(a == "--output=json" or (a, b) == ("--output", "json") for a, b in pairwise([*argv, ""]))
    return asked or os.environ.get("REMEDIATE_OUTPUT") == "json"


def _say(error: RemediateError, as_json: bool) -> None:
    from remediate.credentials.scrub import scrub_all
    from remediate.report.safe import LONG, safe

    # Not what only looks like a secret: advice is about passwords, too.
    problem, advice = (
        safe(scrub_all(text, guess=False), LONG, lines=True) for text in (error.problem, error.advice)
    )
    if as_json:
        _json_error(problem, advice, error.exit_code)
        return
    click.secho("error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(problem, err=True)
    if advice:
        click.secho("next:  ", fg="cyan", nl=False, err=True)
        click.echo(advice, err=True)


def _json_error(problem: str, advice: str, code: Exit) -> None:
    click.echo(json.dumps({"error": problem, "advice": advice, "exit_code": int(code)}), err=True)
