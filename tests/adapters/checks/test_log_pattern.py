"""New lines of log files, over rotations, on this machine."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from remediate.adapters.checks.log_pattern import LogMark, LogPattern
from remediate.model.step import CheckResult, Verdict
from tests.adapters.hosts.world import World

Change = Callable[[Path], None]


def _append(text: str) -> Change:
    def change(log: Path) -> None:
        with log.open("a") as file:
            file.write(text)

    return change


def _rotate(times: int) -> Change:
    def change(log: Path) -> None:
        for number in range(times):
            _append(f"ERROR before rotation {number}\n")(log)
            for old in range(times, 0, -1):
                if (older := Path(f"{log}.{old}")).exists():
                    older.rename(f"{log}.{old + 1}")
            log.rename(f"{log}.1")
            log.write_text("")
        _append("ERROR at last\n")(log)

    return change


def _pack(log: Path) -> None:
    _rotate(1)(log)
    old = Path(f"{log}.1")
    Path(f"{log}.1.gz").write_bytes(gzip.compress(old.read_bytes()))
    old.unlink()


@pytest.fixture
def log(world: World) -> Path:
    """A log with an error of long ago, marked as run ``world.run`` begins."""
    path = world.folder / "app.log"
    path.write_text("ERROR long ago\n")
    mark = LogMark([str(path)])
    context = world.context("s01-log-mark")
    assert mark.probe(context).verdict is Verdict.NOT_APPLIED
    assert not mark.apply(context).changed
    assert mark.probe(context).verdict is Verdict.APPLIED
    return path


def _check(world: World, log: Path, **fields: Any) -> CheckResult:
    return LogPattern("ERROR", path=str(log), **fields).run(world.context("s02-other"))


@pytest.mark.parametrize(
    ("change", "fields", "ok", "actual"),
    [
        (_append(""), {}, True, "0 of 0 new lines"),
        (_append("fine\n"), {}, True, "0 of 1 new lines"),
        (_append("fine\nERROR now\n"), {}, False, "1 of 2 new lines: ERROR now"),
        (_append("ERROR now\n" * 5), {"at_most": 5, "at_least": 5}, True, "5 of 5 new lines"),
        (_append("fine\n"), {"at_least": 1}, False, "0 of 1"),
        (_append("\x1b[31mERROR\n"), {}, False, "1 of 1"),
        (_rotate(1), {"at_least": 2, "at_most": 2}, True, "2 of 2"),
        (_rotate(3), {"at_least": 4, "at_most": 4}, True, "4 of 4"),
        (_pack, {}, False, "gone or packed"),
        (lambda log: log.write_text(""), {}, False, "cut short"),
        (lambda log: log.unlink(), {}, False, "there is no"),
    ],
)
def test_since_the_mark(
    world: World, log: Path, change: Change, fields: dict[str, Any], ok: bool, actual: str
) -> None:
    change(log)
    result = _check(world, log, **fields)
    assert (result.ok, actual in result.actual) == (ok, True), result


def test_a_second_attempt_keeps_the_first_mark(world: World, log: Path) -> None:
    _append("ERROR between\n")(log)
    LogMark([str(log)]).apply(world.context("s01-log-mark", attempt=2))
    assert not _check(world, log).ok


def test_a_file_that_came_later_is_new_from_its_beginning(world: World) -> None:
    late = world.folder / "late.log"
    LogMark([str(late)], name="late").apply(world.context("s01-log-mark"))
    late.write_text("ERROR\n")
    assert "1 of 1" in _check(world, late, mark="late").actual


def test_without_a_mark_nothing_is_known(world: World, log: Path) -> None:
    result = _check(world, world.folder / "other.log")
    assert (result.ok, "no mark 'begin'" in result.actual) == (False, True)


def test_an_unreadable_log(world: World, log: Path) -> None:
    if os.geteuid() == 0:
        log.unlink()
        log.mkdir()
    else:
        log.chmod(0)
    assert not _check(world, log).ok


@pytest.mark.parametrize(
    "fields",
    [{}, {"path": "/a", "unit": "a"}, {"path": "/a", "since": "5m"}, {"path": "/a", "pattern": "("}],
)
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LogPattern(**{"pattern": "x", **fields})
