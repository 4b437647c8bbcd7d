"""What a step reports: how an attempt ended, what a probe or a check found, how long things take."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, JsonValue

from remediate.model.base import Duration, Frozen

#: In a backup's ``Result.data``: the seconds that its restore took when it was proved. The point of no return
#: counts with these instead of the estimate.
UNDO_SECONDS = "undo_seconds"


class Verdict(StrEnum):
    """What a probe found out about an attempt whose outcome nobody saw."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    PARTIAL = "partial"
    RUNNING = "running"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """How an attempt ended, as seen from here."""

    OK = "ok"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"


class Result(Frozen):
    """What an apply or undo reported. ``data`` is evidence that undo and probes get back later."""

    status: Status = Status.OK
    changed: bool = True
    summary: str = ""
    detail: str = ""
    data: dict[str, JsonValue] = Field(default_factory=dict)


class Probe(Frozen):
    """A verdict with what it rests on."""

    verdict: Verdict
    evidence: str = ""


class CheckResult(Frozen):
    """One check on one target: what was expected, what was found, how long it took (seconds)."""

    title: str
    ok: bool
    expected: str = ""
    actual: str = ""
    seconds: float = 0.0


class Estimate(Frozen):
    """Seconds that a step, its verification and its undo take; the point of no return adds them up."""

    apply: Duration = 30.0
    verify: Duration = 10.0
    undo: Duration = 30.0
    source: str = "default"
