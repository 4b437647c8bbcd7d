"""What goes wrong between us and Request Tracker: nothing sent, in doubt, or refused."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import time
from pathlib import Path

import pytest

from remediate.errors import InputError
from remediate.lab.rt import RequestTracker
from remediate.tickets.interface import Post, TicketAltered, TicketDown, TicketRefused, TicketUnreachable
from remediate.tickets.rt import RequestTrackerTickets

from .line import Fault, Line, dropped, reply_cut, reply_lost, says, trickle
from .rt_lab import STOCK, create, free_port

pytestmark = [pytest.mark.lab, pytest.mark.slow]

UNUSED = "1-29-" + "0" * 32


@pytest.fixture
def system(rt_system: RequestTrackerTickets) -> RequestTrackerTickets:
    return rt_system


@pytest.fixture(scope="module")
def ticket_id(tracker: RequestTracker) -> str:
    """One for all of these tests: each has a run of its own."""
    return create(tracker, STOCK)


@pytest.fixture
def run_id(request: pytest.FixtureRequest) -> str:
    return "r-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]


class TestFailures:
    """Each told as what it is: nothing sent, in doubt, or refused."""

    @pytest.mark.parametrize(
        ("fault", "kind"),
        [
            (says("429 Too Many Requests"), TicketUnreachable),
            (says("503 Service Unavailable", "down for maintenance"), TicketDown),
            (says("502 Bad Gateway"), TicketDown),
            (says("500 Internal Server Error"), TicketDown),
            (says("200 OK", "<html>Login</html>", "Content-Type: text/html"), (TicketDown, TicketRefused)),
            (says("200 OK", "[]"), (TicketDown, TicketRefused)),
            (says("201 Created", "null"), TicketAltered),
            (says("302 Found", "", "Location: https://elsewhere.example/"), TicketRefused),
            (says("401 Unauthorized"), TicketRefused),
            (says("403 Forbidden"), TicketRefused),
            (says("413 Content Too Large"), TicketRefused),
            (dropped, TicketDown),
            (reply_lost, TicketDown),
            (reply_cut, TicketDown),
            (says("nonsense"), TicketDown),
        ],
    )
    def test_of_a_post(
        self,
        far: RequestTrackerTickets,
        line: Line,
        system: RequestTrackerTickets,
        ticket_id: str,
        run_id: str,
        fault: Fault,
        kind: type[Exception],
    ) -> None:
        system.post(ticket_id, Post(run_id, 1, "before"))
        line.faults.append(("/comment", fault))
        with pytest.raises(kind) as failure:
            far.post(ticket_id, Post(run_id, 2, "text"))
        assert isinstance(failure.value, TicketUnreachable) == (kind is TicketUnreachable)
        taken = fault in (reply_lost, reply_cut)
        assert system.last_posted(ticket_id, run_id) == (2 if taken else 1)

    @pytest.mark.parametrize("word", ["/attachments", "/ticket/"])
    @pytest.mark.parametrize(
        "fault", [says("200 OK", "<html>"), says("200 OK", "[]"), says("200 OK", "{}"), dropped, reply_cut]
    )
    def test_of_a_question(
        self, far: RequestTrackerTickets, line: Line, ticket_id: str, run_id: str, word: str, fault: Fault
    ) -> None:
        line.faults.append((word, fault))
        if word == "/ticket/" and fault not in (dropped, reply_cut):
            line.faults.append(("/attachments", dropped))
        with pytest.raises(TicketDown):
            far.last_posted(ticket_id, run_id)

    def test_entry_that_is_taken_but_not_shown(
        self, far: RequestTrackerTickets, line: Line, ticket_id: str, run_id: str
    ) -> None:
        line.faults.append(("/attachments", says("200 OK", '{"items": [], "count": 0}')))
        with pytest.raises(TicketAltered, match="does not show it") as failure:
            far.post(ticket_id, Post(run_id, 2, "text"))
        assert "ShowTicketComments" in failure.value.advice

    def test_entry_whose_reading_back_is_refused(
        self, far: RequestTrackerTickets, line: Line, ticket_id: str, run_id: str
    ) -> None:
        line.faults.append(("/attachments", says("403 Forbidden")))
        with pytest.raises(TicketAltered, match="was taken, but"):
            far.post(ticket_id, Post(run_id, 2, "text"))

    def test_answer_that_does_not_end(self, far: RequestTrackerTickets, line: Line, ticket_id: str) -> None:
        line.faults.append(("/ticket/", trickle))
        started = time.monotonic()
        with pytest.raises(TicketDown, match="does not end"):
            far.read(ticket_id)
        assert time.monotonic() - started < 4

    def test_nobody_listens(self, running: RequestTracker, ticket_id: str, run_id: str) -> None:
        system = RequestTrackerTickets(f"http://127.0.0.1:{free_port()}/", running.token())
        for action in (
            lambda: system.read(ticket_id),
            lambda: system.last_posted(ticket_id, run_id),
            lambda: system.post(ticket_id, Post(run_id, 1, "text")),
        ):
            with pytest.raises(TicketUnreachable, match="Connection refused"):
                action()

    def test_wrong_token(self, running: RequestTracker, ticket_id: str, run_id: str) -> None:
        system = RequestTrackerTickets(running.url, UNUSED)
        with pytest.raises(TicketRefused, match="does not accept the token") as refusal:
            system.post(ticket_id, Post(run_id, 1, "text"))
        assert UNUSED not in repr(refusal.value)

    @pytest.mark.parametrize("token", ["", "secret", "1-x-" + "0" * 32, "0" * 40])
    def test_malformed_token_is_not_told(self, token: str) -> None:
        with pytest.raises(InputError, match="not an authentication token") as error:
            RequestTrackerTickets("http://127.0.0.1/", token)
        assert not token or token not in str(error.value)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "rt.example.com",
            "ftp://rt.example.com/",
            "https://",
            "https://a:hunter2@rt/",
            "https://rt/?x=1",
        ],
    )
    def test_malformed_address_is_not_told(self, url: str) -> None:
        with pytest.raises(InputError, match="address of Request Tracker") as error:
            RequestTrackerTickets(url, UNUSED)
        assert "hunter2" not in str(error.value)

    @pytest.mark.parametrize("form", ["{}", "{}REST/2.0", "{}REST/2.0/"])
    def test_forms_of_the_address(self, running: RequestTracker, ticket_id: str, form: str) -> None:
        system = RequestTrackerTickets(form.format(running.url), running.token())
        assert system.read(ticket_id).id == ticket_id
        assert system.url(ticket_id) == f"{running.url}Ticket/Display.html?id={ticket_id}"

    def test_proxies_of_the_environment_see_nothing(
        self, running: RequestTracker, ticket_id: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        assert RequestTrackerTickets(running.url, running.token()).read(ticket_id).id == ticket_id

    def test_session_may_be_closed_and_used_again(
        self, system: RequestTrackerTickets, ticket_id: str
    ) -> None:
        system.read(ticket_id)
        system.close()
        system.close()
        assert system.read(ticket_id).id == ticket_id


class TestEncryption:
    """A stranger in RT's place gets no byte of the token."""

    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        pem = tmp_path / "rt.pem"
        openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=rt"
        names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(pem), "-out", str(pem) + ".crt"]
        subprocess.run([*openssl.split(), *names], check=True, capture_output=True)
        with pem.open("a") as file:
            file.write((tmp_path / "rt.pem.crt").read_text())
        return pem

    def test_known_authority(
        self, running: RequestTracker, ticket_id: str, run_id: str, certificate: Path
    ) -> None:
        with contextlib.closing(Line(("127.0.0.1", running.port), certificate)) as line:
            system = RequestTrackerTickets(line.url, running.token(), ca=certificate)
            system.post(ticket_id, Post(run_id, 1, "text"))
            assert system.last_posted(ticket_id, run_id) == 1

    def test_stranger(self, running: RequestTracker, ticket_id: str, certificate: Path) -> None:
        with contextlib.closing(Line(("127.0.0.1", running.port), certificate)) as line:
            system = RequestTrackerTickets(line.url, running.token())
            with pytest.raises(TicketUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
                system.read(ticket_id)
            assert line.calls == 0

    @pytest.mark.parametrize("content", [None, "", "nonsense"])
    def test_authority_that_cannot_be_read(self, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            (tmp_path / "ca.pem").write_text(content)
        system = RequestTrackerTickets("https://127.0.0.1:1/", UNUSED, ca=tmp_path / "ca.pem")
        with pytest.raises(InputError, match=r"ca\.pem: no certificates"):
            system.read("1")
