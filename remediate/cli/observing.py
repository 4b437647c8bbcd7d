"""runs, status, watch, log, report, audit: readers of the journal."""

from __future__ import annotations

import json
import time

import click

from remediate.cli.options import Settings, pass_settings
from remediate.cli.streams import nobody_reads


@click.command("runs")
@pass_settings
def runs(settings: Settings) -> None:
    """All runs, the newest last."""
    from remediate.report.runs import runs_document
    from remediate.service.runs import overview

    project = settings.open()
    rows = overview(project)
    if settings.json:
        settings.data({"runs": [r.as_json() for r in rows]})
    else:
        settings.document(runs_document(rows, project.config.project.name))


@click.command("status")
@click.argument("run")
@pass_settings
def status(settings: Settings, run: str) -> int:
    """Where a run stands; the exit code is the run's own, 6 while it goes on."""
    from remediate.errors import Exit
    from remediate.report.runs import status_document
    from remediate.service.runs import load_run, row

    project = settings.open()
    loaded = load_run(project, run)
    short = row(project, loaded)
    if settings.json:
        settings.data(short.as_json())
    else:
        settings.document(status_document(short, loaded.plan, loaded.events))
    return loaded.state.finished.exit_code if loaded.state.finished else int(Exit.WAITING)


@click.command("log")
@click.argument("run")
@pass_settings
def log(settings: Settings, run: str) -> None:
    """All events of a run, a line each."""
    from remediate.report.lines import line
    from remediate.service.runs import load_run

    project = settings.open()
    loaded = load_run(project, run)
    for event in loaded.events:
        text = json.dumps(event.as_json(), ensure_ascii=False) if settings.json else line(event, loaded.plan)
        click.echo(project.scrub(text))


@click.command("watch")
@click.argument("run")
@pass_settings
def watch(settings: Settings, run: str) -> int:
    """Follow a run that another process executes, to its end."""
    from remediate.errors import Exit
    from remediate.report.lines import line
    from remediate.service.runs import living_runner, load_run

    project = settings.open()
    loaded = load_run(project, run)
    number = 0
    while True:
        for event in project.journal.events(loaded.run, number):
            number = event.number
            as_json = json.dumps(event.as_json(), ensure_ascii=False)
            click.echo(project.scrub(as_json if settings.json else line(event, loaded.plan)))
        loaded = load_run(project, loaded.run)
        if nobody_reads():
            return int(Exit.WAITING)
        if loaded.state.number > number:
            continue
        if loaded.state.finished is not None:
            return loaded.state.finished.exit_code
        if living_runner(project, loaded.run) is None:
            settings.say(f"nobody executes it now; `remediate resume {loaded.run}` goes on")
            return int(Exit.WAITING)
        time.sleep(0.5)


@click.command("report")
@click.argument("run")
@click.option("--format", "format_", type=click.Choice(["text", "markdown", "html", "json"]))
@pass_settings
def report(settings: Settings, run: str, format_: str | None) -> None:
    """The whole story of a run: what was done, what was checked, how each target ended."""
    from remediate.report.run import run_document
    from remediate.service.runs import load_run

    project = settings.open()
    loaded = load_run(project, run)
    name = project.config.project.name
    settings.document(run_document(loaded.plan, loaded.events, name).mapped(project.scrub), format_)


@click.command("audit")
@click.argument("run", required=False)
@click.option("--all", "everything", is_flag=True, help="Every run of the journal.")
@pass_settings
def audit(settings: Settings, run: str | None, everything: bool) -> int:
    """Verify the journal by its hashes, signatures and tickets, and judge each run by the invariants."""
    from remediate.errors import Exit, InputError
    from remediate.report.words import count
    from remediate.service.auditing import audit_runs

    if (run is None) != everything:
        raise InputError("say which run, or --all", "`remediate runs` lists them")
    project = settings.open()
    findings = audit_runs(project, None if everything else run)
    if settings.json:
        settings.data({"findings": findings})
    else:
        for finding in findings:
            click.echo(finding)
        click.echo(count(len(findings), "finding") if findings else "whole: every record and signature holds")
    return int(Exit.NEEDS_HUMAN if findings else Exit.VERIFIED_NEW)


COMMANDS = (runs, status, watch, log, report, audit)
