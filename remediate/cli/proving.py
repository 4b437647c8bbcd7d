"""test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remediate.cli.options import Settings, pass_settings

if TYPE_CHECKING:
    from remediate.model.proof import CaseResult, Proof

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_MOMENTS = ("before", "during", "after", "finished")


@click.command("test")
@click.argument("name")
@click.option(
    "--set", "values", multiple=True, metavar="KEY=VALUE", help="An input of the runbook; once for each."
)
@click.option("--inventory", type=click.Path(path_type=Path), help="Another inventory than the project's.")
@click.option("--limit", metavar="PATTERN", help="Only these of the runbook's targets.")
@click.option("--step", "steps", multiple=True, metavar="ID", help="Break only this step; once for each.")
@click.option(
    "--moment",
    "moments",
    type=click.Choice(_MOMENTS),
    multiple=True,
    help="Break it only then; once for each.",
)
@click.option("--watch", multiple=True, metavar="PATH", help="Compare this folder of hosts, too.")
@click.option("--junit", type=_FILE, help="Write the results there as JUnit XML.")
@click.option("--keep", type=_FOLDER, help="Keep journals and logs of the runs in this new folder.")
@pass_settings
def test(
    settings: Settings,
    name: str,
    values: tuple[str, ...],
    inventory: Path | None,
    limit: str | None,
    steps: tuple[str, ...],
    moments: tuple[str, ...],
    watch: tuple[str, ...],
    junit: Path | None,
    keep: Path | None,
) -> int:
    """Prove a runbook's rollback: break each step in the lab, and compare all of the hosts with before.

    Only hosts of the lab on this machine are broken, and those that the project declares disposable.
    The exit code is 0 if everything was put back each time, 5 if not.
    """
    from remediate.cli.live import stoppable
    from remediate.lab.lab import hosts
    from remediate.model.proof import Moment
    from remediate.report.proof import case_line, proof_document
    from remediate.service.proof.prove import Asked, Audience, prove

    project = settings.open()

    def done(number: int, of: int, result: CaseResult) -> None:
        settings.say(f"{number}/{of} {case_line(result)}")

    asked = Asked(
        runbook=name,
        settings=values,
        inventory=inventory,
        limit=limit,
        steps=steps,
        moments=tuple(map(Moment, moments)),
        watch=watch,
        keep=keep,
    )
    with stoppable(lambda: settings.say(_STOPPING)) as interrupted:
        proof = prove(project, asked, Audience(settings.say, done, interrupted), hosts())
        stopped = interrupted()
    if junit is not None:
        _write(junit, proof)
    if settings.json:
        settings.data(proof.model_dump(mode="json") | {"restored": proof.restored})
    else:
        settings.document(proof_document(proof))
    return _code(proof, stopped=stopped)


_STOPPING = "stopping once this case has taken itself back (Ctrl-C again: at once, and the lab is reset)"


def _write(file: Path, proof: Proof) -> None:
    from remediate.errors import InputError
    from remediate.report.junit import junit

    try:
        file.write_bytes(junit(proof))
    except OSError as error:
        raise InputError(f"{file}: can't be written: {error.strerror}", "name another place") from None


def _code(proof: Proof, *, stopped: bool) -> int:
    from remediate.errors import Exit

    if proof.restored:
        return int(Exit.VERIFIED_NEW)
    only_stopped = stopped and all(r.ending != "not restored" for r in proof.results)
    return int(Exit.INTERRUPTED if only_stopped else Exit.NEEDS_HUMAN)


COMMANDS = (test,)
