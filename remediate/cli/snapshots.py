"""snapshots: what runs have left in vCenter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from remediate.cli.options import Listing, Settings, pass_settings

if TYPE_CHECKING:
    from remediate.service.snapshots import Left


class _Duration(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from remediate.model.base import seconds

        try:
            return seconds(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


_retention = click.option(
    "--retention", type=_Duration(), default="72h", show_default=True, help="Older ones are overdue."
)


@click.group("snapshots", cls=Listing, invoke_without_command=True)
@click.option("--overdue", is_flag=True, help="Only those that are overdue.")
@_retention
@click.pass_context
def snapshots(ctx: click.Context, overdue: bool, retention: float) -> None:
    """Snapshots of virtual machines that runs made and that are still there."""
    if ctx.invoked_subcommand is not None:
        return
    from remediate.service.snapshots import left

    settings: Settings = ctx.obj
    found = [s for s in left(settings.open(), retention) if s.overdue or not overdue]
    if settings.json:
        settings.data({"snapshots": [s.as_json() for s in found]})
    else:
        _table(settings, found)


@snapshots.command("clean")
@click.argument("run", required=False)
@click.option("--overdue", is_flag=True, help="All overdue ones whose run is finished.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@_retention
@pass_settings
def clean(settings: Settings, run: str | None, overdue: bool, yes: bool, retention: float) -> int:
    """Delete snapshots of a finished run, or all overdue ones; a rollback can't use them any more."""
    from remediate.errors import InputError
    from remediate.service.snapshots import choose, delete, exit_code

    if (run is None) != overdue:
        raise InputError("say which run, or --overdue", "`remediate snapshots` lists them")
    if settings.json and not yes:
        raise InputError("nobody can be asked when a program reads the output", "add --yes")
    project = settings.open()
    chosen = choose(project, run, retention)
    if chosen and not yes:
        _table(settings, chosen)
        click.confirm(f"delete {'this one' if len(chosen) == 1 else f'these {len(chosen)}'}?", abort=True)
    done = delete(project, chosen)
    if settings.json:
        rows = [{**s.as_json(), "deleted": ok, "result": project.scrub(text)} for s, ok, text in done]
        settings.data({"snapshots": rows})
    else:
        for one, _, text in done:
            click.echo(project.scrub(f"{one.machine}: {text}"))
        if not done:
            click.echo("nothing to delete")
    return int(exit_code(done))


def _table(settings: Settings, found: Sequence[Left]) -> None:
    from remediate.report.document import Document, table
    from remediate.service.snapshots import words

    columns = ("machine", "run", "run is", "age", "size", "verdict")
    settings.document(Document("Snapshots", (table(columns, [words(s) for s in found]),)))


COMMANDS = (snapshots,)
