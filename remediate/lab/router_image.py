"""The image layers of routers (FRR, BIRD) with the users of network engineers, and of the desk behind them.

A router has no user ``ops``. On FRR, ``admin`` has the router's own shell (vtysh) and nothing else; on both,
``netops`` has a Unix shell and may do by sudo exactly what the files below ``sudoers.d`` say.
"""

from __future__ import annotations

from remediate.lab.data import FILES
from remediate.lab.root import Root

#: Fixed, so that a router's configuration can be written before its image is looked into.
NETOPS_ID = "1001"
ADMIN_ID = "1002"


def make_frr(root: Root) -> None:
    """FRR with its integrated configuration, and ``admin`` and ``netops``."""
    root.install("frr", "frr-pythontools", "traceroute")
    root.copy(FILES / "frr")
    _users(root, "frrvty,frr")
    root.run("useradd", "--create-home", "--uid", ADMIN_ID, "--groups", "frrvty,frr",
             "--shell", "/usr/bin/vtysh", "admin")  # fmt: skip
    root.run("systemctl", "enable", "frr.service", "lab-interfaces.service")


def make_bird(root: Root) -> None:
    """BIRD 2 and ``netops``."""
    root.install("bird2", "traceroute")
    root.copy(FILES / "bird")
    _users(root, "bird")
    root.run("systemctl", "enable", "bird.service")


def make_desk(root: Root) -> None:
    """What a user behind a router looks at the network with."""
    root.install("traceroute")


def _users(root: Root, groups: str) -> None:
    """``netops`` instead of ``ops``."""
    root.run("userdel", "--remove", "ops", check=False)
    (root.path / "etc/sudoers.d/ops").unlink()
    (root.path / "etc/sudoers.d/netops").chmod(0o440)
    root.run("useradd", "--create-home", "--uid", NETOPS_ID, "--groups", f"adm,systemd-journal,{groups}",
             "--shell", "/bin/bash", "netops")  # fmt: skip
