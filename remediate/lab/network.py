"""The lab's network: a bridge on the machine, and for each host a namespace with one cable to it."""

from __future__ import annotations

import json
from pathlib import Path

from remediate.lab.command import LabError, run
from remediate.lab.layout import Layout
from remediate.lab.roster import Host

NETNS = Path("/run/netns")
LINKS = Path("/sys/class/net")


def address(layout: Layout, host: Host) -> str:
    """A host's address."""
    return f"{layout.network}.{host.number}"


def bridge_up(layout: Layout) -> None:
    """Make the bridge, with the machine's own address on it; two labs can't have the same."""
    bridge = layout.bridge
    for link in json.loads(run("ip", "-json", "addr", "show", "to", f"{layout.gateway}/32")):
        if link and link["ifname"] != bridge:
            raise LabError(f"{layout.gateway} is in use by {link['ifname']}", "give this lab another network")
    if not (LINKS / bridge).exists():
        run("ip", "link", "add", bridge, "type", "bridge")
    run("ip", "addr", "replace", f"{layout.gateway}/24", "dev", bridge)
    run("ip", "link", "set", bridge, "up")


def bridge_down(layout: Layout) -> None:
    """Remove the bridge."""
    if (LINKS / layout.bridge).exists():
        run("ip", "link", "del", layout.bridge)


def plug(layout: Layout, host: Host) -> Path:
    """Give ``host`` its namespace and cable; returns the namespace's path. Repairs what is half there."""
    name = layout.link(host.name)
    if not _complete(layout, host):
        unplug(layout, host.name)
        run("ip", "netns", "add", name)
        run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", name, "master", layout.bridge)
        commands = f"addr add {address(layout, host)}/24 dev eth0\nlink set lo up\nlink set eth0 up\n"
        run("ip", "-n", name, "-batch", "-", stdin=commands)
    run("ip", "link", "set", name, "up")
    return NETNS / name


def _complete(layout: Layout, host: Host) -> bool:
    """Whether namespace, cable and address are all there (a killed ``up`` may leave any part)."""
    name = layout.link(host.name)
    if not (NETNS / name).exists() or not (LINKS / name / "brport").exists():
        return False
    shown = run("ip", "-n", name, "-4", "-oneline", "addr", "show", "dev", "eth0", check=False)
    return f" {address(layout, host)}/" in shown


def unplug(layout: Layout, host: str) -> None:
    """Remove a host's cable and namespace.

    The cable goes first and by name: deleting the namespace alone leaves it for as long as
    anything still holds the namespace.
    """
    name = layout.link(host)
    if (LINKS / name).exists():
        run("ip", "link", "del", name)
    if (NETNS / name).exists():
        run("ip", "netns", "del", name)


def set_cable(layout: Layout, host: str, *, up: bool) -> None:
    """Connect a host's cable, or cut it: packets then vanish without any answer."""
    run("ip", "link", "set", layout.link(host), "up" if up else "down")


def plugged(layout: Layout) -> tuple[str, ...]:
    """Names of all hosts that have a cable or a namespace, also of labs that were not ended cleanly."""
    start = f"{layout.prefix}-"
    found = [path.name for folder in (NETNS, LINKS) if folder.is_dir() for path in folder.iterdir()]
    return tuple(sorted({name.removeprefix(start) for name in found if name.startswith(start)}))
