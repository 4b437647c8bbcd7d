"""How apt and dpkg are called: never asking, keeping changed configuration files, waiting for the lock."""

from __future__ import annotations

from collections.abc import Iterable

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBIAN_PRIORITY": "critical",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_MODE": "l",
}

#: A configuration file that somebody changed stays; one that nobody changed follows its package (dpkg(1)).
_KEEP = ("--force-confdef", "--force-confold")
_LOCK_SECONDS = 300

OPTIONS = (
    "--yes",
    "--allow-downgrades",
    "--no-remove",
    "-o",
    f"DPkg::Lock::Timeout={_LOCK_SECONDS}",
    *(word for option in _KEEP for word in ("-o", f"Dpkg::Options::={option}")),
)

#: What dpkg may leave beside a configuration file.
LEFTOVERS = (".dpkg-dist", ".dpkg-old", ".dpkg-new", ".dpkg-tmp")


#: Ends what a killed dpkg left half-way.
SETTLE = ["dpkg", *_KEEP, "--configure", "--pending"]


def install(name: str, version: str) -> list[str]:
    """Bring one package to one version."""
    return ["apt-get", *OPTIONS, "install", "--", f"{name}={version}"]


def put_back(debs: Iterable[str]) -> list[str]:
    """Install package files whatever is there now; dpkg itself, because apt refuses a half-done state."""
    return ["dpkg", "--force-downgrade", *_KEEP, "--install", *debs]


def with_leftovers(conffiles: Iterable[str]) -> tuple[str, ...]:
    """Configuration files and what dpkg may put beside them."""
    return tuple(path + suffix for path in conffiles for suffix in ("", *LEFTOVERS))


def locked(text: str) -> bool:
    """Whether dpkg said that another process holds its lock."""
    signs = ("frontend lock", "lock was locked by another process", "database area is locked")
    return any(sign in text for sign in signs)
