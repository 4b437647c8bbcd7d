"""The real Request Tracker as tests see it: by other means than the code under test."""

from __future__ import annotations

import base64
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from remediate.lab import rt_rest, rt_server
from remediate.lab.rt import RequestTracker

from .conformance import Seen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quiet(_line: str) -> None:
    pass


def send(tracker: RequestTracker, number: signal.Signals) -> None:
    for pid in rt_server.find(tracker.root):
        os.kill(pid, number)


def workers(tracker: RequestTracker) -> list[int]:
    """The processes that answer, without their parent."""
    pids = rt_server.find(tracker.root)
    parents = {int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) for pid in pids}
    return [pid for pid in pids if pid not in parents]


def call(tracker: RequestTracker, user: str, method: str, path: str, **body: object) -> object:
    return rt_rest.call(tracker.port, tracker.token(user), method, path, body or None)


def say(tracker: RequestTracker, user: str, ticket: str, text: str, kind: str = "correspond") -> None:
    call(tracker, user, "POST", f"/ticket/{ticket}/{kind}", Content=text, ContentType="text/plain")


def transcript_of(tracker: RequestTracker, ticket: str) -> list[Seen]:
    """Our entries by way of the ticket's history, which the code under test does not use."""
    history = call(tracker, "remediate", "GET", f"/ticket/{ticket}/history?per_page=100&fields=Type,Creator")
    entries = []
    for row in cast(dict[str, list[dict[str, object]]], history)["items"]:
        kind, creator = row["Type"], cast(dict[str, str], row["Creator"])["id"]
        if kind in ("Comment", "Correspond") and creator == "remediate":
            entries.append(seen(tracker, str(row["id"]), kind == "Correspond"))
    return entries


def seen(tracker: RequestTracker, transaction: str, public: bool) -> Seen:
    found = call(tracker, "remediate", "GET", f"/transaction/{transaction}")
    text, files = "", []
    for link in cast(dict[str, list[dict[str, str]]], found)["_hyperlinks"]:
        if link["ref"] == "attachment":
            path = link["_url"].partition("/REST/2.0")[2]
            part = cast(dict[str, str], call(tracker, "remediate", "GET", path))
            data = base64.b64decode(part.get("Content") or "")
            if part.get("Filename"):
                files.append(data)
            elif part["ContentType"] == "text/plain":
                text = data.decode()
    return Seen(text, public, tuple(files))


def told(entries: Sequence[Seen]) -> list[int]:
    lines = "\n".join(entry.text for entry in entries).split("\n")
    return [int(line[1:].partition(">")[0]) for line in lines if line.startswith("<")]
