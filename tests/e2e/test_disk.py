"""Disks that are full, and a journal that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.lab.command import run
from tests.e2e.conftest import touching_nothing
from tests.e2e.ticket import complete
from tests.e2e.world import World, until

pytestmark = pytest.mark.lab


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """Three megabytes, for the journal alone."""
    folder = world.root / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=3m", "e2e", folder)
    world.configure('[journal]\npath = "small/journal.db"')
    yield folder
    run("umount", "--lazy", folder)


def _fill(folder: Path) -> Path:
    file = folder / "full"
    with file.open("wb", buffering=0) as stream:
        size = 4096
        while size:
            try:
                stream.write(b"x" * size)
            except OSError:
                size //= 2
    return file


@pytest.mark.slow
@pytest.mark.fault("hosts", "after", "disk full", "halted, then in doubt, probed: applied")
def test_full_disk_under_the_journal(world: World, small_disk: Path) -> None:
    """In the middle of a run: it halts before the next effect and says so where a file can be written; with
    room again the same command goes on."""
    world.journal_file = small_disk / "journal.db"
    plan = world.approved("hold", "--limit", "web1")
    running = world.start("run", plan)
    world.wait_for("intent", verb="apply", step="s02-command")
    full = _fill(small_disk)
    world.go("web1")
    done = running.wait().expect(5)
    assert "halted" in done.err
    assert "full" in done.err
    notes = list(world.root.glob(".remediate/runs/*/*halted*.txt"))
    assert len(notes) == 1
    assert "full" in notes[0].read_text()
    until(lambda: world.held("web1") == 1)
    assert not (world.disk("web1") / "etc/e2e-3").exists(), "nothing without its intent"
    assert world.cli("run", plan).code == 5, "still full"
    full.unlink()
    world.cli("run", plan).expect(0)
    assert world.held("web1") == 1
    complete(world)
    world.cli("audit", "--all").expect(0)


def test_full_disk_before_the_run(world: World, small_disk: Path) -> None:
    world.journal_file = small_disk / "journal.db"
    plan = world.approved("hold", "--limit", "web1")
    with touching_nothing(world):
        full = _fill(small_disk)
        done = world.cli("run", plan).expect(5)
        assert "journal" in done.err
        assert "full" in done.err
        full.unlink()


def test_little_room_for_backups(world: World) -> None:
    """Refused before anything begins, with the number that is needed."""
    plan = world.approved("hold", "--limit", "web1")
    state = world.root / ".remediate"
    with touching_nothing(world):
        saved = {p.name: p.read_bytes() for p in state.glob("journal.db*")}
        run("mount", "-t", "tmpfs", "-o", "size=8m", "e2e", state)
        try:
            for name, data in saved.items():
                (state / name).write_bytes(data)
            done = world.cli("run", plan).expect(3)
            assert "MB are free" in done.err
            assert "256 MB are needed" in done.err
        finally:
            run("umount", "--lazy", state)


def test_journal_that_is_no_journal(world: World) -> None:
    plan = world.approved("hold", "--limit", "web1")
    with touching_nothing(world):
        world.journal_file = world.root / "other.db"
        (world.root / "bad.db").write_bytes(b"this is not a database, but long enough to be looked at" * 100)
        world.configure('[journal]\npath = "bad.db"')
        done = world.cli("run", plan).expect(5)
        assert "bad.db" in done.err
