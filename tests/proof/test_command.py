"""`remediate test` on the command line: what it prints, writes and exits with."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from remediate.cli.main import run
from remediate.errors import Exit
from remediate.lab import lab
from remediate.lab.interface import Component
from remediate.service.port import AdapterPort
from remediate.service.project import Project
from remediate.service.running import Screen, execute
from tests.e2e.world import World

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def own_lab(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command acts on the lab of these tests."""

    def components() -> tuple[Component, ...]:
        return (place.lab,)

    monkeypatch.setattr(lab, "components", components)
    monkeypatch.chdir(place.root)


def test_wrong_rollback(place: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """5, and the same finding on the screen, in the JUnit file and in the kept log."""
    kept, file = tmp_path / "kept", tmp_path / "proof.xml"
    words = ["wrong-mode", "--limit", "web1", "--step", "s01-command", "--moment", "after"]
    assert run(["test", *words, "--junit", str(file), "--keep", str(kept)]) == 5
    out = capsys.readouterr()
    finding = "web1: file:/etc/crontab: mode 0644 → 0600"
    assert "1/1 s01-command, after" in out.err
    assert finding in out.err
    assert finding in out.out
    suite = Xml.parse(file).getroot()[0]  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("1", "1", "0")
    assert finding in (suite[0][0].text or "")
    assert "broken on purpose" in (suite[0][1].text or "")
    assert list(kept.glob("*/journal.db"))


def test_right_rollback_for_programs(place: World, capsys: pytest.CaptureFixture[str]) -> None:
    """0; the project's own journal and tickets are as they were."""
    log = place.ticket_log()
    words = ["right-undo", "--limit", "web1", "--moment", "before", "--output", "json"]
    assert run(["test", *words]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["restored"] is True
    assert [r["ending"] for r in shown["results"]] == ["restored"]
    assert shown["targets"] == ["web1"]
    assert not place.journal.exists()
    assert place.ticket_log() == log


def test_interrupted(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case under way takes itself back; the rest is left out."""

    def stopping(project: Project, file: Path, screen: Screen, port: Callable[..., AdapterPort]) -> Exit:
        os.kill(os.getpid(), signal.SIGINT)
        return execute(project, file, screen, port)

    monkeypatch.setattr("remediate.service.proof.trial.execute", stopping)
    before = place.disks()
    assert run(["test", "right-undo", "--limit", "web1"]) == 130
    assert {k: v for k, v in place.disks().items() if k.startswith("web1 file:/etc")} == {
        k: v for k, v in before.items() if k.startswith("web1 file:/etc")
    }


def test_interrupted_twice(place: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was under way is not waited for: the lab puts the host back."""

    def stopping(*_args: object, **_named: object) -> object:
        place.on("web1", "sudo", "touch", "/etc/half-done")
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return None

    monkeypatch.setattr("remediate.service.proof.trial.execute", stopping)
    assert run(["test", "right-undo", "--limit", "web1"]) == 130
    assert not (place.disk("web1") / "etc/half-done").exists()


def test_run_that_fails_by_itself(place: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing can be said of its rollback; 5, and why."""
    words = ["--set", "setting=unknown", "--set", "value=1", "--limit", "web1"]
    assert run(["test", "fix-setting", *words]) == 5
    shown = capsys.readouterr().out
    assert "not broken" in shown
    assert "the run failed by itself" in shown
    assert "9 left out" in shown
