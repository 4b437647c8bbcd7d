"""The agent: what it can be asked, by name."""

import os
import socket
import sys
import time

from . import debs, facts, jobs, look, processes, put, whole
from .commands import run_captured
from .wire import Refusal, serve

MYPY = False
if MYPY:
    from collections.abc import Callable
    from typing import Any

    from .wire import Answer

#: An answer over a socket longer than this is not one that we asked for.
_LONGEST_ANSWER = 4 << 20


def _facts(
    files: "list[str]",
    packages: "list[str]",
    services: "list[str]",
    simulate: "dict[str, str]",
    options: "list[str]",
) -> "Answer":
    """Everything at once; with ``simulate``, also about every package that apt would touch."""
    known = facts.packages(sorted({*packages, *simulate}))
    missing = {n: v for n, v in simulate.items() if known[n]["fact"].get("version") != v}
    changes = facts.simulate(missing, options) if missing else []
    known.update(facts.packages([change["name"] for change in changes if change["name"] not in known]))
    conffiles = sorted({path for entry in known.values() for path in entry["conffiles"]} if simulate else ())
    found = facts.files([*files, *conffiles])
    return {
        "files": found,
        "packages": {name: entry["fact"] for name, entry in known.items()},
        "services": facts.services(services),
        "changes": changes,
        "conffiles": conffiles,
    }, b""


def _grab(paths: "list[str]", room: int) -> "Answer":
    """Facts and, as far as there is room, contents: one list of entries for each path."""
    content: list[bytes] = []
    at = 0
    answer = []
    for path in paths:
        found = look.look(path, room - at)
        entries = []
        for entry in found:
            shown: dict[str, Any] = {"path": entry.path, "fact": entry.fact, "mtime": entry.mtime}
            if entry.content is not None:
                shown["at"] = at
                at += len(entry.content)
                content.append(entry.content)
            entries.append(shown)
        answer.append({"path": path, "fact": look.summary(found), "entries": entries})
    return {"found": answer}, b"".join(content)


def _fetch(wanted: "list[list[str]]") -> "Answer":
    return debs.fetch(wanted), b""


def _discard(folder: str) -> "Answer":
    debs.discard(folder)
    return {}, b""


def _read(path: str, offset: int, length: int) -> "Answer":
    return {}, look.read_part(path, offset, length)


def _write(payload: bytes = b"", **named: "Any") -> "Answer":
    return {"sha256": put.write(payload=payload, **named)}, b""


def _remove(path: str) -> "Answer":
    put.remove(path)
    return {}, b""


def _parents(path: str) -> "Answer":
    put.make_parents(path)
    return {}, b""


def _place(path: str, fact: "dict[str, Any]", mtime: int) -> "Answer":
    put.place(path, fact, mtime)
    return {}, b""


def _query(argv: "list[str]", env: "dict[str, str]", limit: float) -> "Answer":
    return run_captured(argv, env, limit), b""


def _launch(wait: float, **named: "Any") -> "Answer":
    jobs.launch(**named)
    return jobs.wait(named["name"], wait), b""


def _wait(name: str, limit: float) -> "Answer":
    return jobs.wait(name, limit), b""


def _status(name: str) -> "Answer":
    return dict(jobs.status(name), boot=jobs.boot_id()), b""


def _pending(token: str) -> "Answer":
    return jobs.pending(token), b""


def _kill(token: str, grace: float, limit: float) -> "Answer":
    return {"processes": jobs.kill(token, grace, limit)}, b""


def _supersede(mark: str, grace: float, limit: float) -> "Answer":
    return {"processes": processes.describe(processes.end_agents(mark, grace, limit))}, b""


def _forget(token: str) -> "Answer":
    return {"gone": jobs.forget(token)}, b""


def _socket(path: str, limit: float, payload: bytes = b"") -> "Answer":
    """Send a request to a Unix socket and read to the end of the answer."""
    deadline = time.monotonic() + limit
    parts: list[bytes] = []
    length = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(limit)
        try:
            connection.connect(path)
            connection.sendall(payload)
            connection.shutdown(socket.SHUT_WR)
            while True:
                connection.settimeout(max(0.01, deadline - time.monotonic()))
                part = connection.recv(65536)
                length += len(part)
                if not part:
                    return {}, b"".join(parts)
                if length > _LONGEST_ANSWER:
                    raise Refusal(f"{path} answers without end")
                parts.append(part)
        except socket.timeout:
            raise Refusal(f"{path} did not answer within {limit:g} s") from None
        except OSError as error:
            raise Refusal(f"{path}: {error.strerror}") from None


def run() -> None:
    """Serve until the client is gone."""
    os.umask(0o022)
    os.chdir("/")
    handlers: dict[str, Callable[..., Answer]] = {
        "facts": _facts,
        "grab": _grab,
        "fetch": _fetch,
        "discard": _discard,
        "read": _read,
        "write": _write,
        "remove": _remove,
        "parents": _parents,
        "place": _place,
        "query": _query,
        "launch": _launch,
        "wait": _wait,
        "status": _status,
        "pending": _pending,
        "kill": _kill,
        "supersede": _supersede,
        "forget": _forget,
        "socket": _socket,
        "whole": whole.whole,
    }
    hello = {"boot": jobs.boot_id(), "uid": os.geteuid(), "python": "{}.{}.{}".format(*sys.version_info)}
    try:
        serve(handlers, hello)
    finally:
        put.clean_up()
        debs.clean_up()
