"""What systemctl has to do to bring a unit from one state to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remediate.errors import StepFailed

_RUNNING = ("active", "reloading", "activating", "refreshing")


def is_running(fact: Mapping[str, Any]) -> bool:
    """Whether the unit runs or is about to."""
    return fact.get("active") in _RUNNING


def enabling(unit: str, goal: str, now: str) -> list[list[str]]:
    """The commands that make a unit enabled, disabled or masked.

    Raises:
        StepFailed: the goal is a state that no command sets (generated, linked, …).
    """
    if goal == now:
        return []
    unmask = [["systemctl", "unmask", unit]] if now == "masked" else []
    match goal:
        case "enabled":
            return [*unmask, ["systemctl", "enable", unit]]
        case "disabled":
            return [*unmask, ["systemctl", "disable", unit]]
        case "masked":
            return [["systemctl", "mask", unit]]
        case "static" | "indirect" if unmask:
            return unmask
        case "":
            # The unit's file was not there; whatever brought it takes it away again.
            return []
    raise StepFailed(f"{unit} was {goal} and is {now}; no command sets that", "set it by hand")


def settle_unit(
    unit: str, before: object, now: object, *, restart: bool, reload: bool = False
) -> list[list[str]]:
    """The commands that bring a unit from ``now`` to ``before``.

    Args:
        unit: its name.
        before: the fact to reach.
        now: the present fact.
        restart: whether what it runs was changed, so that it must start anew.
        reload: whether only what it reads was changed.
    """
    before = before if isinstance(before, dict) else {}
    now = now if isinstance(now, dict) else {}
    commands = []
    if before.get("load") != "not-found":
        commands = enabling(unit, str(before.get("enabled", "")), str(now.get("enabled", "")))
    if is_running(before):
        if restart:
            return [*commands, ["systemctl", "restart", unit]]
        if reload and is_running(now):
            # A way back may not end at a unit that knows no reload.
            return [*commands, ["systemctl", "reload-or-restart", unit]]
        # One that is about to run is waited for by this: a slow start is no difference.
        there = now.get("active") in ("active", before.get("active"))
        return commands if there else [*commands, ["systemctl", "start", unit]]
    if is_running(now):
        return [*commands, ["systemctl", "stop", unit]]
    if now.get("active") == "failed" and before.get("active") == "inactive":
        return [*commands, ["systemctl", "reset-failed", unit]]
    return commands
