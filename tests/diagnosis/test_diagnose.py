"""`remediate diagnose` over this machine: the bundle, the ticket, symptoms, targets that can't be read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import threading
from pathlib import Path

import pytest

from remediate.adapters.diagnosis.capture import Wanted
from remediate.adapters.diagnosis.values import LONGEST_PART, Collected
from remediate.cli.main import run
from remediate.errors import Refused
from remediate.report.diagnosis import DiagnosisReport
from remediate.service import diagnosing
from remediate.tickets.file import FileTickets
from remediate.tickets.interface import TicketDown, TicketRefused
from tests.diagnosis.conftest import bundled, inventory
from tests.service.world import World

HERE: dict[str, object] = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
GONE: dict[str, object] = {"ansible_host": "127.0.0.1", "ansible_port": 1}


def _log(world: World) -> str:
    return (world.root / "tickets/T-1/log.md").read_text()


def _symptom(world: World, line: str) -> None:
    path = world.root / "runbooks" / "write.py"
    text = path.read_text().replace("Runbook\nfrom", "Runbook, Symptom\nfrom")
    path.write_text(text.replace("    doubt_", f"    symptoms = ({line},)\n    doubt_"))


def _diagnose(world: World, pattern: str = "all") -> DiagnosisReport:
    return diagnosing.diagnose(world.project, pattern, ticket="T-1")


def test_one_bundle_on_the_ticket_and_runbooks_that_may_help(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = world.root / "app.log"
    log.write_text("fine\nFATAL: no space left, password=hunter2hunter2\n")
    inventory(world, {"here": {**HERE, "diagnose_logs": [str(log), "/no/such"]}, "gone": GONE})
    _symptom(world, 'Symptom(pattern="FATAL.*no space", means="the disk is full", where="logs")')
    found = _diagnose(world)
    assert [t.name for t in found.unread] == ["gone"]
    (suggestion,) = found.suggestions
    assert (suggestion.runbook, suggestion.means) == ("write", "the disk is full")
    assert suggestion.targets == ("here",)
    assert "--limit here --set 'path=…' -o write.plan.json" in suggestion.command
    files = bundled(Path(found.bundle))
    for name in ("resources/memory.txt", "configuration/sockets.txt", "changes/packages.txt"):
        assert files[f"here/{name}"].strip(), name
    assert any(b"FATAL" in data for name, data in files.items() if name.startswith("here/logs/"))
    assert b"/no/such" in files["here/not-read.txt"]
    assert files["gone/not-read.txt"]
    assert stat.S_IMODE(Path(found.bundle).stat().st_mode) == 0o600
    # The ticket has it, internally, with the summary; and no secret is anywhere.
    assert "internal" in _log(world)
    assert f"{found.id}.tar.zst" in _log(world)
    assert "gone could not be read" in _log(world)
    everything = b"".join(files.values()) + _log(world).encode() + json.dumps(found.as_json()).encode()
    assert b"hunter2" not in everything


def test_what_remediate_did_is_a_recent_change(world: World) -> None:
    plan = world.done()
    found = _diagnose(world, "here")
    text = bundled(Path(found.bundle))["here/changes/runs.txt"].decode()
    assert plan.runbook.name in text
    assert "verified new" in text
    assert any("changed by a run of remediate" in line for line in found.targets[0].findings)


def test_exit_codes(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    inventory(world, {"here": HERE, "gone": GONE})
    base = ["--project", str(world.root), "--output", "json", "diagnose"]
    assert run([*base, "gone", "--ticket", "T-1"]) == 5
    assert json.loads(capsys.readouterr().out)["targets"][0]["problem"]
    assert run([*base, "nobody", "--ticket", "T-1"]) == 2
    assert run([*base, "here", "--ticket", "T-9"]) == 2
    assert run([*base, "here", "--ticket", "T-1", "--capture-filter", "port 80"]) == 2
    assert run([*base, "here:!here", "--ticket", "T-1"]) == Refused.exit_code


def test_a_ticket_system_that_goes_down_leaves_the_bundle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise TicketDown("no answer")

    monkeypatch.setattr(FileTickets, "post", down)
    with pytest.raises(TicketDown, match="no answer") as lost:
        _diagnose(world, "here")
    bundle = Path(lost.value.advice.rpartition(" ")[2])
    assert bundled(bundle)["summary.md"]


def test_a_bundle_that_is_too_large_stays_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosing, "LARGEST", 100)
    found = _diagnose(world, "here")
    assert f"It lies at {found.bundle}" in _log(world)
    assert "attachments/" not in _log(world)


def test_a_ticket_that_can_not_be_read_is_noticed_first(world: World) -> None:
    with pytest.raises(TicketRefused):
        diagnosing.diagnose(world.project, "here", ticket="T-9")
    assert not (world.root / ".remediate" / "diagnoses").exists()


def test_a_runbook_that_is_broken_hinders_nothing(world: World) -> None:
    (world.root / "runbooks" / "broken.py").write_text("syntax error\n")
    found = _diagnose(world, "here")
    assert "no runbook could be looked at" in found.notes[0]


@pytest.mark.skipif(shutil.which("tcpdump") is None or os.geteuid() != 0, reason="needs tcpdump and root")
def test_packets_are_headers_only_and_the_file_is_gone(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        stop = threading.Event()

        def talk() -> None:
            with socket.create_connection(("127.0.0.1", port)) as client:
                while not stop.wait(0.02):
                    client.send(b"secret" * 100)

        thread = threading.Thread(target=talk)
        thread.start()
        wanted = Wanted(1.5, f"tcp port {port}")
        found = diagnosing.diagnose(world.project, "here", ticket="T-1", packets=wanted)
        stop.set()
        thread.join()
    data = bundled(Path(found.bundle))["here/packets.pcap"]
    assert data[:4] == b"\xd4\xc3\xb2\xa1"
    # Each packet has at most its share of the 96 bytes behind the headers.
    assert b"secret" in data
    assert b"secret" * 10 not in data
    assert not list(Path("/run").glob("remediate-d-*.pcap"))
    bad = diagnosing.diagnose(world.project, "here", ticket="T-1", packets=Wanted(1.0, "no such filter"))
    assert "packets: tcpdump" in bad.targets[0].missing[-1]


def test_parts_are_bounded_in_time_and_size() -> None:
    found = Collected("t", deadline=float("inf"))
    assert len(found.add("logs", "long", lambda: "x" * (2 * LONGEST_PART))) < LONGEST_PART + 100
    late = Collected("t", deadline=0.0)
    assert late.add("logs", "late", lambda: pytest.fail("asked")) == ""
    assert late.missing == ["logs/late: the time for this target was over"]
