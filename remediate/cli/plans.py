"""runbooks, plan, show."""

from __future__ import annotations

from pathlib import Path

import click

from remediate.cli.options import PLAN_FILE, Listing, Settings, pass_settings


@click.group("runbooks", cls=Listing, invoke_without_command=True)
@click.pass_context
def runbooks(ctx: click.Context) -> None:
    """List the runbooks of this project; `show NAME` prints inputs and steps."""
    if ctx.invoked_subcommand is not None:
        return
    settings: Settings = ctx.obj
    from remediate.report.runbooks import list_document
    from remediate.service.runbooks import summaries

    project = settings.open()
    found = summaries(project)
    if settings.json:
        settings.data({"runbooks": [s.as_json() for s in found]})
    else:
        settings.document(list_document(found, project.config.project.name))


@runbooks.command("show")
@click.argument("name")
@pass_settings
def show_runbook(settings: Settings, name: str) -> None:
    """Inputs, targets, strategy and risk of one runbook."""
    from remediate.report.runbooks import runbook_document
    from remediate.service.runbooks import summary

    found = summary(settings.open(), name)
    if settings.json:
        settings.data(found.as_json())
    else:
        settings.document(runbook_document(found))


@click.command("plan")
@click.argument("name")
@click.option("--ticket", required=True, help="The ticket that asks for this change.")
@click.option(
    "--set", "values", multiple=True, metavar="KEY=VALUE", help="An input of the runbook; once for each."
)
@click.option("--inventory", type=click.Path(path_type=Path), help="Another inventory than the project's.")
@click.option("--limit", metavar="PATTERN", help="Only these of the runbook's targets.")
@click.option("--window", metavar="START/END", help="The maintenance window, e.g. 2026-11-28T22:00/02:00.")
@click.option("-o", "--out", "file", type=PLAN_FILE, required=True, help="Where to write the plan.")
@pass_settings
def plan(
    settings: Settings,
    name: str,
    ticket: str,
    values: tuple[str, ...],
    inventory: Path | None,
    limit: str | None,
    window: str | None,
    file: Path,
) -> None:
    """Compile a runbook into a plan file; reads the targets, changes nothing, prints the digest."""
    from remediate.report.words import count
    from remediate.service import planning

    project = settings.open()
    planning.refuse_existing(file)
    made = planning.make_plan(
        project,
        name,
        ticket=ticket,
        settings=values,
        inventory=inventory,
        limit=limit,
        window=planning.window_of(project, window) if window else None,
        progress=settings.say,
    )
    planning.save_plan(made, file)
    where = planning.announce(project, made)
    if settings.json:
        settings.data({"file": str(file), "digest": made.digest, "plan": made.id, "ticket": where})
        return
    settings.say(
        f"{count(len(made.targets), 'target')} in {count(len(made.waves), 'wave')}, "
        f"{count(len(made.steps), 'step')}, "
        f"risk {made.risk.level}; on ticket {where}"
    )
    settings.say(f"next: remediate show {file}, then remediate approve {file} --key KEY")
    click.echo(made.digest)


@click.command("show")
@click.argument("file", type=PLAN_FILE)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "html", "json"]),
    help="How to print it; default: as --output says.",
)
@click.option("--digest", is_flag=True, help="Only the digest that an approval signs.")
@pass_settings
def show(settings: Settings, file: Path, format_: str | None, digest: bool) -> None:
    """What a plan will do, where, when, at what risk, and how it rolls back."""
    from remediate.report.plan import plan_document
    from remediate.service.planning import read_plan
    from remediate.service.project import load_extensions

    load_extensions()
    made = read_plan(file)
    if digest and settings.json:
        settings.data({"digest": made.digest})
    elif digest:
        click.echo(made.digest)
    else:
        settings.document(plan_document(made, str(file)), format_)


COMMANDS = (runbooks, plan, show)
