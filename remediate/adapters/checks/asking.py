"""Asking a check until its answer is right, or its time is over."""

from __future__ import annotations

import time
from collections.abc import Callable

from remediate.model.step import Check, CheckResult, Context


def ask(
    check: Check,
    context: Context,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> CheckResult:
    """The check's last answer, with the seconds that all asking took. Never raises an ordinary exception.

    It is asked at least once, then every ``check.every`` seconds while it fails and ``check.within`` is not
    over. An answer that says it is right but names nothing that was found doesn't count.
    """
    began = clock()
    while True:
        result = _once(check, context)
        spent = clock() - began
        if result.ok or spent + check.every > check.within:
            return result.model_copy(update={"seconds": round(spent, 3)})
        sleep(check.every)


def _once(check: Check, context: Context) -> CheckResult:
    title = type(check).kind
    try:
        title = check.title(context.target)
        result = check.run(context)
    except Exception as error:
        text = str(error) or type(error).__name__
        return CheckResult(title=title, ok=False, expected="an answer", actual=f"no answer: {text}")
    if result.ok and not result.actual.strip():
        return result.model_copy(update={"ok": False, "actual": "an empty answer, which proves nothing"})
    return result
