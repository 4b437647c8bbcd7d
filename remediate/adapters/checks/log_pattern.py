"""Lines of a log since a step began: `LogMark` notes where the log ends, `LogPattern` reads on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from remediate.adapters.checks.bounds import Bounds
from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.hosts.access import access
from remediate.adapters.hosts.client import connect, job_name
from remediate.adapters.hosts.keys import service_key
from remediate.adapters.hosts.step import HostStep, look, must
from remediate.adapters.hosts.values import JobState, JobStatus
from remediate.errors import StepFailed
from remediate.model.base import Duration, State, duration_text
from remediate.model.clip import clip
from remediate.model.inputs import AbsolutePath, UnitName
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, StepClass, Verdict
from remediate.model.target import Target

_PROGRAM = Path(__file__).with_name("log_lines.py")
_SHOWN = 700
_MARK_SECONDS = 30.0


class LogMark(HostStep):
    """Notes where these files and the journal end now, for a `LogPattern` later in the run. Changes nothing.

    ``name`` tells several marks of one run apart. A mark lies in the host's ``/run``: a reboot takes it away.
    """

    kind: ClassVar[str] = "log-mark"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=2, verify=0, undo=0)

    files: tuple[AbsolutePath, ...] = ()
    name: str = Field(default="begin", pattern=r"^[a-z][a-z0-9-]{0,30}$")

    def __init__(self, files: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(**{"files": tuple(files), **fields})

    @property
    def undoable(self) -> bool:
        """There is nothing to take back."""
        return True

    def title(self) -> str:
        """One line."""
        return f"note where the journal{''.join(f', {path}' for path in self.files)} end now"

    def observe(self, context: Context) -> State:  # noqa: ARG002
        """Nothing is changed, so nothing is observed."""
        return {}

    def apply(self, context: Context) -> Result:
        """One job for each log; its result is the mark. It runs once, however often it is asked for."""
        client = connect(context)
        for path in ("", *self.files):
            argv = _argv(context, {"mark": path})
            name = _mark_name(context, self.name, path)
            must(client, client.run(argv, str(context.token), name=name, seconds=_MARK_SECONDS))
        return Result(changed=False, summary=f"{1 + len(self.files)} logs marked")

    def probe(self, context: Context) -> Probe:
        """Whether all marks are there."""
        lost = self._unmarked(context)
        return Probe(verdict=Verdict.NOT_APPLIED if lost else Verdict.APPLIED, evidence=_marked(lost))

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Likewise."""
        lost = self._unmarked(context)
        return (
            CheckResult(title=f"mark {self.name!r}", ok=not lost, expected=_marked([]), actual=_marked(lost)),
        )

    def _unmarked(self, context: Context) -> list[str]:
        client = connect(context)
        marks = {path: client.job_status(_mark_name(context, self.name, path)) for path in ("", *self.files)}
        return [path or "the journal" for path, status in marks.items() if not _made(status)]


class LogPattern(Question):
    """How many new lines of a file, or messages of a unit, match a regular expression.

    New is what came after the run's `LogMark` of the name ``mark`` (which must name the file), also over a
    rotation that renames; or, for a unit, what came within the last ``since``. Without a bound, none may
    match.
    """

    kind: ClassVar[str] = "log-pattern"

    pattern: str = Field(min_length=1)
    path: AbsolutePath | None = None
    unit: UnitName | None = None
    at_most: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=1)
    mark: str = "begin"
    since: Duration | None = None
    timeout: Duration = 30.0

    def __init__(self, pattern: str = "", **fields: Any) -> None:
        super().__init__(**{"pattern": pattern, **fields})

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_log(self) -> LogPattern:
        if (self.path is None) == (self.unit is None):
            raise ValueError("give either path or unit")
        if self.path is not None and self.since is not None:
            raise ValueError("the lines of a file have no time: put a LogMark before, instead of since")
        return self

    @property
    def _bounds(self) -> Bounds:
        most = 0 if self.at_most is None and self.at_least is None else self.at_most
        return Bounds(at_least=self.at_least, at_most=most)

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The log and the pattern."""
        log = f"unit {self.unit}" if self.unit else str(self.path)
        when = f"in the last {duration_text(self.since)}" if self.since else f"since the mark {self.mark!r}"
        return f"lines of {log} {when} that match {self.pattern!r}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """How many."""
        return str(self._bounds)

    def look(self, context: Context) -> Finding:
        """Count them, on the target."""
        client = connect(context)
        if self.unit and look(client, service_key(self.unit))["load"] == "not-found":
            return Finding(False, f"there is no unit {self.unit}")
        asked = {"pattern": self.pattern, "unit": self.unit, "path": self.path, "since": self._since(context)}
        said = must(client, client.query(_argv(context, asked), min(self.timeout, context.timeout)))
        found = json.loads(said.stdout)
        if "error" in found:
            return Finding(False, found["error"])
        words = f"{found['matches']} of {found['lines']} new lines"
        words += f": {' | '.join(found['first'])}" if found["first"] else ""
        return Finding(self._bounds.holds(found["matches"]), clip(words, _SHOWN))

    def _since(self, context: Context) -> float | dict[str, Any]:
        """Seconds, or the mark.

        Raises:
            StepFailed: there is no mark.
        """
        if self.since is not None:
            return self.since
        name = _mark_name(context, self.mark, self.path or "")
        seen = connect(context).job_status(name).outcome
        if seen is None or not seen.ok:
            raise StepFailed(
                f"no mark {self.mark!r} of {self.path or 'the journal'} is left from this run",
                "put a LogMark that names it before the change; a reboot takes it away",
            )
        mark = json.loads(seen.stdout)
        if "error" in mark:
            raise StepFailed(f"{self.path or 'the journal'} could not be marked: {mark['error']}")
        return dict(mark)


def _marked(lost: Sequence[str]) -> str:
    return f"not marked: {', '.join(lost)}" if lost else "all logs are marked"


def _made(status: JobStatus) -> bool:
    return status.state is JobState.ENDED and status.outcome is not None and status.outcome.ok


def _argv(context: Context, asked: dict[str, Any]) -> list[str]:
    return [access(context.target).python, "-c", _PROGRAM.read_text(), json.dumps(asked)]


def _mark_name(context: Context, name: str, path: str) -> str:
    return job_name(f"{context.token.run}.mark-{name}.{path or 'journal'}")
