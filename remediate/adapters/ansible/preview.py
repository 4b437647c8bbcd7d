"""A check-mode run as text for the one who approves: what would change, and what nobody can tell."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from remediate.adapters.ansible.events import Host, Recording, Task, TaskStatus

_LINES = 400


def render(recording: Recording, name: str) -> str:
    """Unified diffs and notes about one host; says so if the run could not be finished."""
    host = recording.hosts.get(name, Host())
    lines: list[str] = []
    if recording.stats is None:
        lines += ["# the check could not be finished", *(f"#   {line}" for line in recording.said)]
    elif not host.started:
        lines.append("# no play of the playbook runs on this host")
    for task in host.tasks:
        lines += _task(task)
    unknown = [f"# can't be told beforehand: {name}" for name in host.unchecked]
    if not lines and not unknown and host.ended:
        return "# nothing would change\n"
    return "\n".join([*lines, *unknown]) + "\n"


def _task(task: Task) -> Iterator[str]:
    match task.status:
        case TaskStatus.CHANGED:
            yield f"# would change: {task.title}"
            for diff in task.diffs:
                yield from _diff(diff)
        case TaskStatus.FAILED | TaskStatus.UNREACHABLE:
            yield f"# fails in check mode: {task.title}: {task.message}"
            yield "#   what comes after it can't be told beforehand"
        case TaskStatus.IGNORED | TaskStatus.OK | TaskStatus.SKIPPED:
            return


def _diff(diff: Mapping[str, Any]) -> Iterator[str]:
    if prepared := diff.get("prepared"):
        yield from _cut(str(prepared).splitlines())
    for key, what in (("src_binary", "is binary"), ("dst_binary", "is binary")):
        if diff.get(key):
            yield f"# the file {what}, so no difference is shown"
            return
    for key in ("src_larger", "dst_larger"):
        if diff.get(key):
            yield f"# the file is larger than {diff[key]} bytes, so no difference is shown"
            return
    if "before" in diff or "after" in diff:
        header = str(diff.get("before_header") or diff.get("after_header") or "state")
        after = str(diff.get("after_header") or header)
        yield from _cut(
            difflib.unified_diff(
                _text(diff.get("before")), _text(diff.get("after")), header, after, lineterm=""
            )
        )


def _text(value: Any) -> list[str]:
    if isinstance(value, dict | list):
        value = json.dumps(value, sort_keys=True, indent=2, default=str)
    return str("" if value is None else value).splitlines()


def _cut(lines: Any) -> Iterator[str]:
    listed = [str(line).rstrip("\n") for line in lines]
    yield from listed[:_LINES]
    if len(listed) > _LINES:
        yield f"# … {len(listed) - _LINES} more lines"
