"""The proof of a rollback: which ways of failing were tried, and what was not as before afterwards."""

from __future__ import annotations

from enum import StrEnum

from pydantic import JsonValue

from remediate.model.base import Frozen, State
from remediate.model.step import Role


class Moment(StrEnum):
    """When a step fails."""

    BEFORE = "before"
    """Refused, with nothing done."""
    DURING = "during"
    """Cut off after its first change; nobody hears how it ended."""
    AFTER = "after"
    """Done, and then its verification fails."""
    FINISHED = "finished"
    """Not at all: the whole run is taken back once it is over."""


class Case(Frozen):
    """One way of failing. ``target`` is where the step is broken; a finished run has no step."""

    step: str
    title: str
    role: Role
    moment: Moment
    target: str


class Difference(Frozen):
    """One thing that is not as it was: whose, what, in which respect."""

    target: str
    what: str
    """``file:/etc/hosts``, ``package:nginx``, ``unit:ssh.service`` and the like."""
    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.target}: {self.what}: {self.field} {self.before} → {self.after}"


class Ending(StrEnum):
    """What came of a case."""

    RESTORED = "restored"
    NOT_RESTORED = "not restored"
    IRREVERSIBLE = "not reversible by design"
    """The plan says that nothing undoes this step."""
    NOT_BROKEN = "not broken"
    """The case did not come about: the run ended before the step."""


class CaseResult(Frozen):
    """One case with its ending; ``why`` and ``log`` are what the run said."""

    case: Case
    ending: Ending
    exit_code: int
    why: str = ""
    differences: tuple[Difference, ...] = ()
    log: tuple[str, ...] = ()
    seconds: float = 0.0


class Proof(Frozen):
    """All cases of one runbook."""

    runbook: str
    inputs: dict[str, JsonValue]
    targets: tuple[str, ...]
    watched: tuple[str, ...]
    results: tuple[CaseResult, ...]
    left_out: int = 0
    """Cases that were not tried, because an earlier one could not be mended or somebody stopped."""
    stopped: str = ""

    @property
    def restored(self) -> bool:
        """Whether every case was tried, and every one that can be taken back was."""
        fine = (Ending.RESTORED, Ending.IRREVERSIBLE)
        return bool(self.results) and not self.left_out and all(r.ending in fine for r in self.results)


def differences(target: str, before: State, after: State) -> tuple[Difference, ...]:
    """What is not as it was, in the order of the names."""
    found: list[Difference] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if old is None or new is None:
            there = ("absent", "there") if old is None else ("there", "absent")
            kind = _kind(new if old is None else old)
            found.append(Difference(target=target, what=key, field=kind, before=there[0], after=there[1]))
        else:
            found += [
                Difference(target=target, what=key, field=field, before=one, after=other)
                for field, one, other in _fields(old, new)
            ]
    return tuple(found)


def _kind(value: JsonValue) -> str:
    return str(value.get("kind", "it")) if isinstance(value, dict) else "it"


def _fields(old: JsonValue, new: JsonValue) -> list[tuple[str, str, str]]:
    """Each respect in which two values differ, with both sides in words."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [("value", _said(old), _said(new))]
    if old.get("kind") != new.get("kind"):
        return [("kind", _said(old.get("kind")), _said(new.get("kind")))]
    return [
        (k, _said(old.get(k)), _said(new.get(k))) for k in sorted({*old, *new}) if old.get(k) != new.get(k)
    ]


def _said(value: JsonValue) -> str:
    text = "none" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
