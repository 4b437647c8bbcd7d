"""Stops the real program around a chosen call of an adapter. Python itself imports this when it starts.

``E2E_CALLS`` names a file that gets one line for each moment (``before apply s02-package web1``), and
``E2E_AT`` the one at which the process gets the signal ``E2E_SIGNAL``: by its number, or by how it begins.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

_LOCK = threading.Lock()
_THREAD = threading.local()
_JOURNALS: list[Any] = []
_POSTING = threading.RLock()
_PORT = ("apply", "undo", "quiesce", "probe")
_seen = 0


def _moment(what: str) -> None:
    """Tell of it; and if it is the one, go no further."""
    global _seen  # noqa: PLW0603
    with _LOCK:
        _seen += 1
        file = os.open(os.environ["E2E_CALLS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, f"{what}\n".encode())
        os.close(file)
        at = os.environ.get("E2E_AT", "")
        if at == str(_seen) or (at and not at.isdigit() and what.startswith(at)):
            del os.environ["E2E_AT"]
            with ExitStack() as stack:
                # Who is stopped in the middle of a transaction or of a post would hold up everybody else.
                stack.enter_context(_POSTING)
                for journal in _JOURNALS:
                    stack.enter_context(journal._mutex)
                os.kill(os.getpid(), signal.Signals[os.environ["E2E_SIGNAL"]])


def _around(owner: Any, name: str, says: Callable[..., str]) -> None:
    real = getattr(owner, name)

    def wrapped(*args: Any, **named: Any) -> Any:
        if not (what := says(*args, **named)):
            return real(*args, **named)
        _moment(f"before {what}")
        result = real(*args, **named)
        _moment(f"after {what}")
        return result

    setattr(owner, name, wrapped)


def _alone(owner: Any, name: str) -> None:
    real = getattr(owner, name)

    def wrapped(*args: Any, **named: Any) -> Any:
        with _POSTING:
            return real(*args, **named)

    setattr(owner, name, wrapped)


def _names(jobs: Any) -> str:
    each = jobs if isinstance(jobs, Sequence) else [jobs]
    return " ".join(job.target for job in each)


def _install() -> None:
    from remediate.adapters.ansible import execution
    from remediate.adapters.hosts.session import Session
    from remediate.journal.sqlite import SqliteJournal
    from remediate.service.port import AdapterPort
    from remediate.tickets.file import FileTickets

    opened = SqliteJournal.__init__

    def opening(self: SqliteJournal, *args: Any, **named: Any) -> None:
        opened(self, *args, **named)
        _JOURNALS.append(self)

    SqliteJournal.__init__ = opening  # type: ignore[method-assign]
    for name in ("post", "last_posted"):
        _alone(FileTickets, name)
    for name in _PORT:
        _around(AdapterPort, name, lambda _self, step, jobs, verb=name: f"{verb} {step} {_names(jobs)}")
    _around(execution, "execute", lambda job, *_: "" if job.check else f"ansible {job.token}")
    _around(Session, "ask", _request)
    _around(Session, "_send", lambda self, op, *_: _sending(self, op))


def _request(session: Any, op: str, *, effect: bool, **_: Any) -> str:
    """Only those that change something."""
    _THREAD.effect = effect
    return f"request {op} {session.name}" if effect else ""


def _sending(session: Any, op: str) -> str:
    return f"sending {op} {session.name}" if _THREAD.effect else ""


if "E2E_CALLS" in os.environ:
    _install()
