"""approve, deny."""

from __future__ import annotations

from pathlib import Path

import click

from remediate.cli.options import KEY_FILE, PLAN_FILE, Settings, pass_settings

_KEY_HELP = "Your SSH key; name the .pub file to sign with the agent or a hardware key."
_AS_HELP = "Your principal in allowed_signers, if your key stands there more than once."


@click.command("approve")
@click.argument("file", type=PLAN_FILE)
@click.option("--key", type=KEY_FILE, required=True, help=_KEY_HELP)
@click.option("--comment", default="", help="Kept with the signature.")
@click.option("--as", "principal", metavar="PRINCIPAL", help=_AS_HELP)
@pass_settings
def approve(settings: Settings, file: Path, key: Path, comment: str, principal: str | None) -> None:
    """Sign a plan, so that it may run once."""
    from remediate.service import approving

    envelope, standing = approving.approve(settings.open(), file, key, comment, principal)
    if settings.json:
        settings.data(
            {"envelope": str(envelope), "approved": standing.approved, "missing": list(standing.missing),
             "blocked": list(standing.blocked), "refusals": list(standing.refusals)}
        )  # fmt: skip
        return
    click.echo(f"signed: {envelope}")
    for word, reasons in (
        ("in the way", standing.blocked),
        ("still needed", standing.missing),
        ("does not count", standing.refusals),
    ):
        for reason in reasons:
            click.echo(f"{word}: {reason}")
    if standing.approved:
        click.echo(f"approved; next: remediate run {file}")
    else:
        click.echo("not approved yet" if not standing.blocked else "not approved, and may not run as it is")


@click.command("deny")
@click.argument("file", type=PLAN_FILE)
@click.option("--key", type=KEY_FILE, required=True, help=_KEY_HELP)
@click.option("--comment", required=True, help="Why.")
@click.option("--as", "principal", metavar="PRINCIPAL", help=_AS_HELP)
@click.option("--revoke", is_flag=True, help="Only take your own earlier approval back.")
@pass_settings
def deny(
    settings: Settings, file: Path, key: Path, comment: str, principal: str | None, revoke: bool
) -> None:
    """Refuse a plan, or take an approval back; also stops a run that is under way."""
    from remediate.service import approving

    envelope = approving.deny(settings.open(), file, key, comment, principal, revoke)
    if settings.json:
        settings.data({"envelope": str(envelope)})
    else:
        click.echo(f"signed: {envelope}")


COMMANDS = (approve, deny)
