"""HAProxy's admin socket (management.txt, 9.3): servers of a backend, and what becomes of their traffic."""

from __future__ import annotations

import csv
from dataclasses import dataclass

from remediate.adapters.hosts.client import HostClient
from remediate.errors import StepFailed
from remediate.model.clip import clip

#: Bits of ``srv_admin_state`` (management.txt, "show servers state").
_MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
_DRAIN = 0x08 | 0x10
_RUNNING = 2


@dataclass(frozen=True, slots=True)
class Member:
    """One server of a backend. ``running`` is what the health checks say."""

    name: str
    admin: str  # "ready", "drain", "maint"
    running: bool
    sessions: int = 0

    @property
    def takes_traffic(self) -> bool:
        """Whether new sessions may go to it."""
        return self.running and self.admin == "ready"


@dataclass(frozen=True, slots=True)
class AdminSocket:
    """The admin socket of a HAProxy on a host."""

    client: HostClient
    path: str

    def members(self, backend: str) -> dict[str, Member]:
        """All servers of a backend by name, in one round trip.

        Raises:
            StepFailed: there is no such backend, or it has no servers.
        """
        answer = self._ask(f"show servers state {backend}; show stat {backend} 4 -1", effect=False)
        state, _, statistics = answer.partition("# pxname")
        sessions = _sessions("# pxname" + statistics)
        found = {m.name: m for m in _members(state, sessions)}
        if not found:
            said = clip(answer.strip(), 200) or "no servers"
            raise StepFailed(f"{self.client.session.name}: backend {backend}: {said}")
        return found

    def set(self, backend: str, server: str, state: str) -> None:
        """Make a server ``ready``, ``drain`` or ``maint``.

        Raises:
            StepFailed: HAProxy refused.
        """
        answer = self._ask(f"set server {backend}/{server} state {state}", effect=True).strip()
        if answer:
            raise StepFailed(f"{self.client.session.name}: {backend}/{server}: {clip(answer, 200)}")

    def _ask(self, command: str, *, effect: bool) -> str:
        return self.client.socket(self.path, f"{command}\n".encode(), effect=effect).decode(errors="replace")


def _members(text: str, sessions: dict[str, int]) -> list[Member]:
    lines = [line for line in text.splitlines() if line and line != "1"]
    if not lines or not lines[0].startswith("# "):
        return []
    names = lines[0].removeprefix("# ").split(" ")
    rows = [dict(zip(names, line.split(" "), strict=False)) for line in lines[1:]]
    return [
        Member(
            name=row["srv_name"],
            admin=_admin(int(row["srv_admin_state"])),
            running=int(row["srv_op_state"]) == _RUNNING,
            sessions=sessions.get(row["srv_name"], 0),
        )
        for row in rows
        if "srv_op_state" in row
    ]


def _admin(bits: int) -> str:
    if bits & _MAINTENANCE:
        return "maint"
    return "drain" if bits & _DRAIN else "ready"


def _sessions(text: str) -> dict[str, int]:
    rows = csv.DictReader(text.removeprefix("# ").strip().splitlines())
    return {row["svname"]: int(row["scur"] or 0) for row in rows if row.get("svname") and row.get("scur")}
