"""The lab's Request Tracker, as a second instance beside the lab's own, so that a demonstration goes on."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from remediate.errors import Refused
from remediate.lab import rt_rest, rt_seed, rt_server
from remediate.lab.command import LabError
from remediate.lab.rt import CUSTOM_FIELDS, Priority, RequestTracker

pytestmark = [pytest.mark.lab, pytest.mark.slow]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quiet(_line: str) -> None:
    pass


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTracker]:
    found = RequestTracker(tmp_path_factory.mktemp("lab"), free_port())
    found.up(quiet)
    yield found
    found.down()


@pytest.fixture
def running(tracker: RequestTracker) -> RequestTracker:
    """The tracker, started again if the test before has stopped it."""
    tracker.up(quiet)
    return tracker


def call(tracker: RequestTracker, user: str, method: str, path: str, **body: object) -> object:
    return rt_rest.call(tracker.port, tracker.token(user), method, path, body)


def reply(tracker: RequestTracker, user: str, ticket: int, **more: object) -> object:
    body = {"Content": "all is well", "ContentType": "text/plain", **more}
    return call(tracker, user, "POST", f"/ticket/{ticket}/correspond", **body)


def status(tracker: RequestTracker, ticket: int) -> object:
    return tracker.ticket(ticket)["Status"]


def moment(value: object) -> datetime:
    return datetime.fromisoformat(str(value))


def owner(tracker: RequestTracker, ticket: int) -> object:
    return cast(dict[str, object], tracker.ticket(ticket)["Owner"])["id"]


def field(tracker: RequestTracker, ticket: int, name: str) -> object:
    fields = cast(list[dict[str, object]], tracker.ticket(ticket)["CustomFields"])
    return next(each["values"] for each in fields if each["name"] == name)


class TestApprovals:
    def test_new_change_waits_for_the_change_manager(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer", "urgent")
        assert status(running, change) == "requested"
        (approval,) = running.approvals(change)
        assert owner(running, approval) == "carol"

    def test_approval_is_hidden_from_a_search_without_its_type(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        (approval,) = running.approvals(change)
        for query in ("Queue = '___Approvals'", "Owner = 'carol'", "id > 0"):
            assert approval not in rt_rest.search(running.port, running.token(), query)

    def test_manager_approves_and_work_goes_its_way(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        running.approve(change)
        assert status(running, change) == "approved"
        for following in ("in progress", "rolled back"):
            call(running, "remediate", "PUT", f"/ticket/{change}", Status=following)
            assert status(running, change) == following

    def test_manager_rejects(self, running: RequestTracker) -> None:
        change = running.create_change("Drop the database", "please", "customer")
        running.reject(change)
        assert status(running, change) == "rejected"

    @pytest.mark.parametrize("user", ["remediate", "alice", "dan"])
    def test_nobody_else_approves(self, running: RequestTracker, user: str) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        with pytest.raises(Refused, match="Permission Denied"):
            running.approve(change, user)
        assert status(running, change) == "requested"

    @pytest.mark.parametrize("field_", ["requestor", "creator"])
    def test_own_change_goes_to_the_deputy(self, running: RequestTracker, field_: str) -> None:
        if field_ == "requestor":
            change = running.create_change("Carol's wish", "please", "carol")
        else:
            change = running.create_change("Carol's deed", "please", "customer", user="carol")
        assert owner(running, running.approvals(change)[0]) == "dan"
        with pytest.raises(Refused, match="Permission Denied"):
            running.approve(change, "carol")
        running.approve(change, "dan")
        assert status(running, change) == "approved"

    def test_change_of_both_managers_has_no_approver(self, running: RequestTracker) -> None:
        change = running.create_change("Ours", "please", "dan", user="carol")
        assert owner(running, running.approvals(change)[0]) == "Nobody"
        for user in ("carol", "dan"):
            with pytest.raises(Refused):
                running.approve(change, user)

    def test_service_account_finds_no_way_around(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        (approval,) = running.approvals(change)
        for ticket, body in (
            (change, {"Status": "approved"}),
            (change, {"Status": "in progress"}),
            (change, {"Status": "resolved"}),
            (change, {"DeleteDependsOn": approval}),
            (change, {"Queue": "General"}),
            (change, {"Started": "2026-01-01 00:00:00"}),
            (approval, {"Owner": "remediate"}),
            (approval, {"Status": "resolved"}),
            (approval, {"DeleteDependedOnBy": change}),
        ):
            call(running, "remediate", "PUT", f"/ticket/{ticket}", **body)
        assert status(running, change) == "requested"
        assert running.approvals(change) == [approval]
        assert status(running, approval) == "open"


class TestReplies:
    @pytest.mark.parametrize("user", ["remediate", "alice", "carol", "customer"])
    def test_public_reply_never_approves(self, running: RequestTracker, user: str) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        assert reply(running, user, change) == ["Correspondence added"]
        assert status(running, change) == "requested"

    def test_reply_that_asks_for_a_status_is_taken_without_it(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        said = reply(running, "remediate", change, Status="approved")
        assert said == ["Correspondence added", "Permission Denied"]
        assert status(running, change) == "requested"

    def test_customer_cannot_reopen_what_is_over(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        running.reject(change)
        reply(running, "customer", change)
        assert status(running, change) == "rejected"

    def test_mail_stays_on_this_machine(self, running: RequestTracker) -> None:
        subject = f"Mail {time.monotonic_ns()}"
        change = running.create_change(subject, "please", "customer")
        reply(running, "remediate", change, Content="done by 02:30")
        mails = running.mail.read_text().split("\n===\n")
        ours = [mail for mail in mails if subject in mail]
        assert any("to: customer@customer.example" in mail and "done by 02:30" in mail for mail in ours)
        assert not any("to: customer" in mail and "Approval of change" in mail for mail in ours)


class TestFields:
    @pytest.mark.parametrize(
        ("priority", "level", "minutes"), [("urgent", "urgent", 30), ("normal", "standard", 120)]
    )
    def test_service_level_sets_due(
        self, running: RequestTracker, priority: Priority, level: str, minutes: int
    ) -> None:
        change = running.ticket(running.create_change("Patch openssl", "please", "customer", priority))
        assert (change["Priority"], change["SLA"]) == (priority, level)
        late = moment(change["Due"]) - moment(change["Created"]) - timedelta(minutes=minutes)
        # RT looks at the clock once for each of them.
        assert timedelta(0) <= late <= timedelta(seconds=2)
        assert change["Starts"] == change["Created"]

    def test_service_level_of_the_queue_applies_without_being_asked(self, running: RequestTracker) -> None:
        said = call(running, "remediate", "POST", "/ticket", Queue="Changes", Subject="plain")
        assert running.ticket(int(cast(dict[str, str], said)["id"]))["SLA"] == "standard"

    def test_reply_restarts_the_clock(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer", "urgent")
        before = moment(running.ticket(change)["Due"])
        time.sleep(1.1)
        reply(running, "remediate", change)
        assert moment(running.ticket(change)["Due"]) > before

    def test_custom_fields_are_kept(self, running: RequestTracker) -> None:
        values = {
            "Risk": "medium",
            "Window": "2026-01-01T22:00:00+00:00/2026-01-02T02:00:00+00:00",
            "Plan digest": "sha256:" + "a" * 64,
            "Customer impact": "none\nexpected",
        }
        assert set(values) == set(CUSTOM_FIELDS)
        change = running.create_change("Patch openssl", "please", "customer", fields=values)
        for name, value in values.items():
            assert field(running, change, name) == [value]

    def test_unknown_custom_field_is_dropped_without_a_word(self, running: RequestTracker) -> None:
        """The trap that makes the real client write, re-read and compare."""
        body = {"Queue": "Changes", "Subject": "typo", "CustomFields": {"Rsik": "high"}}
        said = call(running, "remediate", "POST", "/ticket", **body)
        assert set(cast(dict[str, object], said)) == {"id", "type", "_url"}
        change = int(cast(dict[str, str], said)["id"])
        assert [field(running, change, name) for name in CUSTOM_FIELDS] == [[]] * len(CUSTOM_FIELDS)


class TestComponent:
    def test_up_answers_and_keeps_its_secrets(self, running: RequestTracker) -> None:
        (item,) = running.status()
        assert (item.state, item.address) == ("up", running.url)
        for name in ("token", "carol.token", "root_password"):
            assert (running.root / name).stat().st_mode & 0o777 == 0o600
        secrets = [(running.root / name).read_bytes().strip() for name in ("token", "root_password")]
        for pid in rt_server.find(running.root):
            for file in ("cmdline", "environ"):
                content = Path(f"/proc/{pid}/{file}").read_bytes()
                assert not any(secret in content for secret in secrets)

    def test_listens_on_loopback_only(self, running: RequestTracker) -> None:
        listening = subprocess.run(
            ["ss", "-Hltn", f"sport = {running.port}"], capture_output=True, text=True, check=True
        )
        assert [line.split()[3] for line in listening.stdout.splitlines()] == [f"127.0.0.1:{running.port}"]

    def test_second_up_changes_nothing(self, running: RequestTracker) -> None:
        before = rt_server.find(running.root)
        started = time.monotonic()
        running.up(pytest.fail)
        assert time.monotonic() - started < 2
        assert rt_server.find(running.root) == before

    def test_down_leaves_no_process_and_keeps_the_data(self, running: RequestTracker) -> None:
        change = running.create_change("Patch openssl", "please", "customer")
        running.down()
        assert rt_server.find(running.root) == []
        assert running.status()[0].state == "down"
        running.down()
        running.up(quiet)
        assert status(running, change) == "requested"

    def test_down_ends_orphans_of_a_crash(self, running: RequestTracker) -> None:
        parent, *workers = rt_server.find(running.root)
        assert workers
        os.kill(parent, signal.SIGKILL)
        running.down()
        assert rt_server.find(running.root) == []

    def test_frozen_server_is_killed(self, running: RequestTracker) -> None:
        stopped = rt_server.find(running.root)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        rt_server.stop(running.root, patience=0.2)
        assert rt_server.find(running.root) == []

    def test_reset_restores_the_first_day(self, running: RequestTracker) -> None:
        change, token = running.create_change("Patch openssl", "please", "customer"), running.token()
        running.reset(quiet)
        with pytest.raises(LabError, match="404"):
            running.ticket(change)
        assert running.token() == token
        assert not running.mail.exists()
        assert running.create_change("Patch openssl", "please", "customer") == 1

    def test_two_ups_at_once_start_one_server(self, running: RequestTracker) -> None:
        running.down()
        threads = [threading.Thread(target=running.up, args=(quiet,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(rt_server.find(running.root)) == 1 + rt_server.WORKERS

    def test_taken_port_is_told(self, running: RequestTracker, tmp_path: Path) -> None:
        second = RequestTracker(tmp_path, running.port)
        seed = next(running.root.glob("seed-*"))
        shutil.copytree(seed, second.root / seed.name)
        with pytest.raises(LabError, match="taken by another program"):
            second.up(quiet)
        assert second.status()[0].state == "down"


class TestSeed:
    def test_killed_build_is_not_taken_for_finished(self, tmp_path: Path) -> None:
        code = "import sys, pathlib; from remediate.lab.rt_seed import build; "
        code += "build(pathlib.Path(sys.argv[1]), 1, print)"
        builder = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path], stdout=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("build-*/content/*.token")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(builder.pid, signal.SIGKILL)
        builder.wait()
        assert not list(tmp_path.glob("seed-*"))
        seed = rt_seed.build(tmp_path, 1, quiet)
        assert [path.name for path in tmp_path.iterdir()] == [seed.name]
        assert rt_seed.build(tmp_path, 1, pytest.fail) == seed

    def test_what_the_importer_only_logs_is_an_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "source"
        shutil.copytree(rt_seed.SOURCE, source)
        data = source / "initialdata.pl"
        data.write_text(data.read_text().replace("Right => \\@work", "Right => 'NoSuchRight'"))
        monkeypatch.setattr(rt_seed, "SOURCE", source)
        with pytest.raises(LabError, match="NoSuchRight"):
            rt_seed.build(tmp_path / "rt", 1, quiet)
        assert not list((tmp_path / "rt").glob("seed-*"))
