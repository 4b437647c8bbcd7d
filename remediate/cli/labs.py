"""lab, doctor."""

from __future__ import annotations

from typing import Literal

import click

from remediate.cli.options import Listing, Settings, pass_settings


class Extra(click.ParamType[str]):
    """The name of an extra part of the lab. What there is, is asked only when one is named: to be quick."""

    name = "part"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name, if there is such a part."""
        from remediate.lab.lab import NAMES

        if value not in NAMES:
            self.fail(f"{value!r} is none of {', '.join(NAMES)}", param, ctx)
        return value


extras_option = click.option(
    "--with",
    "extras",
    type=Extra(),
    multiple=True,
    help="A part that is not there by itself, such as databases or monitoring; once for each.",
)


@click.group("lab", cls=Listing)
def lab() -> None:
    """The lab on this machine: real hosts, a load balancer, a ticket server."""


@lab.command("up")
@click.option("--hosts", type=click.IntRange(5, 60), default=5, show_default=True, help="How many hosts.")
@extras_option
@pass_settings
def up(settings: Settings, hosts: int, extras: tuple[str, ...]) -> None:
    """Install what is missing, build once, start; what runs is left as it is."""
    from remediate.lab import lab as parts

    parts.up(settings.say, hosts=hosts, extras=extras)
    _table(settings)


@lab.command("down")
def down() -> None:
    """Stop and remove everything that the lab started, also after a crash; caches stay."""
    from remediate.lab import lab as parts

    parts.down()


@lab.command("reset")
@pass_settings
def reset(settings: Settings) -> None:
    """Put everything back as it was after the first `up`."""
    from remediate.lab import lab as parts

    parts.reset(settings.say)
    _table(settings)


@lab.command("status")
@pass_settings
def status(settings: Settings) -> int:
    """How each part is right now; exit code 1 unless all is up."""
    return _table(settings)


@lab.command("ticket")
@click.argument("subject")
@click.option("--priority", type=click.Choice(["urgent", "high", "normal", "low"]), default="normal")
@click.option("--text", default="", help="What the customer writes.")
@pass_settings
def ticket(
    settings: Settings, subject: str, priority: Literal["urgent", "high", "normal", "low"], text: str
) -> None:
    """Open a change request in the lab's ticket server, as its customer; prints the number."""
    from remediate.lab.rt import RequestTracker

    made = RequestTracker().create_change(subject, text or subject, "customer@lab.example", priority)
    if settings.json:
        settings.data({"ticket": made})
    else:
        click.echo(made)


@lab.command("approve")
@click.argument("ticket", type=int)
def approve(ticket: int) -> None:
    """Approve a change request in the lab's ticket server, as its change manager."""
    from remediate.lab.rt import RequestTracker

    RequestTracker().approve(ticket)


def _table(settings: Settings) -> int:
    from remediate.lab import lab as parts

    items = parts.status()
    if settings.json:
        settings.data(
            {"items": [{"name": i.name, "address": i.address, "state": i.state, "detail": i.detail}
                       for i in items]}
        )  # fmt: skip
    else:
        for item in items:
            colour = {"up": "green", "broken": "red"}.get(item.state, "yellow")
            click.echo(
                f"{item.name:<10} {item.address:<24} {click.style(item.state, fg=colour)} {item.detail}"
            )
    return 0 if all(i.state == "up" for i in items) else 1


@click.command("doctor")
@extras_option
@pass_settings
def doctor(settings: Settings, extras: tuple[str, ...]) -> int:
    """What this machine lacks, and the command that mends it."""
    from remediate.lab.doctor import checks

    found = checks(extras)
    if settings.json:
        settings.data(
            {
                "checks": [
                    {"name": f.name, "ok": f.ok, "problem": f.problem, "remedy": f.remedy} for f in found
                ]
            }
        )
    else:
        for finding in found:
            mark = click.style("ok     ", fg="green") if finding.ok else click.style("missing", fg="red")
            click.echo(f"{mark} {finding.name}{': ' + finding.problem if finding.problem else ''}")
            if finding.remedy:
                click.echo(f"        next: {finding.remedy}")
    return 0 if all(f.ok for f in found) else 3


COMMANDS = (lab, doctor)
