"""What can go wrong on the way to a vCenter, besides doubt."""

from __future__ import annotations

from remediate.errors import StepFailed


class Unreachable(StepFailed):
    """Nothing was done: no connection, no login, or a request that only reads had no answer."""


class Rejected(StepFailed):
    """vCenter answered with a fault: it did not do it.

    Args:
        fault: the fault's type without its package, such as ``NoPermission``.
    """

    def __init__(self, problem: str, advice: str = "", fault: str = "") -> None:
        super().__init__(problem, advice)
        self.fault = fault
