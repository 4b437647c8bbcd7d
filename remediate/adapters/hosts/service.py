"""A systemd unit: started, stopped, restarted or reloaded, enabled or not."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import model_validator

from remediate.adapters.hosts.attempts import became_of, note_start
from remediate.adapters.hosts.client import HostClient, connect
from remediate.adapters.hosts.keys import service_key
from remediate.adapters.hosts.step import HostStep, fact_of, just_seen, look, must, observed
from remediate.adapters.hosts.units import is_running, settle_unit
from remediate.adapters.hosts.values import JobState
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.inputs import UnitName
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, StepClass, Verdict


class UnitState(StrEnum):
    """What becomes of the unit now."""

    STARTED = "started"
    STOPPED = "stopped"
    RESTARTED = "restarted"
    RELOADED = "reloaded"


class Service(HostStep):
    """A unit in this state. ``enabled`` decides about the next boot; None leaves that as it is."""

    kind: ClassVar[str] = "service"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=15.0, verify=5.0, undo=15.0)

    name: UnitName
    state: UnitState | None = None
    enabled: bool | None = None

    @model_validator(mode="after")
    def _something(self) -> Service:
        if self.state is None and self.enabled is None:
            raise ValueError("say what becomes of the unit: state, enabled, or both")
        return self

    def title(self) -> str:
        """One line."""
        verbs = {"started": "start", "stopped": "stop", "restarted": "restart", "reloaded": "reload"}
        words = [verbs[self.state]] if self.state else []
        words += [{True: "enable", False: "disable"}[self.enabled]] if self.enabled is not None else []
        return f"{' and '.join(words)} {self.name}"

    @property
    def undoable(self) -> bool:
        """The state of before is enough to go back."""
        return True

    def observe(self, context: Context) -> State:
        """How the unit is loaded, enabled and active."""
        return observed(context, [service_key(self.name)])

    def apply(self, context: Context) -> Result:
        """Ask systemd; it answers when the unit has got there or failed."""
        client = connect(context)
        now = just_seen(context, service_key(self.name))
        if now.get("load") == "not-found":
            raise StepFailed(f"{context.target.name}: there is no unit {self.name}")
        commands = self._commands(now)
        note_start(context, client, str(context.token))
        for number, argv in enumerate(commands):
            name = f"{context.token}.{number}" if number < len(commands) - 1 else str(context.token)
            outcome = client.run(argv, str(context.token), name=name)
            must(client, outcome, f"`journalctl -u {self.name}` on the host says more")
        done = "; ".join(" ".join(argv) for argv in commands)
        return Result(changed=bool(commands), summary=done or f"{self.name} was so already")

    def _commands(self, now: dict[str, Any]) -> list[list[str]]:
        goal = {True: "enabled", False: "disabled", None: now.get("enabled", "")}[self.enabled]
        if now.get("enabled") == "static":
            goal = "static"
        running = is_running(now)
        active = {UnitState.STOPPED: "inactive", None: now.get("active")}.get(self.state, "active")
        before = {"load": "loaded", "enabled": goal, "active": active}
        commands = settle_unit(self.name, before, now, restart=self.state is UnitState.RESTARTED)
        if self.state is UnitState.RELOADED and running:
            return [*commands, ["systemctl", "reload", self.name]]
        return commands

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Read again."""
        now = look(connect(context), service_key(self.name))
        expected = []
        if self.state is not None:
            expected.append("inactive" if self.state is UnitState.STOPPED else "active")
        if self.enabled is not None:
            expected.append("enabled" if self.enabled else "disabled")
        return (
            CheckResult(
                title=f"{self.name} is as asked",
                ok=self._is_right(now),
                expected=" and ".join(expected),
                actual=f"{now.get('active')} and {now.get('enabled')}",
            ),
        )

    def _is_right(self, now: dict[str, Any]) -> bool:
        wanted = {True: "enabled", False: "disabled", None: None}[self.enabled]
        if wanted is not None and now.get("enabled") not in (wanted, "static"):
            return False
        match self.state:
            case None:
                return True
            case UnitState.STOPPED:
                return now.get("active") in ("inactive", "failed")
            case _:
                return now.get("active") == "active"

    def probe(self, context: Context) -> Probe:
        """By state; a restart or reload leaves none, so its job has to tell."""
        client = connect(context)
        now = look(client, service_key(self.name))
        evidence = f"{self.name} is {now.get('active')} and {now.get('enabled')}"
        if self.state in (UnitState.RESTARTED, UnitState.RELOADED):
            return self._probe_job(context, client, evidence)
        if self._is_right(now):
            return Probe(verdict=Verdict.APPLIED, evidence=evidence)
        untouched = now == fact_of(context.before, service_key(self.name))
        return Probe(verdict=Verdict.NOT_APPLIED if untouched else Verdict.PARTIAL, evidence=evidence)

    def _probe_job(self, context: Context, client: HostClient, evidence: str) -> Probe:
        status = became_of(context, client, str(context.token))
        if status.state is JobState.ENDED and status.outcome is not None and status.outcome.ok:
            return Probe(verdict=Verdict.APPLIED, evidence=f"systemctl ended well; {evidence}")
        if not status.begun:
            return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"systemctl was never begun; {evidence}")
        return Probe(verdict=Verdict.PARTIAL, evidence=f"systemctl did not end well; {evidence}")

    def undo(self, context: Context) -> Result:
        """Back to the state of before; a unit that ran and runs is left alone."""
        client = connect(context)
        before = fact_of(context.before, service_key(self.name))
        if not before:
            return Result(changed=False, summary="nothing is known to have been begun")
        commands = settle_unit(self.name, before, look(client, service_key(self.name)), restart=False)
        for number, argv in enumerate(commands):
            name = f"{context.token}.undo-{number}"
            must(client, client.run(argv, str(context.token), name=name, again=True))
        done = "; ".join(" ".join(argv) for argv in commands)
        return Result(changed=bool(commands), summary=done or f"{self.name} was so already")
