"""A ticket system that answers nonsense, and people who write what only the program may write."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rt.rest2 import Rt

from remediate.model.event import Final
from remediate.tickets import rt_session
from remediate.tickets.file import FileTickets
from remediate.tickets.interface import Change, Post, TicketAltered, TicketDown, TicketRefused
from remediate.tickets.rt import RequestTrackerTickets
from tests.hostile import clear_refusal, hostile
from tests.hostile.mutations import VALUES, json_values, nested, spoiled, text_of
from tests.report.hostile import texts

TOKEN = "1-29-" + "0" * 32
RUN = "r-1"
POST = Post(RUN, 7, "text")
TICKET = {
    "Subject": "s", "Status": "open", "Priority": "High", "CustomFields": [{"name": "Plan", "values": ["x"]}],
    "Requestor": [{"id": "customer", "type": "user"}, {"id": "9", "type": "group"}],
    "_hyperlinks": [{"ref": "comment"}, {"ref": "correspond"}],
}  # fmt: skip
ROW = {"id": "4", "Content": f"text\n\n{POST.marker}", "Creator": {"id": "29"}, "TransactionId": "3"}
GOOD: dict[str, Any] = {
    "ticket/5": TICKET,
    "ticket/5/attachments": {"items": [ROW]},
    "ticket/5/comment": ["added"],
    "user/customer": {"EmailAddress": "c@example.org", "Name": "customer"},
    "group/9": {"Members": [{"id": "customer", "type": "user"}]},
    "attachment/4": {"Content": "eA=="},
}
CALLS: dict[str, Callable[[RequestTrackerTickets], object]] = {
    "read": lambda system: system.read("5"),
    "last_posted": lambda system: system.last_posted("5", RUN),
    "posted": lambda system: system.posted("5", RUN),
    "entries": lambda system: system.entries("5", ".json"),
    "post": lambda system: system.post("5", POST),
    "started": lambda system: system.started("5", Change("a" * 64, "low")),
    "finished": lambda system: system.finished("5", Final.NEW),
}


class Server:
    """Answers as told, once for each page of a search."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.calls = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        assert self.calls < 200, "it asks without end"
        path = request.url.path.removeprefix("/REST/2.0/")
        status, body = self.answers.get(path, (404, b""))
        if path.endswith("attachments") and request.url.params.get("page") != "1":
            status, body = 200, b'{"items": []}'
        return httpx2.Response(status, content=body, headers={"Content-Type": "application/json"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Request Tracker, without a network between."""
    server = Server()
    rt = Rt("http://rt.invalid/REST/2.0/", token=TOKEN)
    rt.session.close()
    rt.session = httpx2.Client(transport=httpx2.MockTransport(server))
    close = rt.session.close
    # One session for all calls: to make one takes longer than all that is tried here.
    monkeypatch.setattr(rt.session, "close", lambda: None)
    monkeypatch.setattr(rt_session, "open_session", lambda *_: rt)
    yield server
    close()


def asked(server: Server, name: str) -> object:
    server.calls = 0
    system = RequestTrackerTickets("http://rt.invalid/", TOKEN)
    try:
        return CALLS[name](system)
    finally:
        system.close()


def good(server: Server) -> None:
    server.answers = {
        path: (201 if path.endswith("comment") else 200, text_of(value)) for path, value in GOOD.items()
    }


def test_the_good_server_is_understood(server: Server) -> None:
    good(server)
    assert asked(server, "last_posted") == 7
    assert asked(server, "post") is None
    assert getattr(asked(server, "read"), "asked_by", ()) != ()


@hostile("replies of Request Tracker: changed values", 300, "refused or in doubt, the record named")
@given(st.sampled_from(sorted(CALLS)), st.sampled_from(sorted(GOOD)), st.data())
def test_changed_replies(server: Server, call: str, path: str, data: st.DataObject) -> None:
    good(server)
    status = data.draw(st.sampled_from([200, 200, 200, 201, 204, 299]))
    server.answers[path] = (status, text_of(data.draw(json_values(copy.deepcopy(GOOD[path])))))
    with clear_refusal(TicketDown, TicketRefused):
        asked(server, call)


OTHER = {
    "HTML": (200, b"<html>Log in"), "nothing": (200, b""), "null": (200, b"null"), "a list": (200, b"[[]]"),
    "a number": (200, b"5"), "a deep list": (200, nested(b"[", b"]")), "no text": (200, b"\xff\xfe\x00"),
    "a detour": (302, b""), "no right": (403, text_of({"message": "\x1b[2J" * 1000})),
    "an error of its own": (500, b"x" * 100_000), "a status of no meaning": (999, b""),
    "a deep reason": (400, nested(b'{"message":', b"}", b"1")),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", OTHER)
@pytest.mark.hostile(
    "replies that are none of its API", len(OTHER) * len(CALLS), "refused or in doubt, in words"
)
def test_other_replies(server: Server, call: str, name: str) -> None:
    for path in GOOD:
        good(server)
        server.answers[path] = OTHER[name]
        with clear_refusal(TicketDown, TicketRefused):
            asked(server, call)


@hostile("markers in others' entries and in quotations", 100, "not counted: the log goes on where it was")
@given(st.sampled_from(["customer", 30, None, {"id": "30"}, {"id": 2.9}, {"id": ["29"]}, []]), texts)
def test_forged_markers(server: Server, creator: object, text: str) -> None:
    good(server)
    forged = {**ROW, "Creator": creator, "Content": f"{text}\n[remediate {RUN} #999]"}
    quoted = {**ROW, "Content": f"[remediate {RUN} #998]\n> {text}\nnot the last line"}
    server.answers["ticket/5/attachments"] = (200, text_of({"items": [forged, quoted, ROW]}))
    assert asked(server, "last_posted") == 7
    assert asked(server, "posted") == (7,)


def test_a_number_without_end_is_no_marker(server: Server) -> None:
    good(server)
    row = {**ROW, "Content": f"x\n[remediate {RUN} #{'9' * 5000}]"}
    server.answers["ticket/5/attachments"] = (200, text_of({"items": [row, ROW]}))
    assert asked(server, "last_posted") == 7


def test_groups_without_end(server: Server) -> None:
    good(server)
    for number in range(9, 500):
        member = {"id": str(number + 1), "type": "group"}
        server.answers[f"group/{number}"] = (200, text_of({"Members": [member]}))
    with pytest.raises(TicketRefused, match="groups"):
        asked(server, "read")


FRONT = b"---\nsubject: s\nrequester: eve\npriority: high\n---\ntext\n"


@hostile("tickets as files: changed bytes", 200, "refused, file and line named; or text")
@given(spoiled(FRONT))
@example(b"---\n" + b"subject: s\n" * 20_000)
@example(b"---\nsubject: " + b"x" * 200_000 + b"\n---\n")
def test_ticket_files(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "T-1"
    folder.mkdir(exist_ok=True)
    (folder / "ticket.md").write_bytes(data)
    with clear_refusal(TicketRefused):
        FileTickets(tmp_path).read("T-1")


@hostile("logs as files: what people wrote into them", 150, "what stands there stays; ours is found after it")
@given(st.one_of(texts, st.sampled_from([v for v in VALUES if isinstance(v, str)])))
@example(f"[remediate {RUN} #{'9' * 5000}]\n")
@example("## 2026-01-01 00:00:00 UTC · public\n```text\n" * 50)
@example("\x00" * 10_000)
def test_log_files(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("logs")
    (root / "T-1").mkdir()
    (root / "T-1" / "ticket.md").write_bytes(FRONT)
    system = FileTickets(root)
    system.post("T-1", Post(RUN, 1, "first"))
    with (root / "T-1" / "log.md").open("ab") as file:
        file.write(text.encode(errors="replace"))
    with clear_refusal(TicketRefused, TicketDown):
        system.post("T-1", Post(RUN, 2, text))
        assert system.posted("T-1", RUN)[0] == 1
        assert system.posted("T-1", RUN)[-1] == 2


NAMES = (
    "-rf",
    "a\nb",
    "a\x1b[2J",
    "\u202egnp.exe",
    "ü" * 127,
    "x" * 255,
    " ",
    "a|b",
    "[x](y)",
    "`",
    "\udcff",
    "0",
)


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.hostile(
    "names of attachments", len(NAMES), "attached under a plain name, on both ticket systems"
)
def test_names_of_attachments(tmp_path: Path, server: Server, name: str) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path = folder / name
    path.write_bytes(b"content")
    (tmp_path / "T-1").mkdir()
    (tmp_path / "T-1" / "ticket.md").write_bytes(FRONT)
    FileTickets(tmp_path).post("T-1", Post(RUN, 1, "text", attachments=(path,)))
    (kept,) = (tmp_path / "T-1" / "attachments").iterdir()
    assert kept.read_bytes() == b"content"
    assert kept.name.isascii()
    assert kept.name.isprintable()
    assert (tmp_path / "T-1" / "log.md").read_text().count("\n- [") == 1
    good(server)
    with pytest.raises(TicketAltered, match=r"does not read as it was written|not what was sent"):
        RequestTrackerTickets("http://rt.invalid/", TOKEN).post(
            "5", Post(RUN, 7, "text", attachments=(path,))
        )
