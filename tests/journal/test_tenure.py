"""A lease is renewed by whichever clock says that it is old."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.errors import Refused, StaleLease
from remediate.journal.sqlite import SqliteJournal
from remediate.journal.tenure import Tenure, seconds_since_boot
from tests.journal.conformance import FAR, TTL, begin


@dataclass
class Clocks:
    """One on the wall, one that nobody sets."""

    wall: float = 1000.0
    passed: float = 5.0

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        self.passed += seconds


@dataclass
class Office:
    """One process with a run, and the others."""

    path: Path
    clocks: Clocks = field(default_factory=Clocks)

    def __post_init__(self) -> None:
        self.journal = SqliteJournal(self.path)
        self.lease = begin(self.journal)
        self.journal.renew(self.lease, self.clocks.wall, TTL)
        clocks = self.clocks
        self.tenure = Tenure(self.journal, self.lease, lambda: clocks.wall, TTL, lambda: clocks.passed)

    def taken_over(self) -> None:
        self.journal.acquire("r-1", ["t1"], FAR, self.clocks.wall, TTL)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "journal.db")


def test_a_young_lease_is_left_alone(office: Office) -> None:
    office.clocks.sleep(TTL / 2 - 1)
    assert office.tenure.renew(2) == office.clocks.passed + TTL / 2 + 1
    office.clocks.sleep(TTL / 2 + 2)
    office.taken_over()


def test_an_old_one_is_renewed(office: Office) -> None:
    office.clocks.sleep(TTL / 2)
    assert office.tenure.renew(2) == office.clocks.passed + TTL
    office.clocks.sleep(TTL / 2 + 2)
    with pytest.raises(Refused):
        office.taken_over()


def test_a_clock_that_was_set_back_makes_no_lease_young(office: Office) -> None:
    """It slept, another process took the run over, and somebody set the clock."""
    office.clocks.sleep(TTL + 1)
    office.taken_over()
    office.clocks.wall -= 7200
    with pytest.raises(StaleLease):
        office.tenure.renew(2)


def test_a_clock_that_was_set_forward_makes_it_old(office: Office) -> None:
    """Others would find it expired."""
    office.clocks.wall += 7200
    office.tenure.renew(2)
    with pytest.raises(Refused):
        office.taken_over()


def test_the_clock_that_nobody_sets_goes_forward() -> None:
    assert 0 < seconds_since_boot() <= seconds_since_boot()
