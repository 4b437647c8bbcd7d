"""The real Request Tracker as tests see it: by other means than the code under test."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from remediate.lab import rt_rest, rt_seed, rt_server
from remediate.lab.rt import RequestTracker

from .conformance import Seen

#: A queue with the lifecycle that RT comes with.
STOCK = "Stock"
#: One whose resolved tickets can only be opened again, not rolled back directly.
REOPENING = "Reopening"
_LIFECYCLE = """    reopening => {
        initial     => ['new'],
        active      => [ 'approved', 'in progress' ],
        inactive    => [ 'resolved', 'rolled back' ],
        defaults    => { on_create => 'approved' },
        transitions => {
            ''            => [ 'new', 'approved' ],
            'new'         => ['approved'],
            'approved'    => ['in progress'],
            'in progress' => [ 'resolved', 'rolled back' ],
            'resolved'    => ['in progress'],
            'rolled back' => [],
        },
        rights => { '* -> *' => 'ModifyTicket' },
    },
"""
_QUEUES = f"""    {{ Name => '{STOCK}', Lifecycle => 'default' }},
    {{ Name => '{REOPENING}', Lifecycle => 'reopening' }},
"""
_ACL = """push @ACL, map { my $queue = $_; (
    { Queue => $queue, GroupDomain => 'UserDefined', GroupId => 'Engineers', Right => \\@work },
    { Queue => $queue, GroupDomain => 'UserDefined', GroupId => 'Change managers', Right => \\@review },
    { Queue => $queue, GroupDomain => 'RT::Queue-Role', GroupType => 'Requestor',
      Right => [qw(SeeQueue ShowTicket ReplyToTicket)] },
) } qw(Stock Reopening);
push @ACL, { GroupDomain => 'UserDefined', GroupId => 'Engineers', Right => 'SeeGroup' };

"""


def with_more_queues(folder: Path) -> Path:
    """A copy of the lab's files from which a tracker gets two more queues, with other lifecycles."""
    found = shutil.copytree(rt_seed.SOURCE, folder / "rt")
    _insert(found / "RT_SiteConfig.pm", "    # No change may move to a queue", _LIFECYCLE)
    _insert(found / "initialdata.pl", ");\n\nour @CustomFields", _QUEUES)
    _insert(found / "initialdata.pl", "1;\n", _ACL)
    return found


def _insert(path: Path, before: str, more: str) -> None:
    head, found, tail = path.read_text().rpartition(before)
    assert found, f"{path.name} has changed"
    path.write_text(head + more + found + tail)


def create(
    tracker: RequestTracker,
    queue: str,
    *requestors: str,
    subject: str = "Patch openssl",
    priority: str = "urgent",
) -> str:
    """A ticket in one of the queues."""
    body = {"Queue": queue, "Subject": subject, "Requestor": list(requestors), "Priority": priority}
    made = call(tracker, "remediate", "POST", "/ticket", **body)
    return cast(dict[str, str], made)["id"]


def group(tracker: RequestTracker, name: str) -> int:
    """The number of a group, which the API does not tell by its name."""
    with contextlib.closing(sqlite3.connect(tracker.root / "live" / rt_seed.DATABASE)) as database:
        return int(database.execute("SELECT id FROM Groups WHERE Name = ?", (name,)).fetchone()[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quiet(_line: str) -> None:
    pass


#: Trackers that a test has frozen or killed since they were last seen to.
disturbed: set[Path] = set()


def send(tracker: RequestTracker, number: signal.Signals) -> None:
    disturbed.add(tracker.root)
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
