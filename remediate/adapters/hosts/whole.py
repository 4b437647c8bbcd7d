"""A whole host: watched files, packages, units; and the balancer's pools that steps change."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.haproxy import AdminSocket, Member
from remediate.adapters.hosts.pool import PoolMember
from remediate.adapters.hosts.step import rendered
from remediate.adapters.whole import Looking, WholeReader
from remediate.model.base import State
from remediate.model.step import Context, Step

#: Read on every host.
WATCHED = ("/etc", "/opt", "/srv", "/usr/local", "/var/www")
#: Written by the host itself, whoever works on it; and why.
VOLATILE_FILES = {
    "/etc/.pwd.lock": "a lock",
    "/etc/adjtime": "the hardware clock's drift",
    "/etc/ld.so.cache": "made again whenever a package comes or goes",
    "/etc/mtab": "what is mounted now",
    "/etc/resolv.conf": "written by the network",
    "*/__pycache__": "compiled when a program is started",
}
#: Units that come and go by themselves; and why.
VOLATILE_UNITS = {
    "apt-daily*": "run by the clock",
    "dpkg-db-backup*": "run by the clock",
    "e2scrub*": "run by the clock",
    "fstrim*": "run by the clock",
    "logrotate*": "run by the clock",
    "man-db*": "run by the clock",
    "systemd-tmpfiles-clean*": "run by the clock",
    "run-*": "made for one command",
    "remediate-*": "made for one command",
    "ssh@*": "a login",
    "user@*": "a login",
    "user-runtime-dir@*": "a login",
    "systemd-hostnamed.service": "started by whoever asks it",
    "systemd-localed.service": "started by whoever asks it",
    "systemd-timedated.service": "started by whoever asks it",
}
_SETTLE_SECONDS = 20.0
_POLL_SECONDS = 0.2


class WholeHost(WholeReader):
    """Whatever has a shell."""

    kind: ClassVar[str] = "host"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:  # noqa: ARG002
        """Devices with a command line of their own are read by their own reader."""
        return "network_platform" not in context.target.vars

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """In one round trip."""
        found = connect(context).whole(
            [*WATCHED, *looking.watch], [*VOLATILE_FILES, *_named(looking.ignore)], [*VOLATILE_UNITS]
        )
        words = {"files": "file", "packages": "package", "units": "unit"}
        return {
            f"{words[kind]}:{_text(name)}": {k: _plain(v) for k, v in fact.items()}
            for kind, facts in found.items()
            for name, fact in facts.items()
        }


class WholePool(WholeReader):
    """Every server of the pools that steps take servers out of."""

    kind: ClassVar[str] = "pool"

    def applies(self, context: Context, steps: Sequence[Step]) -> bool:
        """The plan says it."""
        return any(_pools(context, steps))

    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:  # noqa: ARG002
        """As the balancer says, once it has asked its servers again."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            found = dict(_members(context, steps))
            if all(m.takes_traffic for m in found.values()) or time.monotonic() > deadline:
                return {k: {"admin": m.admin, "running": m.running} for k, m in found.items()}
            time.sleep(_POLL_SECONDS)


def _pools(context: Context, steps: Sequence[Step]) -> Iterator[tuple[str, str, str]]:
    """Balancer, backend and socket."""
    target = context.target
    for step in steps:
        if isinstance(step, PoolMember):
            yield rendered(target, step.balancer), rendered(target, step.backend), step.socket


def _members(context: Context, steps: Sequence[Step]) -> Iterator[tuple[str, Member]]:
    for balancer, backend, socket in dict.fromkeys(_pools(context, steps)):
        peer = context.peers.get(balancer, context.target)
        for member in AdminSocket(connect(context, peer), socket).members(backend).values():
            yield f"pool:{balancer}/{backend}/{member.name}", member


def _named(patterns: Sequence[str]) -> list[str]:
    """Those of files; not even read then."""
    return [p.removeprefix("file:") for p in patterns if p.startswith("file:")]


def _text(name: str) -> str:
    """A name that is not UTF-8 travels as surrogates, which nothing can print."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value
