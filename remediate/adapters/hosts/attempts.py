"""What earlier attempts of a step may have left running on its host, and how it is settled."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from remediate.adapters.hosts.client import HostClient, connect
from remediate.adapters.hosts.values import JobState, JobStatus
from remediate.model.step import Context, Token


def tokens(context: Context) -> list[str]:
    """The tokens of all attempts, the latest first."""
    token = context.token
    count = max(context.attempts, token.attempt)
    return [str(Token(token.run, token.step, number)) for number in range(count, 0, -1)]


def quiet(context: Context) -> bool:
    """Whether nothing of any attempt goes on, and nothing of it will begin.

    A job that runs is waited for (it has a time limit of its own; a package manager killed half-way leaves
    worse than one that ends late). What a killed job left behind is ended here. A process that outlives a job
    which ended by itself is a daemon that the job started, and none of our business.
    """
    client = connect(context)
    if client.supersede():
        return False
    # All of them are asked, also after one that is not: each may have something to end.
    answers = [_quiet(client, token) for token in tokens(context)]
    return all(answers)


def _quiet(client: HostClient, token: str) -> bool:
    left = client.pending(token)
    if left.running:
        return False
    if left.vanished and left.processes:
        return not client.kill(token)
    return True


def note_start(context: Context, client: HostClient, job: str) -> None:
    """Write down, durably and here, that the job is about to be started, and in which boot of the host."""
    path = _note(context, job)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(client.boot)
        file.flush()
        os.fsync(file.fileno())


def became_of(context: Context, client: HostClient, job: str) -> JobStatus:
    """What became of a job, using the note of its start: a job that no note or no host knows never began."""
    status = client.job_status(job)
    if status.state is not JobState.UNKNOWN:
        return status
    note = _note(context, job)
    begun = note.exists() and note.read_text() != status.boot
    return JobStatus(JobState.UNKNOWN, None, begun, status.boot)


def _note(context: Context, job: str) -> Path:
    return context.workspace / f"started-{quote(context.target.name, safe='')}-{quote(job, safe='')}"[:250]
