"""The words that plan, run and log share: roles, classes, levels, endings, times, lists of names."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from remediate.model.event import Final, Verb
from remediate.model.runbook import RiskLevel, Scope
from remediate.model.step import Level, StepClass, Verdict
from remediate.report.document import Style

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LEVELS = {
    Level.STORED: "B1, stored and hashed",
    Level.PARSED: "B2, its format read to the end",
    Level.COMPARED: "B3, compared with its source",
    Level.RESTORED: "B4, restored to scratch and queried",
}
#: What recovery does when nobody saw how the step ended.
CLASSES = {
    StepClass.TOKENED: "its mark is looked up; repeatable",
    StepClass.STATE_BASED: "the state is read; repeatable",
    StepClass.SELF_REVERTING: "it reverts by itself; then read",
    StepClass.OPAQUE: "a person decides",
}
RISKS = {RiskLevel.LOW: Style.GOOD, RiskLevel.MEDIUM: Style.WARN, RiskLevel.HIGH: Style.BAD}
FINALS = {
    Final.NEW: ("verified new", Style.GOOD),
    Final.ORIGINAL: ("verified original", Style.WARN),
    Final.HUMAN: ("needs a human", Style.BAD),
}
VERBS = {Verb.APPLY: "apply", Verb.UNDO: "undo", Verb.RELEASE: "release"}
VERDICTS = {
    Verdict.APPLIED: "it was applied",
    Verdict.NOT_APPLIED: "it was not applied",
    Verdict.PARTIAL: "it was applied in part",
    Verdict.RUNNING: "it is still running",
    Verdict.UNKNOWN: "nobody can tell",
}
SCOPES = {
    Scope.TARGET: "Targets that are finished stay new; every unfinished target is undone.",
    Scope.WAVE: "Every target of the current wave is undone; earlier waves stay new.",
    Scope.RUN: "Everything that this run changed is undone, earlier waves too.",
}


def effect(verb: Verb, title: str) -> str:
    """``upgrade shop``, ``undo of “upgrade shop”``."""
    return title if verb is Verb.APPLY else f"{VERBS[verb]} of “{title}”"


def instant(at: datetime | float) -> str:
    """``2025-11-22 02:14:07 UTC``, from an aware datetime or epoch seconds."""
    return f"{_utc(at):%Y-%m-%d %H:%M:%S} UTC"


def minute(at: datetime | float) -> str:
    """``2025-11-22 02:14 UTC``."""
    return f"{_utc(at):%Y-%m-%d %H:%M} UTC"


def day(at: datetime | float) -> str:
    """``2025-11-22``, in UTC."""
    return f"{_utc(at):%Y-%m-%d}"


def clock(at: datetime | float) -> str:
    """``02:14:07``, in UTC."""
    return f"{_utc(at):%H:%M:%S}"


def _utc(at: datetime | float) -> datetime:
    return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 target``, ``1,200 targets``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def titled(what: str, project: str) -> str:
    """``Runs of shop``; ``Runs`` where the project has no name."""
    return f"{what} of {project}" if project else what


def names(values: Sequence[str], most: int = 6) -> str:
    """``web1, web2, web3 and 9 more``."""
    if len(values) <= most:
        return ", ".join(values)
    return f"{', '.join(values[:most])} and {len(values) - most:,} more"


def grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, list[V]]:
    """Values by key, in the order in which the keys came."""
    result: dict[K, list[V]] = {}
    for key, value in pairs:
        result.setdefault(key, []).append(value)
    return result
