"""The state of a device before a change, kept so that a check can compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.network.device import connect
from remediate.adapters.network.state import as_data
from remediate.adapters.network.store import Store
from remediate.errors import StepFailed
from remediate.model.plan import PlannedCheck
from remediate.model.step import Context
from remediate.model.target import Target

_FILE = "state-before.json"
_SHOWN = 5


class StateUnchanged(Question):
    """What these commands show is as it was before the step, but for fields that change by themselves.

    It compares with the state just before its own step, which must be one that changes a device's
    configuration. ``ignore`` names further fields that may differ.
    """

    kind: ClassVar[str] = "state-unchanged"

    commands: tuple[str, ...] = Field(min_length=1)
    ignore: tuple[str, ...] = ()
    once: bool = True

    def __init__(self, commands: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(**{"commands": commands, **fields})

    def subject(self, target: Target) -> str:  # noqa: ARG002
        """The commands."""
        return ", ".join(self.commands)

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """No difference."""
        return "as before the change"

    def look(self, context: Context) -> Finding:
        """Read again, and compare."""
        kept = Store.of(context).get(_FILE)
        before = json.loads(kept) if kept else {}
        if not all(command in before for command in self.commands):
            raise StepFailed("no state was noted before this step; use it with ConfigLines or MoveTraffic")
        found: list[str] = []
        for command in self.commands:
            now = _leave_out(as_data(connect(context), command), self.ignore)
            found += _differences(_leave_out(before[command], self.ignore), now, command)
        if found:
            return Finding(False, "; ".join(found[:_SHOWN]) + f" (of {len(found)})" * (len(found) > _SHOWN))
        return Finding(True, "as before the change")


def note_state(context: Context, proof: Sequence[PlannedCheck]) -> None:
    """Keep what `StateUnchanged` checks of a step will compare with; an earlier attempt's note stands."""
    checks = [check for planned in proof if isinstance(check := planned.build(), StateUnchanged)]
    commands = sorted({command for check in checks for command in check.commands})
    store = Store.of(context)
    if commands and store.get(_FILE) is None:
        device = connect(context)
        store.keep(_FILE, json.dumps({command: as_data(device, command) for command in commands}))


def _leave_out(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {k: _leave_out(v, names) for k, v in value.items() if k not in names}
    if isinstance(value, list):
        return [_leave_out(v, names) for v in value]
    return value


def _differences(old: Any, new: Any, path: str) -> list[str]:
    """What differs, in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted({*old, *new})
        return [d for k in keys for d in _differences(old.get(k), new.get(k), f"{path} {k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            d
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for d in _differences(a, b, f"{path} {i}")
        ]
    return [] if old == new else [f"{path}: {_brief(old)} → {_brief(new)}"]


def _brief(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
