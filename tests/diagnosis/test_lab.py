"""Diagnosis of a real host with real trouble; and the journal's new messages, which need one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remediate.adapters.checks.asking import ask
from remediate.adapters.checks.log_pattern import LogMark, LogPattern
from remediate.adapters.clients import ClientPool
from remediate.adapters.diagnosis.capture import Wanted
from remediate.lab.hosts import Hosts
from remediate.service.diagnosing import diagnose
from tests.adapters.hosts.world import World as Host
from tests.adapters.hosts.world import lab_host
from tests.diagnosis.conftest import LAYOUT, bundled
from tests.service.world import World

pytestmark = pytest.mark.lab


def test_a_failed_unit_a_full_disk_and_the_runbook_that_helps(web1: World, lab: Hosts) -> None:
    script = (
        "systemd-run --quiet --unit=broken false; mkdir -p /srv/full; "
        "mount -t tmpfs -o size=1m tmpfs /srv/full; head -c 1000000 /dev/zero > /srv/full/x; "
        "logger -p user.err -t shop 'cannot write'; "
        "while ! systemctl is-failed -q broken; do sleep 0.05; done"
    )
    assert lab.exec("web1", ["sudo", "sh", "-c", script]).returncode == 0
    path = web1.root / "runbooks" / "write.py"
    text = path.read_text().replace("Runbook\nfrom", "Runbook, Symptom\nfrom")
    symptom = 'Symptom(pattern=r"failed unit: broken", where="findings", means="it is broken")'
    path.write_text(text.replace("    doubt_", f"    symptoms = ({symptom},)\n    doubt_"))
    try:
        found = diagnose(web1.project, "web1", ticket="T-1", packets=Wanted(1.0, "tcp"))
    finally:
        clean = "systemctl reset-failed broken; umount /srv/full"
        lab.exec("web1", ["sudo", "sh", "-c", clean])
    (row,) = found.targets
    assert not row.problem
    assert "failed unit: broken.service" in row.findings
    assert any(line.startswith("disk /srv/full 9") for line in row.findings)
    assert any("errors in the journal" in line and "shop" in line for line in row.findings)
    (suggestion,) = found.suggestions
    assert suggestion.evidence == "failed unit: broken.service"
    files = bundled(Path(found.bundle))
    assert b"nginx" in files["web1/configuration/sockets.txt"]
    assert json.loads(files["web1/configuration/virtual-machine.json"])["name"] == "web1"
    assert b"cannot write" in files["web1/logs/journal-errors.txt"]
    # The lab's hosts have no tcpdump: that is said, and nothing else is lost.
    assert any("tcpdump" in line for line in row.missing), row.missing


def test_new_messages_of_a_unit(lab: Hosts, tmp_path: Path) -> None:
    with ClientPool() as pool:
        host = Host(lab_host("web1", 11, LAYOUT), pool, tmp_path, "r-logs")
        assert lab.exec("web1", ["sudo", "systemctl", "reload", "nginx"]).returncode == 0
        LogMark().apply(host.context("s01-log-mark"))
        context = host.context("s02-other")
        none = LogPattern("Reload", unit="nginx").run(context)
        assert (none.ok, none.actual) == (True, "0 of 0 new lines")
        assert "there is no unit" in LogPattern("ERROR", unit="misspelt").run(context).actual
        assert lab.exec("web1", ["sudo", "systemctl", "reload", "nginx"]).returncode == 0
        seen = ask(LogPattern("Reloaded", unit="nginx", at_least=1, within="5s", every="100ms"), context)
        assert seen.ok, seen
        recent = LogPattern("Reload", unit="nginx", at_least=1, since="1m").run(context)
        assert recent.ok, recent
        host.forget()
