"""SSH keys: one pair for user ``ops``, one per host, and the list of known hosts."""

from __future__ import annotations

from pathlib import Path

from remediate.lab.command import run
from remediate.lab.data import write
from remediate.lab.layout import Layout
from remediate.lab.network import address
from remediate.lab.roster import Host, by_name
from remediate.lab.router_net import loopback

HOST_KEY = "ssh_host_ed25519_key"
#: The part of a host's folder that outlives the host.
FOLDER = "keys"


def key_pair(path: Path, comment: str) -> str:
    """Make the ed25519 pair ``path`` and ``path.pub`` unless it is there; returns the public half."""
    public = path.with_name(path.name + ".pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        # The public half is written last by ssh-keygen: without it the pair is unfinished.
        path.unlink(missing_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
    return public.read_text().strip()


def host_key(layout: Layout, host: str) -> Path:
    """Where a host's private key is kept, so that it stays the same through reset and down."""
    return layout.hosts / host / FOLDER / HOST_KEY


def ensure(layout: Layout, hosts: tuple[Host, ...]) -> None:
    """Make all keys that are missing, and list every host that has one as known."""
    key_pair(layout.ssh_key, "ops@remediate-lab")
    for host in hosts:
        key_pair(host_key(layout, host.name), host.name)
    lines = []
    for public in sorted(layout.hosts.glob(f"*/{FOLDER}/{HOST_KEY}.pub")):
        host = by_name(public.parent.parent.name)
        kind, key, *_ = public.read_text().split()
        names = [host.name, address(layout, host), *([loopback(layout, host)] if host.routes else [])]
        lines.append(f"{','.join(names)} {kind} {key}\n")
    write(layout.known_hosts, "".join(lines))
