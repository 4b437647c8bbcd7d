"""The ticket settings of `remediate.toml`, and what of them reaches the adapter and the outbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.config import load_config
from remediate.credentials import Credentials
from remediate.errors import InputError
from remediate.model.change import Priority
from remediate.service import ticketing
from remediate.tickets import rt
from remediate.tickets.interface import TicketSystem

TOKEN = "1-29-" + "0" * 32
RT = """
[ticket]
system = "rt"

[ticket.rt]
url = "https://rt.example.org/"
token = "env:RT_TOKEN"
"""


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_TOKEN", TOKEN)


def opened(root: Path, text: str) -> TicketSystem:
    (root / "remediate.toml").write_text(text)
    config = load_config(root, {})
    return ticketing.open_tickets(config, Credentials(config))


def test_everything_reaches_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(rt, "RequestTrackerTickets", lambda _url, _token, **more: given.update(more))
    (tmp_path / "ca.pem").touch()
    more = """
timeout = "30s"
ca = "ca.pem"
fields = { digest = "Digest", window = "" }
statuses = { started = "open", verified_original = "rejected" }
priorities = { Blocker = "urgent", "50" = "high" }
"""
    opened(tmp_path, RT + more)
    assert given == {
        "timeout": 30.0,
        "ca": tmp_path / "ca.pem",
        "fields": {"digest": "Digest", "risk": "Risk", "window": ""},
        "statuses": {"started": "open", "verified-new": "resolved", "verified-original": "rejected"},
        "priorities": {**rt.PRIORITIES, "blocker": Priority.URGENT, "50": Priority.HIGH},
    }


def test_defaults_are_those_of_the_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(rt, "RequestTrackerTickets", lambda _url, _token, **more: given.update(more))
    opened(tmp_path, RT)
    assert given == {
        "timeout": 10.0,
        "ca": None,
        "fields": dict(rt.FIELDS),
        "statuses": dict(rt.STATUSES),
        "priorities": dict(rt.PRIORITIES),
    }


@pytest.mark.parametrize(
    ("more", "problems"),
    [
        ('ca = "nowhere.pem"', ["ticket.rt.ca: there is no file"]),
        ('priorities = { blocker = "very" }', ["ticket.rt.priorities.blocker: ", "urgent"]),
        ('statuses = { begun = "open" }', ["ticket.rt.statuses.begun: "]),
        ("fields = { risk = 3 }", ["ticket.rt.fields.risk: "]),
        ('timeout = "soon"', ["ticket.rt.timeout: not a duration"]),
        ("timeout = 0", ["ticket.rt.timeout: "]),
        ("timeout = 20\nsettle = 19", ["ticket.rt.settle: 19 s are less than the timeout (20 s)"]),
        ('linger = "-1s"', ["ticket.rt.linger: "]),
        ("tiemout = 1", ["ticket.rt.tiemout: "]),
        ('linger = "x"\nca = 3', ["ticket.rt.linger: ", "ticket.rt.ca: "]),
    ],
)
def test_wrong_values_name_their_keys(tmp_path: Path, more: str, problems: list[str]) -> None:
    with pytest.raises(InputError) as error:
        opened(tmp_path, RT + more)
    for problem in problems:
        assert problem in error.value.problem


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("https://rt.example.org/", "https://a:hunter2@rt/", "ticket.rt.url: the address"),
        ('url = "https://rt.example.org/"', "", "ticket.rt.url: is missing"),
        ('"env:RT_TOKEN"', '"env:RT_NOWHERE"', "ticket.rt.token: "),
        ('"env:RT_TOKEN"', '"env:HOME"', "ticket.rt.token: the ticket system's token is not"),
        ('system = "rt"', 'system = "jira"', "ticket.system: there is no 'jira'"),
    ],
)
def test_wrong_address_or_token(tmp_path: Path, before: str, after: str, problem: str) -> None:
    with pytest.raises(InputError) as error:
        opened(tmp_path, RT.replace(before, after))
    assert problem in error.value.problem
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "settle", "linger"),
    [
        ("", 0.0, 5.0),
        ('[ticket.file]\nlinger = "1m"', 0.0, 60.0),
        (RT, 15.0, 5.0),
        (RT + 'settle = "1m"\nlinger = 0', 60.0, 0.0),
        (RT + "timeout = 40", 40.0, 5.0),
    ],
)
def test_pace(tmp_path: Path, text: str, settle: float, linger: float) -> None:
    (tmp_path / "remediate.toml").write_text(text)
    pace = ticketing.pace(load_config(tmp_path, {}))
    assert (pace.settle, pace.linger) == (settle, linger)
