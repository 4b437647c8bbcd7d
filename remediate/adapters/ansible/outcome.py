"""From a recording to one result per target. Exit codes are evidence of nothing here.

A target is OK only if Ansible's final count names it without failure and it reached the end of the playbook.
It FAILED if it is known that nothing of the playbook runs on it any more. In between it is IN DOUBT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from remediate.adapters.ansible.events import Host, Recording, Stats, Task, TaskStatus
from remediate.model.clip import clip
from remediate.model.step import Result, Status

_LISTED = 200

# Modules that change nothing anywhere, so that a host which saw only these is as it was.
_HARMLESS = frozenset(
    f"ansible.builtin.{name}"
    for name in (
        "assert debug fail gather_facts getent group_by include_role include_tasks include_vars meta"
        " package_facts pause ping service_facts set_fact set_stats setup slurp stat validate_argument_spec"
        " wait_for wait_for_connection"
    ).split()
)

# Silence alone proves nothing: Ansible has to say that it would not begin.
_REFUSED_TO_BEGIN = re.compile(r"\A(?!(?s:.*)^(PLAY|TASK) \[)(?s:.*)^(\[ERROR\]|ERROR!)", re.MULTILINE)

# What ssh says when no session ever existed. "Connection closed" and "timed out" alone also end sessions.
_NEVER_CONNECTED = re.compile(
    r"ssh: connect to host \S+ port \d+: |Host key verification failed|Could not resolve hostname"
    r"|Permission denied \(|Connection timed out during banner exchange|kex_exchange_identification"
    r"|REMOTE HOST IDENTIFICATION HAS CHANGED|no matching host key type|Too many authentication failures"
)


def results(recording: Recording, names: Iterable[str], *, killed: bool) -> dict[str, Result]:
    """One result per name.

    Args:
        recording: what was heard from the run that has ended.
        names: the targets that it was meant for.
        killed: it was stopped from here, so that silence proves nothing.
    """
    return {name: _result(recording, name, killed=killed) for name in names}


def _result(recording: Recording, name: str, *, killed: bool) -> Result:
    host = recording.hosts.get(name, Host())
    if recording.stats is None:
        return _cut(recording, host, killed=killed)
    stats = recording.stats
    changed = stats.changed.get(name, 0) > 0
    if stats.dark.get(name):
        return _unreachable(host, changed=changed)
    if stats.failures.get(name):
        return _make(Status.FAILED, host, _failure(host), changed=changed)
    if name not in stats.processed and not host.started:
        return _make(Status.FAILED, host, "no play of the playbook ran on this host", changed=False)
    if not host.ended:
        return _stopped(recording, host, changed=changed)
    return _make(Status.OK, host, _count(host, stats, name), changed=changed)


def _stopped(recording: Recording, host: Host, *, changed: bool) -> Result:
    if recording.lost:
        return _make(Status.IN_DOUBT, host, f"{recording.lost} events were lost", changed=changed)
    summary = "the playbook was stopped before its end because of other hosts"
    return _make(Status.FAILED, host, summary, changed=changed)


def _cut(recording: Recording, host: Host, *, killed: bool) -> Result:
    said = "\n".join(recording.said)
    if not killed and not recording.begun and not recording.lost and _REFUSED_TO_BEGIN.search(said):
        return Result(
            status=Status.FAILED,
            changed=False,
            summary="Ansible did not begin: nothing ran",
            detail=said,
        )
    where = f" during {host.running!r}" if host.running else ""
    return _make(
        Status.IN_DOUBT,
        host,
        f"Ansible's report ended{where} without a final status",
        changed=_took_effect(host) or bool(host.running),
        detail=said,
    )


def _unreachable(host: Host, *, changed: bool) -> Result:
    last = next((t for t in reversed(host.tasks) if t.status is TaskStatus.UNREACHABLE), None)
    message = last.message if last else ""
    if not changed and not _took_effect(host) and _NEVER_CONNECTED.search(message):
        summary = "unreachable before anything was done"
        return _make(Status.FAILED, host, summary, changed=False, detail=message)
    task = f" during {last.name!r}" if last else ""
    return _make(Status.IN_DOUBT, host, f"lost the connection{task}", changed=True, detail=message)


def _took_effect(host: Host) -> bool:
    done = (TaskStatus.OK, TaskStatus.CHANGED, TaskStatus.FAILED, TaskStatus.IGNORED)
    return host.partial or any(t.status in done and t.action not in _HARMLESS for t in host.tasks)


def _failure(host: Host) -> str:
    task = _failed(host)
    return f"task {task.title} failed: {task.message}" if task else "a task failed"


def _failed(host: Host) -> Task | None:
    return next((t for t in reversed(host.tasks) if t.status is TaskStatus.FAILED), None)


def _count(host: Host, stats: Stats, name: str) -> str:
    return f"{len(host.tasks)} tasks, {stats.changed.get(name, 0)} changed"


def _make(status: Status, host: Host, summary: str, *, changed: bool, detail: str = "") -> Result:
    task = _failed(host)
    if not detail and task and status is not Status.OK:
        detail = task.output
    return Result(
        status=status, changed=changed, summary=clip(summary, 1000), detail=detail, data=_data(host)
    )


def _data(host: Host) -> dict[str, JsonValue]:
    counts: Mapping[str, int] = {
        str(s): n for s in TaskStatus if (n := sum(t.status is s for t in host.tasks))
    }
    tasks: list[JsonValue] = [
        {"name": clip(t.name, 200), "module": t.action, "status": str(t.status)} for t in host.tasks[:_LISTED]
    ]
    return {"tasks": tasks, "counts": dict(counts)}
