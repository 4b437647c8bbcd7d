"""Where a lab lives and what its parts are called: the main lab, and small second ones for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from remediate.lab.interface import HOME

MOST_PREFIX = 7


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and places of one lab; two labs with different values never touch each other.

    Args:
        home: everything this lab writes.
        prefix: begins the name of every namespace, link and cgroup; at most 7 characters, because
            a link's name (prefix, dash, host) has at most 15 (IFNAMSIZ).
        network: the first three numbers of a /24; the machine itself is ``.1``.
        cache: built images, shared by all labs of the machine.
    """

    home: Path = HOME
    prefix: str = "rmlab"
    network: str = "10.213.77"
    cache: Path = HOME / "cache"

    def __post_init__(self) -> None:
        if len(self.prefix) > MOST_PREFIX:
            raise ValueError(f"prefix {self.prefix!r} is longer than {MOST_PREFIX} characters")

    @property
    def bridge(self) -> str:
        """The link that all hosts hang on."""
        return f"{self.prefix}0"

    @property
    def gateway(self) -> str:
        """The machine's own address in the lab."""
        return f"{self.network}.1"

    @property
    def ssh_key(self) -> Path:
        """Private key of user ``ops``."""
        return self.home / "ssh" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys, for strict checking."""
        return self.home / "ssh" / "known_hosts"

    @property
    def ca(self) -> Path:
        """Folder of the lab's certificate authority (``ca.pem``, ``ca.key``)."""
        return self.home / "ca"

    @property
    def hosts(self) -> Path:
        """One folder per host."""
        return self.home / "hosts"

    def link(self, host: str) -> str:
        """Name of a host's namespace and of the machine's end of its cable."""
        return f"{self.prefix}-{host}"


MAIN = Layout()
