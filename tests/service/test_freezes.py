"""Change freezes are asked for before each effect, as their files are at that moment."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from remediate.adapters.clients import ClientPool
from remediate.calendar import Calendar, load_freezes, watch
from remediate.calendar.watch import FreezeWatch
from remediate.errors import Exit
from remediate.model.event import Event
from remediate.model.plan import Plan
from remediate.service.contexts import Contexts
from remediate.service.port import AdapterPort
from remediate.service.running import Screen, execute
from tests.service.world import World

NOW = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)
EMPTY = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\nEND:VCALENDAR\n"


def freeze(start: datetime, end: datetime) -> str:
    """A calendar with one freeze."""
    event = f"UID:1\nSUMMARY:sale\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDTEND:{end:%Y%m%dT%H%M%SZ}"
    return EMPTY.replace("END:VC", f"BEGIN:VEVENT\n{event}\nEND:VEVENT\nEND:VC")


def asked(path: Path) -> FreezeWatch:
    """Over one file."""
    return FreezeWatch([path], ZoneInfo("UTC"))


def test_it_begins_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "f.ics"
    path.write_text(freeze(NOW, NOW + timedelta(hours=3)))
    found = asked(path)
    at = NOW.timestamp()
    assert found.why(at - 1) == ""
    assert found.why(at) == f"change freeze: sale (2026-11-28 22:00 to 2026-11-29 01:00 UTC, {path})"
    assert found.why(at + 3 * 3600 - 1) != ""
    assert found.why(at + 3 * 3600) == ""
    assert found.why(at) != "", "a clock that is set back asks anew"


def test_one_that_begins_within_the_hour_counts_from_then_on(tmp_path: Path) -> None:
    """The file is not read again for that."""
    path = tmp_path / "f.ics"
    path.write_text(freeze(NOW + timedelta(minutes=30), NOW + timedelta(hours=3)))
    found = asked(path)
    assert found.why(NOW.timestamp()) == ""
    assert "sale" in found.why(NOW.timestamp() + 1800)


def test_one_that_somebody_adds_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "f.ics"
    path.write_text(EMPTY)
    found = asked(path)
    assert found.why(NOW.timestamp()) == ""
    path.write_text(freeze(NOW - timedelta(hours=1), NOW + timedelta(hours=1)))
    assert "sale" in found.why(NOW.timestamp())
    path.write_text(EMPTY)
    assert found.why(NOW.timestamp()) == ""


def test_a_file_that_can_not_be_read_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "f.ics"
    path.write_text(EMPTY)
    found = asked(path)
    assert found.why(NOW.timestamp()) == ""
    path.unlink()
    assert "can't be read" in found.why(NOW.timestamp())
    path.write_text("half a cal")
    assert str(path) in found.why(NOW.timestamp())
    path.write_text(EMPTY)
    assert found.why(NOW.timestamp()) == ""


def test_files_are_read_once_while_they_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.ics"
    path.write_text(EMPTY)
    reads: list[Path] = []

    def counted(paths: Sequence[Path], zone: ZoneInfo) -> Calendar:
        reads.extend(paths)
        return load_freezes(paths, zone)

    monkeypatch.setattr(watch, "load_freezes", counted)
    found = asked(path)
    for second in range(1000):
        assert found.why(NOW.timestamp() + second) == ""
    assert len(reads) == 1
    os.utime(path, (1, 1))
    found.why(NOW.timestamp())
    assert len(reads) == 2


def test_the_port_asks_before_each_effect(world: World) -> None:
    """The engine asks the port just before each intent, and holds the step for any reason that it gets."""
    (world.root / "f.ics").write_text(EMPTY)
    world.settings('\n[calendar]\nfreezes = ["f.ics"]\n')
    plan, project = world.plan(), world.project
    with ClientPool() as clients:
        contexts = Contexts("r-1", clients, project.credentials, world.root, world.root / "work")
        port = AdapterPort(plan, contexts, lambda _: "", str, 1, project.frozen)
        assert port.authorise(NOW.timestamp()) == ""
        (world.root / "f.ics").write_text(freeze(NOW, NOW + timedelta(hours=1)))
        assert port.authorise(NOW.timestamp()).startswith("change freeze: sale")
        refusing = AdapterPort(plan, contexts, lambda _: "revoked", str, 1, project.frozen)
        assert refusing.authorise(NOW.timestamp()) == "revoked"
        port.close()
        refusing.close()


def test_freeze_that_is_declared_while_the_run_goes_on(world: World) -> None:
    """The next step is not begun, what was done is undone."""
    file = world.root / "f.ics"
    file.write_text(EMPTY)
    world.settings('\n[calendar]\nfreezes = ["f.ics"]\n')
    world.plan()
    world.approve()

    def declare(_: Plan, event: Event) -> None:
        if event.body.kind == "run-started":
            now = datetime.now(UTC)
            file.write_text(freeze(now - timedelta(hours=1), now + timedelta(hours=1)))

    project = world.project
    assert execute(project, world.root / "fix.plan.json", Screen(declare)) is Exit.ROLLED_BACK
    assert not world.file.exists()
    said = [str(e.body) for e in project.journal.events(project.journal.runs()[0])]
    assert any("change freeze: sale" in text for text in said)
