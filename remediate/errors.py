"""One root for every error that a user may see: what is wrong, and what to do next.

Only the command line turns an error into an exit code; nothing below it exits.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line: a stable contract."""

    VERIFIED_NEW = 0
    INTERNAL = 1
    USAGE = 2
    REFUSED = 3
    ROLLED_BACK = 4
    NEEDS_HUMAN = 5
    WAITING = 6
    INTERRUPTED = 130


class RemediateError(Exception):
    """An error that a user can act on.

    Args:
        problem: what is wrong and where (file, line, field, target).
        advice: what to do next; may be empty when the problem says it all.
    """

    exit_code = Exit.INTERNAL

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.problem}\n  next: {self.advice}" if self.advice else self.problem


class InputError(RemediateError):
    """The user's input can't be used: an unknown option, a wrong type, a malformed file."""

    exit_code = Exit.USAGE


class Refused(RemediateError):
    """The run may not start or go on: approval, window, drift, preflight, stale plan.

    ``reasons`` lists every ground found, not only the first.
    """

    exit_code = Exit.REFUSED

    def __init__(self, problem: str, advice: str = "", reasons: tuple[str, ...] = ()) -> None:
        super().__init__(problem, advice)
        self.reasons = reasons or (problem,)


class Waiting(RemediateError):
    """Nothing is wrong, but somebody else has to act first (an approval, a ticket system that is down)."""

    exit_code = Exit.WAITING


class NeedsHuman(RemediateError):
    """A target is in a state that the engine may not settle alone."""

    exit_code = Exit.NEEDS_HUMAN


class StepFailed(RemediateError):
    """A step reported failure: its effect is whole, partial or none, but it has ended."""


class InDoubt(RemediateError):
    """Nobody knows whether the effect happened: the connection dropped, the reply was lost, time ran out."""


class StaleLease(RemediateError):
    """Another runner took over this run; this one must stop at once."""

    exit_code = Exit.REFUSED


class JournalUnwritable(RemediateError):
    """The journal can't be written, so nothing more may be done."""

    exit_code = Exit.NEEDS_HUMAN
