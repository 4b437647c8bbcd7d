"""A step that only asks: checks at a place of their own in the runbook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from remediate.model.base import State
from remediate.model.step import Check, Context, Estimate, Probe, Result, Role, Step, StepClass, Verdict


class Verify(Step):
    """Run these checks here: ``yield Verify([Http(…), Tcp(…)])``. Changes nothing, so it needs no undo."""

    kind: ClassVar[str] = "verify"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.CHECK
    default_estimate: ClassVar[Estimate] = Estimate(apply=0, verify=30, undo=0)

    what: str = "verify"

    def __init__(self, checks: Sequence[Check] = (), **fields: object) -> None:
        super().__init__(**{"verify": tuple(checks), **fields})

    def title(self) -> str:
        """One line."""
        return self.what

    def observe(self, context: Context) -> State:  # noqa: ARG002
        """Nothing is changed, so nothing is observed."""
        return {}

    def apply(self, context: Context) -> Result:  # noqa: ARG002
        """Nothing: the checks are the step."""
        return Result(changed=False, summary="nothing to do")

    def probe(self, context: Context) -> Probe:  # noqa: ARG002
        """It has no effect that could be in doubt."""
        return Probe(verdict=Verdict.NOT_APPLIED, evidence="it changes nothing")
