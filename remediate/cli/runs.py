"""run, and what it shows while it runs."""

from __future__ import annotations

from pathlib import Path

import click

from remediate.cli.options import PLAN_FILE, Settings, pass_settings


@click.command("run")
@click.argument("file", type=PLAN_FILE)
@pass_settings
def run(settings: Settings, file: Path) -> int:
    """Execute an approved plan; the same command goes on with a run that was interrupted or killed.

    Ctrl-C stops after the step in flight; the run can be taken up again at any time.
    """
    from remediate.cli.live import watching
    from remediate.service.running import execute

    project = settings.open()
    with watching(settings, project) as screen:
        return int(execute(project, file, screen))


COMMANDS = (run,)
