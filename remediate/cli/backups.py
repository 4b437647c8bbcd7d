"""backups: the large copies that runs have kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from remediate.cli.options import Listing, Settings, pass_settings

if TYPE_CHECKING:
    from remediate.service.backups import Found


@click.group("backups", cls=Listing, invoke_without_command=True)
@click.pass_context
def backups(ctx: click.Context) -> None:
    """Backups of databases that runs made and that are still kept."""
    if ctx.invoked_subcommand is not None:
        return
    from remediate.service.backups import kept

    settings: Settings = ctx.obj
    found = kept(settings.open())
    if settings.json:
        settings.data({"backups": [one.as_json() for one in found]})
    else:
        _table(settings, found)


@backups.command("verify")
@click.argument("backup")
@click.option("--scratch", is_flag=True, help="Restore it to a private server, too, and compare.")
@pass_settings
def verify(settings: Settings, backup: str, scratch: bool) -> int:
    """Prove again that a backup is what was stored."""
    from remediate.errors import Exit, StepFailed
    from remediate.service.backups import chosen
    from remediate.service.backups import verify as prove

    project = settings.open()
    with chosen(project, backup) as one:
        try:
            text, ok = prove(one, scratch), True
        except StepFailed as error:
            text, ok = str(error), False
    text = project.scrub(text)
    if settings.json:
        settings.data({"backup": one.id, "ok": ok, "result": text})
    else:
        click.echo(f"{one.id}: {text}")
    return int(Exit.VERIFIED_NEW if ok else Exit.NEEDS_HUMAN)


@backups.command("restore")
@click.argument("backup")
@click.option(
    "--into", required=True, metavar="NAME", help="Database, directory or file that is not there yet."
)
@pass_settings
def restore(settings: Settings, backup: str, into: str) -> None:
    """Restore a backup elsewhere; nothing is ever overwritten.

    A database is restored into a new one beside it, files into a new directory of this machine, and what a
    command printed into a new file.
    """
    from remediate.service.backups import chosen
    from remediate.service.backups import restore as put

    project = settings.open()
    with chosen(project, backup) as one:
        text = project.scrub(put(one, into))
    if settings.json:
        settings.data({"backup": one.id, "into": into, "result": text})
    else:
        click.echo(text)


@backups.command("prune")
@click.option("--yes", is_flag=True, help="Don't ask.")
@pass_settings
def prune(settings: Settings, yes: bool) -> int:
    """Delete backups whose time is over; never one whose run has not ended or holds its target."""
    from remediate.errors import InputError
    from remediate.service.backups import delete, exit_code, expired

    if settings.json and not yes:
        raise InputError("nobody can be asked when a program reads the output", "add --yes")
    project = settings.open()
    found = expired(project)
    if found and not yes:
        _table(settings, found)
        click.confirm(f"delete {'this one' if len(found) == 1 else f'these {len(found)}'}?", abort=True)
    done = delete(project, found)
    if settings.json:
        settings.data(
            {"backups": [{**one.as_json(), "deleted": ok, "result": text} for one, ok, text in done]}
        )
    else:
        for one, _, text in done:
            click.echo(project.scrub(f"{one.id}: {text}"))
        if not done:
            click.echo("nothing to delete")
    return int(exit_code(done))


def _table(settings: Settings, found: Sequence[Found]) -> None:
    from remediate.report.document import Document, table
    from remediate.service.backups import words

    columns = ("id", "of", "target", "run", "run is", "level", "size", "age", "kept for")
    settings.document(Document("Backups", (table(columns, [words(one) for one in found]),)))


COMMANDS = (backups,)
