"""How a systemd unit on the target is."""

from __future__ import annotations

from typing import Any, ClassVar

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.keys import service_key
from remediate.adapters.hosts.step import look
from remediate.model.inputs import UnitName
from remediate.model.step import Context
from remediate.model.target import Target


class ServiceIs(Question):
    """A unit is active or not, enabled or not; None doesn't ask."""

    kind: ClassVar[str] = "service"

    name: UnitName
    active: bool | None = True
    enabled: bool | None = None

    def __init__(self, name: str = "", **fields: Any) -> None:
        super().__init__(**{"name": name, **fields})

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The unit."""
        return f"unit {self.name}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """Its states."""
        words = [] if self.active is None else ["active" if self.active else "not active"]
        words += [] if self.enabled is None else ["enabled" if self.enabled else "not enabled"]
        return " and ".join(words) or "known"

    def look(self, context: Context) -> Finding:
        """Ask systemd."""
        fact = look(connect(context), service_key(self.name))
        actual = f"{fact['active']} and {fact['enabled'] or 'without a unit file'}"
        ok = fact["load"] != "not-found"
        ok = ok and self.active in (None, fact["active"] == "active")
        ok = ok and self.enabled in (None, fact["enabled"] in ("enabled", "enabled-runtime", "alias"))
        return Finding(ok, actual if fact["load"] != "not-found" else "there is no such unit")
