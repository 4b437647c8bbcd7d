"""Event streams as ansible-runner hands them over, in a few words each."""

from __future__ import annotations

from typing import Any

from remediate.adapters.ansible.events import END, Recording

Event = dict[str, Any]

REFUSED = "Data could not be sent: ssh: connect to host 10.0.0.1 port 22: Connection refused"
DROPPED = "Data could not be sent: Shared connection to 10.0.0.1 closed."


def event(
    kind: str, host: str = "", task: str = "", action: str = "ansible.builtin.copy", **data: Any
) -> Event:
    """One event with the fields that matter."""
    body = {"task": task, "task_action": action, "resolved_action": action, **data}
    return {"event": kind, "uuid": "u", "event_data": {**body, **({"host": host} if host else {})}}


def begin(host: str, task: str = "copy", **more: Any) -> Event:
    """A task begins on a host."""
    return event("runner_on_start", host, task, **more)


def ok(host: str, task: str = "copy", *, changed: bool = False, **more: Any) -> Event:
    """A task succeeded."""
    return event("runner_on_ok", host, task, res={"changed": changed, **more.pop("res", {})}, **more)


def failed(host: str, task: str = "copy", msg: str = "no space", **more: Any) -> Event:
    """A task failed; ``ignore_errors=True`` if that is ignored."""
    return event("runner_on_failed", host, task, res={"msg": msg, **more.pop("res", {})}, **more)


def skipped(host: str, task: str = "copy") -> Event:
    """A task was skipped."""
    return event("runner_on_skipped", host, task)


def unreachable(host: str, msg: str, task: str = "copy") -> Event:
    """The host could not be reached, or not any more."""
    return event("runner_on_unreachable", host, task, res={"msg": msg, "unreachable": True})


def end(*hosts: str) -> list[Event]:
    """These hosts got to the end of the playbook."""
    return [skipped(host, END) for host in hosts]


def stats(**counts: dict[str, int]) -> Event:
    """Ansible's final count; ``processed`` is all hosts of any count, unless given."""
    everyone = {host: 1 for count in counts.values() for host in count}
    body: dict[str, Any] = {"processed": everyone, **counts}
    return event("playbook_on_stats", **body)


def record(*events: Event | list[Event]) -> Recording:
    """A recording of these events."""
    recording = Recording()
    for one in events:
        for single in one if isinstance(one, list) else [one]:
            assert recording.take(single) is False
    return recording
