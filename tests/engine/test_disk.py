"""The simulated journal keeps to the interface, and the simulated disk loses only what it may lose."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import get_args

import pytest

from remediate.errors import JournalUnwritable
from tests.engine.clock import Crash
from tests.engine.disk import Disk, Trouble, dice
from tests.engine.journal import SimJournal
from tests.journal.conformance import JournalConformance, begin, intent


class TestConformance(JournalConformance):
    """The interface."""

    @pytest.fixture
    def opened(self) -> Callable[[], SimJournal]:
        """On one disk."""
        disk = Disk(dice(1))
        return lambda: SimJournal(disk)


@pytest.mark.parametrize("trouble", get_args(Trouble))
@pytest.mark.parametrize("operation", [1, 2])
def test_what_was_acknowledged_stays_and_nothing_is_half_there(trouble: Trouble, operation: int) -> None:
    """Whatever happens to the write or the sync of a batch."""
    seen = set()
    for seed in range(40):
        disk = Disk(dice(seed))
        journal = SimJournal(disk)
        lease = begin(journal)
        journal.append("r-1", [intent(1), intent(2)], 2.0, lease)
        disk.operations, disk.troubles = 0, {operation: trouble}
        with suppress(Crash, JournalUnwritable):
            journal.append("r-1", [intent(n) for n in range(3, 30)], 3.0, lease)
        disk.lose_power()
        again = SimJournal(disk)
        count = len(again.events("r-1"))
        seen.add(count)
        assert count in (3, 30), "all of the batch or nothing of it"
        assert again.audit() == []
        again.append("r-1", [intent(99)], 4.0, lease)
        assert SimJournal(disk).audit() == []
        assert len(SimJournal(disk).events("r-1")) == count + 1
    durable = operation == 2 and trouble in ("killed-after", "power-after")
    assert seen == {30} if durable else 3 in seen


def test_a_process_that_is_killed_loses_nothing_that_it_wrote() -> None:
    """The system writes it later; only without power it would be lost."""
    disk = Disk(dice(1))
    lease = begin(SimJournal(disk))
    disk.operations, disk.troubles = 0, {2: "killed"}
    with pytest.raises(Crash):
        SimJournal(disk).append("r-1", [intent()], 2.0, lease)
    assert len(SimJournal(disk).events("r-1")) == 2
