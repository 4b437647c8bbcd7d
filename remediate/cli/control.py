"""pause, resume, abort, decide, accept, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediate.cli.options import KEY_FILE, Settings, pass_settings

if TYPE_CHECKING:
    from remediate.service.control import Told


@click.command("pause")
@click.argument("run")
@pass_settings
def pause(settings: Settings, run: str) -> None:
    """Let the steps in flight end, then wait; undo is never paused."""
    from remediate.service.control import pause as ask

    told = ask(settings.open(), run)
    if settings.json:
        settings.data(told.as_json())
    else:
        click.echo(told)


@click.command("resume")
@click.argument("run")
@pass_settings
def resume(settings: Settings, run: str) -> int:
    """Go on with a paused or interrupted run."""
    from remediate.cli.live import watching
    from remediate.service.control import resume as go_on

    project = settings.open()
    with watching(settings, project) as screen:
        return int(go_on(project, run, screen, lambda told: _told(settings, told)))


@click.command("abort")
@click.argument("run")
@pass_settings
def abort(settings: Settings, run: str) -> int:
    """Finish or undo the step in flight, then roll everything back."""
    from remediate.cli.live import watching
    from remediate.service.control import abort as give_up

    project = settings.open()
    with watching(settings, project) as screen:
        return int(give_up(project, run, screen, lambda told: _told(settings, told)))


@click.command("rollback")
@click.argument("run")
@pass_settings
def rollback(settings: Settings, run: str) -> int:
    """Undo a finished run, while its backups are kept."""
    from remediate.cli.live import watching
    from remediate.service.control import rollback as take_back

    project = settings.open()
    with watching(settings, project) as screen:
        return int(take_back(project, run, screen))


@click.command("decide")
@click.argument("run")
@click.argument("step")
@click.argument("target")
@click.argument("verdict", type=click.Choice(["applied", "not-applied", "overwrite"]))
@click.option("--key", type=KEY_FILE, required=True, help="Your SSH key; the decision is signed.")
@click.option("--comment", default="", help="What you saw.")
@pass_settings
def decide(
    settings: Settings, run: str, step: str, target: str, verdict: str, key: Path, comment: str
) -> None:
    """Settle by your signed word what a run may not settle alone; then `remediate resume RUN`.

    A step in doubt was applied, or was not-applied. An undo that was held back, because somebody else changed
    the same thing since, may overwrite that: what they wrote is lost.
    """
    from remediate.model.step import Verdict
    from remediate.service.approving import decide as settle
    from remediate.service.approving import let_overwrite

    project = settings.open()
    body = (
        let_overwrite(project, run, step, target, key, comment)
        if verdict == "overwrite"
        else settle(project, run, step, target, Verdict(verdict), key, comment)
    )
    if settings.json:
        settings.data(body.model_dump(mode="json"))
    else:
        click.echo(f"{step} on {target}: {verdict}, decided by {body.by}; next: remediate resume {run}")


@click.command("accept")
@click.argument("run")
@click.argument("target")
@click.option("--key", type=KEY_FILE, required=True, help="Your SSH key; the word is signed.")
@click.option("--comment", default="", help="Why it may stay as it is.")
@pass_settings
def accept(settings: Settings, run: str, target: str, key: Path, comment: str) -> None:
    """Keep a target that needs a human as it is now, and let go of it: other plans may have it again."""
    from remediate.service.approving import accept as keep

    body = keep(settings.open(), run, target, key, comment)
    if settings.json:
        settings.data(body.model_dump(mode="json"))
    else:
        click.echo(f"{target} stays as it is; {body.by} answers for it")


def _told(settings: Settings, told: Told) -> None:
    if settings.json:
        settings.data(told.as_json())
    else:
        settings.say(str(told))


COMMANDS = (pause, resume, abort, decide, accept, rollback)
