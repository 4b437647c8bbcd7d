"""Check results in words."""

from __future__ import annotations

from collections.abc import Sequence

from remediate.model.step import CheckResult
from remediate.report.words import count

_MOST = 3


def check_text(result: CheckResult) -> str:
    """``GET http://…: expected 200, got 500``."""
    if result.expected:
        return f"{result.title}: expected {result.expected}, got {result.actual or 'nothing'}"
    return f"{result.title}: {result.actual}" if result.actual else result.title


def failed_checks(results: Sequence[CheckResult]) -> str:
    """The failed ones, the first few in full; empty if all passed."""
    failed = [check_text(result) for result in results if not result.ok]
    more = [f"and {count(len(failed) - _MOST, 'more check')}"] if len(failed) > _MOST else []
    return "; ".join(failed[:_MOST] + more)
