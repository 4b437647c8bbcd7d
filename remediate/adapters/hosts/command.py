"""A command on a host, as a list of words: the last resort, when no typed step fits."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field, field_validator

from remediate.adapters.hosts.attempts import became_of, note_start
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.client import HostClient, connect
from remediate.adapters.hosts.keys import file_key, service_key
from remediate.adapters.hosts.step import HostStep, look, must, observed, rendered
from remediate.adapters.hosts.values import JobState, Outcome
from remediate.model.base import Duration, State
from remediate.model.clip import clip
from remediate.model.inputs import AbsolutePath, UnitName
from remediate.model.step import Context, Estimate, Probe, Result, Step, StepClass, Verdict


class RunCommand(HostStep):
    """Run a command once. No shell reads it; ``{target.name}`` and the like are filled in.

    ``undo_with`` takes it back. ``touches`` and ``services`` name the files and units that it changes: they
    are observed, and kept and restored if there is no ``undo_with``. ``creates`` (a path) or ``unless`` (a
    command that succeeds) tell that it was done already. ``idempotent`` says that running it twice is running
    it once. ``changed_when`` is a regular expression over its output.
    """

    kind: ClassVar[str] = "command"
    filled: ClassVar[tuple[str, ...]] = ("argv", "undo_with", "unless")
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=60.0)

    argv: tuple[str, ...] = Field(min_length=1)
    undo_with: tuple[str, ...] | None = Field(default=None, min_length=1)
    creates: AbsolutePath | None = None
    unless: tuple[str, ...] | None = Field(default=None, min_length=1)
    idempotent: bool = False
    changed_when: str | None = None
    touches: tuple[AbsolutePath, ...] = ()
    services: tuple[UnitName, ...] = ()
    timeout: Duration | None = None

    @field_validator("changed_when")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @property
    def step_class(self) -> StepClass:  # type: ignore[override]
        """Opaque, unless the author said how it can be run twice."""
        repeatable = self.idempotent or self.creates is not None or self.unless is not None
        return StepClass.STATE_BASED if repeatable else StepClass.OPAQUE

    def title(self) -> str:
        """One line."""
        return f"run {' '.join(self.argv)}"

    def protection(self) -> tuple[Step, ...]:
        """What it touches, unless the author's command takes it back."""
        if self.undo_with is not None or not (self.touches or self.services):
            return ()
        return (HostBackup(files=self.touches, services=self.services),)

    @property
    def undoable(self) -> bool:
        """By the author's command."""
        return self.undo_with is not None

    def observe(self, context: Context) -> State:
        """What the author says that it touches."""
        files = (*self.touches, *([self.creates] if self.creates else []))
        keys = [*map(file_key, files), *map(service_key, self.services)]
        return observed(context, keys) if keys else {}

    def apply(self, context: Context) -> Result:
        """Run it as a job, unless it was done already."""
        client = connect(context)
        if reason := self._done(client, context):
            return Result(changed=False, summary=f"not run: {reason}")
        argv = [rendered(context.target, word) for word in self.argv]
        note_start(context, client, str(context.token))
        outcome = must(client, client.run(argv, str(context.token), seconds=self.timeout))
        return Result(
            changed=self._changed(outcome),
            summary=f"{argv[0]} {outcome.ending}",
            detail=clip(outcome.said, 8000),
        )

    def _done(self, client: HostClient, context: Context) -> str:
        if self.creates and look(client, file_key(self.creates))["kind"] != "absent":
            return f"{self.creates} is there"
        if self.unless:
            argv = [rendered(context.target, word) for word in self.unless]
            if client.query(argv).ok:
                return f"{' '.join(argv)} succeeds"
        return ""

    def _changed(self, outcome: Outcome) -> bool:
        return self.changed_when is None or re.search(self.changed_when, outcome.stdout) is not None

    def probe(self, context: Context) -> Probe:
        """The job's own record: conclusive when it ended, or was never begun."""
        client = connect(context)
        status = became_of(context, client, str(context.token))
        match status.state:
            case JobState.RUNNING:
                return Probe(verdict=Verdict.RUNNING, evidence=f"{self.argv[0]} is at work")
            case JobState.ENDED if status.outcome is not None and status.outcome.ok:
                return Probe(verdict=Verdict.APPLIED, evidence=f"{self.argv[0]} {status.outcome.ending}")
            case JobState.ENDED if status.outcome is not None:
                said = clip(status.outcome.said, 500)
                evidence = f"{self.argv[0]} {status.outcome.ending}: {said}"
                never = bool(status.outcome.refused)
                return Probe(verdict=Verdict.NOT_APPLIED if never else Verdict.PARTIAL, evidence=evidence)
            case _ if not status.begun:
                return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"{self.argv[0]} was never begun")
            case JobState.VANISHED:
                return Probe(verdict=Verdict.PARTIAL, evidence=f"{self.argv[0]} was killed on the way")
            case _:
                evidence = "the host was booted since, and its record of the command is gone"
                return Probe(verdict=Verdict.UNKNOWN, evidence=evidence)

    def undo(self, context: Context) -> Result:
        """Run the author's command."""
        if self.undo_with is None:
            return Result(changed=False, summary="nothing of its own to undo; the backup restores")
        client = connect(context)
        argv = [rendered(context.target, word) for word in self.undo_with]
        outcome = client.run(argv, str(context.token), name=f"{context.token}.undo", again=True)
        must(client, outcome)
        return Result(summary=f"{' '.join(argv)} {outcome.ending}", detail=clip(outcome.said, 8000))
