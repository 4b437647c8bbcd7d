"""What Ansible said while it ran, reduced to one record per host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

#: The name of the play and task that end every playbook: a host's event there proves that it got so far.
END = "remediate: end of playbook"

_TEXT = 4000
_SAID = 40


class TaskStatus(StrEnum):
    """How one task ended on one host."""

    OK = "ok"
    CHANGED = "changed"
    SKIPPED = "skipped"
    FAILED = "failed"
    IGNORED = "failed, ignored"
    UNREACHABLE = "unreachable"


@dataclass(slots=True)
class Task:
    """One task on one host."""

    name: str
    action: str
    status: TaskStatus
    message: str = ""
    output: str = ""
    diffs: tuple[Mapping[str, Any], ...] = ()

    @property
    def title(self) -> str:
        """Its name, and its module if the name does not tell."""
        return self.name if self.name == self.action else f"{self.name} ({self.action})"


@dataclass(slots=True)
class Host:
    """All that was seen of one host."""

    tasks: list[Task] = field(default_factory=list)
    running: str = ""
    """The task that began and was not seen to end."""
    started: bool = False
    ended: bool = False
    """The host got to the end of the playbook."""
    partial: bool = False
    """An item of a loop took effect before its task ended."""
    unchecked: list[str] = field(default_factory=list)
    """Tasks that check mode skipped: nobody knows what they would do."""


@dataclass(slots=True)
class Stats:
    """Ansible's own final count per host; its presence means that the stream was not cut."""

    processed: Mapping[str, int]
    changed: Mapping[str, int]
    failures: Mapping[str, int]
    dark: Mapping[str, int]


@dataclass(slots=True)
class Recording:
    """Takes events one by one; never raises, for an exception would end the reading and not the run."""

    hosts: dict[str, Host] = field(default_factory=dict)
    stats: Stats | None = None
    begun: bool = False
    """The playbook was read without error and a first play or task began."""
    count: int = 0
    lost: int = 0
    """Events whose content could not be read."""
    said: list[str] = field(default_factory=list)
    """The last lines outside any task: syntax errors, warnings."""

    def take(self, event: Mapping[str, Any]) -> bool:
        """An event handler for ansible-runner. Always False: it must not write a file per event."""
        try:
            self._take(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.lost += 1
        return False

    def host(self, name: str) -> Host:
        """The record of this host, empty if nothing was heard of it."""
        return self.hosts.setdefault(name, Host())

    def take_skipped(self, text: str) -> None:
        """What the callback plugin noted of tasks that check mode skipped, one JSON object per line."""
        for line in text.splitlines():
            try:
                note = json.loads(line)
                host, task = str(note["host"]), str(note["task"])
            except (KeyError, TypeError, ValueError, RecursionError):
                # It was killed while it wrote: any host may be meant.
                self.lost += 1
                for known in self.hosts.values():
                    known.unchecked.append("a task whose note was lost")
                continue
            unchecked = self.host(host).unchecked
            if task not in unchecked:
                unchecked.append(task)

    def _take(self, event: Mapping[str, Any]) -> None:
        self.count += 1
        kind = event.get("event")
        if not isinstance(kind, str):
            self.lost += 1
            return
        data = event.get("event_data") or {}
        if kind.startswith(("runner_on_", "runner_item_on_")):
            self._take_result(kind, data)
        elif kind == "playbook_on_stats":
            self.stats = Stats(
                *(_counts(data.get(k) or {}) for k in ("processed", "changed", "failures", "dark"))
            )
        elif kind == "playbook_on_task_start":
            self.begun = True
        elif kind in ("verbose", "error", "warning", "system_warning", "deprecated"):
            self.said += [line for line in str(event.get("stdout", "")).splitlines() if line.strip()]
            del self.said[:-_SAID]

    def _take_result(self, kind: str, data: Mapping[str, Any]) -> None:
        host = self.host(data["host"])
        name = str(data.get("task") or data.get("task_action") or "")
        if kind == "runner_on_start":
            host.started, host.running = True, name
            self.begun = True
        elif name == END:
            host.ended = True
        elif kind.startswith("runner_item_on_"):
            host.partial = host.partial or kind != "runner_item_on_skipped"
        elif status := _status(kind, data):
            host.running, host.partial = "", False
            host.tasks.append(_task(name, status, data))


def _counts(data: Mapping[str, Any]) -> Mapping[str, int]:
    found = dict(data)
    if not all(isinstance(number, int) for number in found.values()):
        raise TypeError("a count is no number")
    return found


def _status(kind: str, data: Mapping[str, Any]) -> TaskStatus | None:
    match kind:
        case "runner_on_ok":
            changed = bool((data.get("res") or {}).get("changed"))
            return TaskStatus.CHANGED if changed else TaskStatus.OK
        case "runner_on_failed":
            return TaskStatus.IGNORED if data.get("ignore_errors") else TaskStatus.FAILED
        case "runner_on_skipped":
            return TaskStatus.SKIPPED
        case "runner_on_unreachable":
            return TaskStatus.UNREACHABLE
    return None


def _task(name: str, status: TaskStatus, data: Mapping[str, Any]) -> Task:
    result = data.get("res") or {}
    return Task(
        name=name,
        action=str(data.get("resolved_action") or data.get("task_action") or ""),
        status=status,
        message=_message(result),
        output=_output(result),
        diffs=tuple(_diffs(result)),
    )


def _message(result: Mapping[str, Any]) -> str:
    if "censored" in result:
        return "(hidden by no_log)"
    text = result.get("msg", "")
    failed = [i for i in result.get("results", ()) if isinstance(i, dict) and i.get("failed")]
    if failed and isinstance(failed[0].get("msg"), str):
        text = f"{text}: item {failed[0].get('item')!r}: {failed[0]['msg']}"
    return str(text).strip()[:_TEXT]


def _output(result: Mapping[str, Any]) -> str:
    parts = [f"{k}: {result[k]}" for k in ("rc", "cmd") if k in result]
    for key in ("stdout", "stderr", "module_stdout", "module_stderr", "exception"):
        text = str(result.get(key) or "").strip()
        if text and text != "(traceback unavailable)":
            # The end of an output tells more than its beginning.
            parts.append(f"{key}: {text if len(text) <= _TEXT else '…' + text[-_TEXT:]}")
    return "\n".join(parts)


def _diffs(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for part in (result, *(i for i in result.get("results", ()) if isinstance(i, dict))):
        diff = part.get("diff")
        for one in diff if isinstance(diff, list) else [diff]:
            if isinstance(one, dict) and one:
                found.append(one)
    return found
