"""What can be done on a host, as typed calls; every step and check works through it."""

from __future__ import annotations

import math
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remediate.adapters.clients import load_sdk
from remediate.adapters.hosts.access import Access, access
from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.hosts.local import LocalPipe
from remediate.adapters.hosts.reading import PART, SLACK, HostReader
from remediate.adapters.hosts.session import Answer, Session
from remediate.adapters.hosts.values import JobState, JobStatus, Outcome, Pending, Process, outcome
from remediate.errors import InDoubt, InputError
from remediate.model.base import sha256
from remediate.model.step import Clients, Context
from remediate.model.target import Target

#: What SSH needs.
SDKS = ("paramiko", "fabric", "remediate.adapters.hosts.ssh")
_NAME = re.compile(r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$")
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]")
#: So long one request waits for a job before the next one asks again; a dead path shows soon after.
_TURN = 10.0
_PAUSE = 0.05
#: Deadline of one request that changes something.
_PUT = 120.0
#: Tells the agents of this process from those of another one of the same run.
_OURS = uuid.uuid4().hex[:12]
#: So long the agent of a dead process may take to notice that; after the second time it is given up.
_GRACE, _LIMIT = 2.0, 10.0


def connect(context: Context, peer: Target | None = None) -> HostClient:
    """The client of this context's target (or of another host that the step needs).

    Raises:
        Unreachable: it can't be reached, didn't prove who it is, or its variables ask for what is not
            supported; nothing was done.
    """
    target = peer or context.target
    key = ("host", target.name)

    def open_() -> Session:
        try:
            way = replace(access(target), mark=f"remediate-agent.{context.token.run}.{_OURS}")
            return open_session(way, context.clients)
        except InputError as error:
            # In the middle of a run that is no question for a user any more: nothing was done.
            raise Unreachable(error.problem, error.advice) from None

    session = context.clients.get(key, open_, Session.close)
    if not session.usable():
        context.clients.drop(key)
        session = context.clients.get(key, open_, Session.close)
    return HostClient(session, context.timeout, context.clients.fence)


def open_session(way: Access, clients: Clients) -> Session:
    """A new agent on the host; a host in between is connected to once, for all that lie behind it."""
    if way.connection == "local":
        return Session(way, LocalPipe(way))
    load_sdk(*SDKS)
    from remediate.adapters.hosts.ssh import SshPipe, gateway

    return Session(way, SshPipe(way, gateway(way, clients)))


class HostClient(HostReader):
    """A host. A call that changes something raises `InDoubt` when the connection fails after it was sent."""

    def _change(self, op: str, payload: bytes = b"", seconds: float | None = None, **fields: Any) -> Answer:
        wait = seconds or min(self.timeout, _PUT)
        until = self.fence()
        return self.session.ask(op, effect=True, seconds=wait, payload=payload, fields=fields, until=until)

    def write(
        self,
        path: str,
        content: bytes,
        *,
        stage: str,
        owner: str | int | None = None,
        group: str | int | None = None,
        mode: str | None = None,
        xattrs: Mapping[str, str] | None = None,
        mtime: int | None = None,
        validate: Sequence[str] | None = None,
    ) -> str:
        """Put a file in place at once, with owner and mode set before it is visible; returns its SHA-256.

        Args:
            path: absolute; what is there may only be a regular file with one name, or nothing.
            content: all of it.
            stage: names the attempt, so that a later one replaces what an earlier one left half done.
            owner: name or number; None leaves it, and is root for a new file (likewise ``group``).
            mode: octal text; None leaves it, and is 0644 for a new file.
            xattrs: base64 by name, made exactly so; None leaves them.
            mtime: in nanoseconds; None is now.
            validate: a command that must accept the content first; ``{file}`` in it is the new file.
        """
        meta = {
            "owner": owner,
            "group": group,
            "mode": mode,
            "xattrs": None if xattrs is None else dict(xattrs),
            "mtime": mtime,
            "validate": None if validate is None else list(validate),
        }
        offset = 0
        while True:
            part = content[offset : offset + PART]
            last = offset + len(part) >= len(content)
            answer = self._change("write", part, path=path, stage=stage, offset=offset, last=last, meta=meta)
            if last:
                return str(answer.fields["sha256"])
            offset += len(part)

    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty directory; absent is fine."""
        self._change("remove", path=path)

    def make_parents(self, path: str) -> None:
        """Make the directories above ``path`` that are missing: root's own, 0755."""
        self._change("parents", path=path)

    def place(self, path: str, fact: Mapping[str, Any], mtime: int) -> None:
        """Make a directory or symbolic link exactly as ``fact`` says."""
        self._change("place", path=path, fact=dict(fact), mtime=mtime)

    def run(
        self,
        argv: Sequence[str],
        token: str,
        *,
        name: str = "",
        seconds: float | None = None,
        env: Mapping[str, str] | None = None,
        again: bool = False,
    ) -> Outcome:
        """Run a command as a job: it goes on when the connection dies, and never runs twice under one name.

        Args:
            argv: the command, no shell.
            token: the attempt; all its processes carry it as REMEDIATE_TOKEN.
            name: of the job; default: the token itself.
            seconds: after which the host itself ends it; default: the context's timeout.
            env: added to a clean environment.
            again: whether an ended job of this name makes room (for undo, which may be repeated).

        Raises:
            Unreachable: it was not started.
            InDoubt: it may have been started, and its end was not seen; `job_status` can tell.
        """
        limit = seconds or self.timeout
        job = job_name(name or token)
        fields = self._change(
            "launch",
            seconds=_TURN + SLACK,
            wait=min(_TURN, limit),
            name=job,
            token=token,
            argv=list(argv),
            env=dict(env or {}),
            limit=limit,
            again=again,
        ).fields
        # The host ends it at its limit, with a grace of its own; only then is something wrong.
        deadline = time.monotonic() + limit + 4 * SLACK
        while fields["state"] == JobState.RUNNING and time.monotonic() < deadline:
            # An early answer: another thread asked something. Two who wait must not chase each other.
            time.sleep(_PAUSE)
            fields = self._wait(job, argv[0])
        if fields["state"] != JobState.ENDED:
            raise InDoubt(f"{self.session.name}: {argv[0]} has left no result (it is {fields['state']})")
        return outcome(tuple(argv), fields)

    def _wait(self, job: str, what: str) -> dict[str, Any]:
        self.fence()
        fields = {"name": job, "limit": _TURN}
        try:
            return self.session.ask("wait", effect=True, seconds=_TURN + SLACK, fields=fields).fields
        except Unreachable as error:
            # Not being able to ask about a job that was begun is another thing than not having begun it.
            raise InDoubt(f"{what} was begun and its end was not seen: {error.problem}") from None

    # -- jobs and processes --

    def job_status(self, name: str) -> JobStatus:
        """What became of a job."""
        fields = self._read("status", name=job_name(name)).fields
        state = JobState(fields["state"])
        seen = outcome((), fields) if state is not JobState.UNKNOWN else None
        return JobStatus(state, seen, bool(fields.get("begun", True)), str(fields["boot"]))

    def alive(self, token: str) -> tuple[Process, ...]:
        """Processes of this attempt that still live."""
        return self.pending(token).processes

    def pending(self, token: str) -> Pending:
        """What is left of this attempt. A process of a job that has ended is a daemon that it left behind."""
        answer = self._read("pending", token=token)
        return Pending(_processes(answer), tuple(answer.fields["running"]), tuple(answer.fields["vanished"]))

    def kill(self, token: str, grace: float = 5.0, limit: float = 20.0) -> tuple[Process, ...]:
        """End all processes of this attempt; returns those that would not die, so none means: confirmed dead.

        Args:
            token: the attempt.
            grace: seconds between asking them to end and forcing them.
            limit: seconds after which it is given up.
        """
        return _processes(self._change("kill", seconds=limit + SLACK, token=token, grace=grace, limit=limit))

    def supersede(self) -> tuple[Process, ...]:
        """End the agents of this run's earlier processes; returns those that would not die.

        One of them may hold a request that it has not read yet, and would carry it out at any later time.
        """
        mark, wait = self.session.mark, _LIMIT + SLACK
        return _processes(self._change("supersede", seconds=wait, mark=mark, grace=_GRACE, limit=_LIMIT))

    def forget(self, token: str) -> int:
        """Remove what the host keeps about this attempt's ended jobs."""
        return int(self._change("forget", token=token).fields["gone"])

    def socket(self, path: str, request: bytes, seconds: float = 10.0, *, effect: bool) -> bytes:
        """Send a request to a Unix socket; returns the whole answer."""
        fields = {"path": path, "limit": seconds}
        wait = seconds + SLACK
        until = self.fence() if effect else math.inf
        answer = self.session.ask(
            "socket", effect=effect, seconds=wait, payload=request, fields=fields, until=until
        )
        return answer.payload


def job_name(text: str) -> str:
    """A name that any host takes: text that isn't one is made so, and stays different from others."""
    if _NAME.match(text):
        return text
    return f"{_NO_NAME.sub('_', text)[:150]}-{sha256(text.encode())[:16]}".lstrip(".")


def _processes(answer: Answer) -> tuple[Process, ...]:
    return tuple(Process(**found) for found in answer.fields["processes"])
