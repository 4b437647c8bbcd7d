"""What the journal holds. A run's status is always derived from these, and stored nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field, JsonValue, TypeAdapter

from remediate.model.base import Frozen, State
from remediate.model.step import CheckResult, Result, Verdict


class Verb(StrEnum):
    """The effects that need an intent."""

    APPLY = "apply"
    UNDO = "undo"
    RELEASE = "release"


class Final(StrEnum):
    """How a target ends. There is no other ending."""

    NEW = "verified-new"
    ORIGINAL = "verified-original"
    HUMAN = "needs-human"


class Request(StrEnum):
    """What a person may ask of a run that goes on."""

    PAUSE = "pause"
    RESUME = "resume"
    ABORT = "abort"


class _Event(Frozen):
    public: ClassVar[bool] = False
    """Whether the customer reads it on the ticket; all others are internal notes."""


class RunStarted(_Event):
    """The first event of a run; it consumes the approvals."""

    kind: Literal["run-started"] = "run-started"
    plan: str
    """Digest of the plan."""
    plan_id: str
    ticket: str
    runbook: str
    runner: str
    tool_version: str
    approvals: tuple[str, ...] = ()
    """Who approved, by name."""
    targets: int
    steps: int


class RunTaken(_Event):
    """A later process goes on with the run. Whatever was in flight is in doubt from here on."""

    kind: Literal["run-taken"] = "run-taken"
    runner: str
    tool_version: str


class Inspected(_Event):
    """Just before a wave: is the target reachable and still as approved?"""

    kind: Literal["inspected"] = "inspected"
    wave: int
    target: str
    ok: bool
    difference: str = ""


class Intent(_Event):
    """About to act. Durable before the effect begins."""

    kind: Literal["intent"] = "intent"
    verb: Verb
    step: str
    target: str
    attempt: int
    before: State = Field(default_factory=dict)


class Outcome(_Event):
    """What came of an intent, as far as it was seen. ``after`` is a read of the state that followed."""

    kind: Literal["outcome"] = "outcome"
    verb: Verb
    step: str
    target: str
    attempt: int
    result: Result
    after: State | None = None
    seconds: float = 0.0


class Held(_Event):
    """The step was not begun, because the state is not what this run left or what was approved."""

    kind: Literal["held"] = "held"
    verb: Verb
    step: str
    target: str
    difference: str


class Verified(_Event):
    """Verification of one step on one target."""

    kind: Literal["verified"] = "verified"
    step: str
    target: str
    attempt: int
    results: tuple[CheckResult, ...]
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """All checks passed. No checks at all is no failure: the step's read-back is its own check."""
        return all(r.ok for r in self.results)


class Probed(_Event):
    """Evidence about an attempt in doubt."""

    kind: Literal["probed"] = "probed"
    verb: Verb
    step: str
    target: str
    attempt: int
    verdict: Verdict
    evidence: str = ""
    after: State | None = None


class Decided(_Event):
    """A human settled a step in doubt; the signed envelope is kept whole."""

    kind: Literal["decided"] = "decided"
    step: str
    target: str
    attempt: int
    verdict: Literal[Verdict.APPLIED, Verdict.NOT_APPLIED]
    by: str
    envelope: str


class Overwrite(_Event):
    """A human lets an undo overwrite what others changed since; the signed envelope is kept whole."""

    kind: Literal["overwrite"] = "overwrite"
    step: str
    target: str
    by: str
    envelope: str


class Accepted(_Event):
    """A human answers for a target as it is now, and it is let go; the signed envelope is kept whole."""

    kind: Literal["accepted"] = "accepted"
    target: str
    by: str
    envelope: str


class GatePassed(_Event):
    """The end of a wave: few enough targets failed so far."""

    kind: Literal["gate-passed"] = "gate-passed"
    wave: int
    failed: int


class RollbackStarted(_Event):
    """From here on these targets are undone. ``stop``: and nothing else goes forward."""

    kind: Literal["rollback-started"] = "rollback-started"
    targets: tuple[str, ...]
    reason: str
    stop: bool


class Settled(_Event):
    """Where a target ended, by a read over a fresh session."""

    kind: Literal["settled"] = "settled"
    target: str
    final: Final
    evidence: str = ""
    results: tuple[CheckResult, ...] = ()


class Unfit(_Event):
    """After a soak, or at the end, the target is not as it should be."""

    kind: Literal["unfit"] = "unfit"
    target: str
    results: tuple[CheckResult, ...] = ()
    difference: str = ""


class Unread(_Event):
    """The target could not be read back; it is asked again later."""

    kind: Literal["unread"] = "unread"
    target: str
    why: str


class Requested(_Event):
    """A person asked for something while the run goes on."""

    kind: Literal["requested"] = "requested"
    what: Request
    by: str


class Stopped(_Event):
    """The runner left in good order before the end; the run can be taken up again."""

    kind: Literal["stopped"] = "stopped"
    reason: str


class Progress(_Event):
    """A progress update for the customer, due by the clock."""

    public: ClassVar[bool] = True
    kind: Literal["progress"] = "progress"
    text: str


class RunFinished(_Event):
    """Every target is settled."""

    public: ClassVar[bool] = True
    kind: Literal["run-finished"] = "run-finished"
    exit_code: int
    summary: str


class Revoked(_Event):
    """An approver took an approval back, or denied the plan. Belongs to a plan, not to one run."""

    kind: Literal["revoked"] = "revoked"
    plan: str
    by: str
    envelope: str


Body = Annotated[
    RunStarted
    | RunTaken
    | Inspected
    | Intent
    | Outcome
    | Held
    | Verified
    | Probed
    | Decided
    | Overwrite
    | Accepted
    | GatePassed
    | RollbackStarted
    | Settled
    | Unfit
    | Unread
    | Requested
    | Stopped
    | Progress
    | RunFinished
    | Revoked,
    Field(discriminator="kind"),
]

BODY: TypeAdapter[Body] = TypeAdapter(Body)


@dataclass(frozen=True, slots=True)
class Event:
    """One journal record: its place, its time (epoch seconds, the runner's clock) and its body.

    A plain dataclass: the engine makes thousands of them a second, from bodies that are validated already.
    """

    seq: int
    """Position in the whole journal, from 1."""
    run: str
    number: int
    """Position in its run, from 1."""
    at: float
    body: Body
    prev: str
    hash: str

    def as_json(self) -> dict[str, JsonValue]:
        """The event as one JSON object; the body's fields stand under ``body``."""
        return {
            "seq": self.seq,
            "run": self.run,
            "number": self.number,
            "at": self.at,
            "body": self.body.model_dump(mode="json"),
            "hash": self.hash,
        }
