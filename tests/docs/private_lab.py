"""The command line over a small lab of its own, which `remediate lab …` acts on, too.

``python -m tests.docs.private_lab ARGUMENTS`` is ``remediate ARGUMENTS``.
"""

from __future__ import annotations

from pathlib import Path

from remediate.cli.main import main
from remediate.lab import lab, rt
from remediate.lab.hosts import Hosts
from remediate.lab.interface import Component
from remediate.lab.layout import MAIN, Layout
from remediate.lab.people import People
from remediate.lab.roster import DEFAULT

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-docs"), "rmdocs", "10.213.80")
PORT = 8977


class Tracker(rt.RequestTracker):
    """The ticket server of this lab."""

    def __init__(self, home: Path = LAYOUT.home, port: int = PORT) -> None:
        super().__init__(home, port)


def components(hosts: int = DEFAULT, databases: bool = False) -> tuple[Component, ...]:
    """Its parts."""
    return (Hosts(LAYOUT, hosts, databases=databases), Tracker(), People(LAYOUT.home))


def here(text: str) -> str:
    """Text about the machine's lab as text about this one."""
    text = text.replace(f"{MAIN.home}/", f"{LAYOUT.home}/").replace(f":{rt.PORT}", f":{PORT}")
    return text.replace(f"{MAIN.network}.", f"{LAYOUT.network}.")


if __name__ == "__main__":
    lab.components = components
    lab.EXTRAS = {}
    lab.LOCK = LAYOUT.home / "lab.lock"
    rt.RequestTracker = Tracker  # type: ignore[misc]
    main()
