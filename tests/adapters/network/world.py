"""Routers of a lab of these tests' own as targets."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from remediate.lab import router_net
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.network import address
from remediate.lab.roster import by_name
from remediate.model.target import Target

T = TypeVar("T")

#: Fixed, so that the next session finds and removes what a killed one has left.
LAYOUT = Layout(Path("/var/lib/remediate-lab-net"), "rmnet", "10.213.92")
ROUTERS = 4


def router(name: str, *, inband: bool = False, layout: Layout = LAYOUT, **more: JsonValue) -> Target:
    """A router as the lab's inventory describes it; ``inband``: by the network that it routes itself."""
    host = by_name(name)
    own: dict[str, JsonValue] = {
        "network_platform": "frr",
        "network_maintenance_user": "netops",
        "ansible_ssh_private_key_file": str(layout.ssh_key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_timeout": 3,
        "remediate_known_hosts": str(layout.known_hosts),
    }
    where = router_net.loopback(layout, host) if inband else address(layout, host)
    return Target(name=name, address=where, user="admin", vars={**own, **more})


def desk(layout: Layout = LAYOUT) -> Target:
    """The host in site A."""
    own: dict[str, JsonValue] = {
        "ansible_ssh_private_key_file": str(layout.ssh_key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "remediate_known_hosts": str(layout.known_hosts),
    }
    return Target(name="desk1", address=address(layout, by_name("desk1")), user="ops", vars=own)


def shown(lab: Hosts, name: str) -> str:
    """A router's running configuration, past the product and past the network that it routes."""
    return lab.exec(name, ["show", "running-config"], user="admin", timeout=10).stdout


def enter(lab: Hosts, name: str, *lines: str) -> None:
    """Lines that somebody else enters."""
    done = lab.exec(
        name, [], user="admin", stdin="\n".join(["configure terminal", *lines, "end", "exit", ""])
    )
    assert "%" not in done.stdout, done.stdout


def protect(lab: Hosts, name: str) -> None:
    """Nothing can be saved on this router any more. It writes as root: only an immutable folder stops it."""
    folder = lab.layout.hosts / name / "upper/etc/frr"
    subprocess.run(["chattr", "-R", "+i", folder], check=True)


def release(lab: Hosts) -> None:
    """Undo `protect`, wherever it is in force: what is immutable can't be deleted either."""
    for folder in lab.layout.hosts.glob("*/upper/etc/frr"):
        subprocess.run(["chattr", "-R", "-i", folder], check=True)


def until(ask: Callable[[], T], seconds: float = 30.0, what: str = "") -> T:
    """The first answer that is true, asked every few milliseconds."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or ask}"
        time.sleep(0.05)
    return answer
