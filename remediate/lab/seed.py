"""What makes one host itself: its name, keys, certificate and role settings, over the shared image."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from remediate.lab import ca, databases, payments, router_config
from remediate.lab.data import FILES, write
from remediate.lab.keys import HOST_KEY, host_key
from remediate.lab.layout import Layout
from remediate.lab.network import address
from remediate.lab.roster import Host

#: Who may log in, where it isn't ``ops``; the first is whose place it is.
USERS: dict[str, tuple[str, ...]] = {"frr": ("admin", "netops"), "bird": ("netops",)}

LEGACY_BEFORE = "legacy_checkout = off"
LEGACY_AFTER = "legacy_checkout = on"


def seed(layout: Layout, host: Host, neighbours: tuple[Host, ...], upper: Path) -> None:
    """Write a pristine upper directory for ``host``; it appears whole or not at all.

    Args:
        layout: the lab.
        host: whose it is.
        neighbours: all hosts of the lab, which know each other by name.
        upper: the directory to make; must not exist.
    """
    part = upper.with_name(f"{upper.name}.part")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(parents=True)
    part.chmod(0o755)
    for name, (text, mode) in _files(layout, host, neighbours).items():
        write(part / name, text, mode)
    # A directory's mode in the overlay is that of its uppermost layer.
    for folder in part.rglob("*"):
        if folder.is_dir():
            folder.chmod(0o755)
    part.rename(upper)


def _files(layout: Layout, host: Host, neighbours: tuple[Host, ...]) -> dict[str, tuple[str, int]]:
    """Content and mode by path below the root."""
    key = host_key(layout, host.name)
    lines = [f"{address(layout, other)} {other.name}\n" for other in neighbours]
    files = {
        "etc/hostname": (f"{host.name}\n", 0o644),
        "etc/hosts": ("127.0.0.1 localhost\n" + "".join(lines), 0o644),
        "etc/machine-id": (f"{_machine_id(layout, host)}\n", 0o444),
        f"etc/ssh/{HOST_KEY}": (key.read_text(), 0o600),
        f"etc/ssh/{HOST_KEY}.pub": (key.with_name(f"{HOST_KEY}.pub").read_text(), 0o644),
        "etc/ssl/lab-ca.pem": (ca.ensure(layout.ca).read_text(), 0o644),
    }
    for user in USERS.get(host.role, ("ops",)):
        files[f"etc/ssh/authorized_keys/{user}"] = (layout.ssh_key.with_suffix(".pub").read_text(), 0o644)
    if host.role == "frr":
        files["etc/frr/frr.conf"] = (router_config.frr(layout, host), 0o640)
    if host.role == "bird":
        files["etc/bird/bird.conf"] = (router_config.bird(layout, host), 0o640)
    if host.role == "web":
        certificate, secret = ca.issue(layout.ca, host.name, address(layout, host))
        files["etc/nginx/tls/shop.crt"] = (certificate, 0o644)
        files["etc/nginx/tls/shop.key"] = (secret, 0o600)
    if host.legacy:
        settings = (FILES / "shop/etc/shop/shop.conf").read_text()
        files["etc/shop/shop.conf"] = (settings.replace(LEGACY_BEFORE, LEGACY_AFTER), 0o644)
    if host.role == "db":
        files |= databases.accounts(layout)
    pays = any(other.role == "db" for other in neighbours)
    if host.pooled and pays:
        files |= payments.files(layout)
    if host.role == "lb":
        pool = [f"    server {web.name} {address(layout, web)}:80\n" for web in neighbours if web.pooled]
        if pays:
            pool.append(payments.pool(layout, neighbours))
        files["etc/haproxy/haproxy.cfg"] = ((FILES / "lb/haproxy.cfg").read_text() + "".join(pool), 0o644)
    return files


def _machine_id(layout: Layout, host: Host) -> str:
    """The same id at every start, another for every host of every lab."""
    return hashlib.sha256(f"{layout.prefix} {host.name}".encode()).hexdigest()[:32]
