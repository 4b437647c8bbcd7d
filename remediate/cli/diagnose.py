"""diagnose."""

from __future__ import annotations

from pathlib import Path

import click

from remediate.cli.options import Settings, pass_settings


@click.command("diagnose")
@click.argument("targets")
@click.option("--ticket", required=True, help="The ticket that reports the trouble.")
@click.option("--inventory", type=click.Path(path_type=Path), help="Another inventory than the project's.")
@click.option(
    "--capture",
    type=click.FloatRange(1, 300),
    metavar="SECONDS",
    help="Capture packets for so long, headers only, with tcpdump.",
)
@click.option("--capture-filter", default="", metavar="TEXT", help="Which packets, see pcap-filter(7).")
@pass_settings
def diagnose(
    settings: Settings,
    targets: str,
    ticket: str,
    inventory: Path | None,
    capture: float | None,
    capture_filter: str,
) -> int:
    """Collect logs, configuration, resources and recent changes; attach them to the ticket; name runbooks."""
    from remediate.adapters.diagnosis.capture import Wanted
    from remediate.errors import Exit, InputError
    from remediate.report.diagnosis import diagnosis_document
    from remediate.service.diagnosing import diagnose as read

    if capture_filter and capture is None:
        raise InputError("--capture-filter says which packets, but not for how long", "add --capture SECONDS")
    found = read(
        settings.open(),
        targets,
        ticket=ticket,
        inventory=inventory,
        packets=Wanted(capture, capture_filter) if capture is not None else None,
        progress=settings.say,
    )
    if settings.json:
        settings.data(found.as_json())
    else:
        settings.document(diagnosis_document(found))
    return int(Exit.NEEDS_HUMAN if len(found.unread) == len(found.targets) else Exit.VERIFIED_NEW)


COMMANDS = (diagnose,)
