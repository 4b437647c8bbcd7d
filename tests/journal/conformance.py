"""What every journal has to hold to, whatever is behind it.

Subclass `JournalConformance` and give it ``opened``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from remediate.errors import JournalUnwritable, Refused, StaleLease
from remediate.journal.holder import this_process
from remediate.journal.interface import Held, Journal, Lease
from remediate.model.event import (
    Body,
    Decided,
    Final,
    Intent,
    Progress,
    Request,
    Requested,
    Revoked,
    RunFinished,
    RunStarted,
    Settled,
    Verb,
)
from remediate.model.step import Verdict

#: Opens the same journal once more, as another process would.
Open = Callable[[], Journal]
TTL = 60.0
#: A process of another machine: nobody here can tell whether it lives.
FAR = "elsewhere|boot|1|1"


def started(plan: str = "a" * 64) -> RunStarted:
    """The first event of a run."""
    return RunStarted(
        plan=plan,
        plan_id="p-1",
        ticket="T-1",
        runbook="r",
        runner="alice",
        tool_version="0",
        targets=1,
        steps=1,
    )


def intent(number: int = 1, target: str = "t1") -> Intent:
    """Some event."""
    return Intent(verb=Verb.APPLY, step="s1", target=target, attempt=number, before={"k": number})


def abort() -> Requested:
    """What anybody may write."""
    return Requested(what=Request.ABORT, by="bob")


def begin(
    journal: Journal, run: str = "r-1", plan: str = "a" * 64, targets: Sequence[str] = ("t1",)
) -> Lease:
    """Take a run up and write its first event."""
    lease = journal.acquire(run, targets, this_process(), 0.0, TTL)
    journal.append(run, [started(plan)], 1.0, lease)
    return lease


class JournalConformance:
    """Tests over the interface alone."""

    @pytest.fixture
    def opened(self) -> Open:
        """The journal under test, opened anew at each call."""
        raise NotImplementedError

    # -- events --

    def test_events_come_back_as_they_were_written(self, opened: Open) -> None:
        journal = opened()
        lease = begin(journal)
        bodies: list[Body] = [intent(1), Progress(text="half\nway \u202e \x00"), intent(2)]
        written = journal.append("r-1", bodies, 2.5, lease)
        read = opened().events("r-1")
        assert [e.body for e in read[1:]] == bodies
        assert read[1:] == written
        assert [e.at for e in read] == [1.0, 2.5, 2.5, 2.5]
        assert [e.number for e in read] == [1, 2, 3, 4]

    def test_only_newer_events_on_request(self, opened: Open) -> None:
        journal = opened()
        lease = begin(journal)
        journal.append("r-1", [intent(n) for n in range(5)], 2.0, lease)
        assert [e.number for e in journal.events("r-1", 4)] == [5, 6]
        assert journal.events("r-1", 6) == []
        assert journal.events("r-2") == []

    def test_runs_share_one_chain_and_have_numbers_of_their_own(self, opened: Open) -> None:
        journal = opened()
        one = begin(journal, "r-1", "a" * 64, ["t1"])
        two = begin(journal, "r-2", "b" * 64, ["t2"])
        journal.append("r-1", [intent()], 2.0, one)
        journal.append("r-2", [intent(), intent(2)], 2.0, two)
        journal.append("r-1", [intent(2)], 3.0, one)
        events = sorted([*journal.events("r-1"), *journal.events("r-2")], key=lambda e: e.seq)
        assert [e.seq for e in events] == list(range(1, 7))
        assert [e.number for e in journal.events("r-1")] == [1, 2, 3]
        assert [e.number for e in journal.events("r-2")] == [1, 2, 3]
        assert [e.prev for e in events[1:]] == [e.hash for e in events[:-1]]
        assert journal.runs() == ["r-1", "r-2"]

    def test_nothing_to_append(self, opened: Open) -> None:
        journal = opened()
        lease = begin(journal)
        assert journal.append("r-1", [], 2.0, lease) == []
        assert len(journal.events("r-1")) == 1

    def test_a_plan_is_consumed_by_one_run(self, opened: Open) -> None:
        journal = opened()
        assert journal.run_of_plan("a" * 64) is None
        begin(journal)
        assert journal.run_of_plan("a" * 64) == "r-1"
        lease = journal.acquire("r-2", ["t2"], this_process(), 0.0, TTL)
        with pytest.raises(JournalUnwritable):
            journal.append("r-2", [started()], 2.0, lease)
        assert journal.runs() == ["r-1"]
        assert journal.events("r-2") == []

    def test_revocations_belong_to_a_plan(self, opened: Open) -> None:
        journal = opened()
        for plan in ("a" * 64, "b" * 64, "a" * 64):
            journal.append("", [Revoked(plan=plan, by="carol", envelope="{}")], 1.0, None)
        assert len(journal.revocations("a" * 64)) == 2
        assert len(journal.revocations("b" * 64)) == 1
        assert journal.revocations("c" * 64) == []
        assert journal.runs() == []

    # -- who may write --

    @pytest.mark.parametrize(
        "body",
        [
            abort(),
            Revoked(plan="a" * 64, by="carol", envelope="{}"),
            Decided(step="s", target="t1", attempt=1, verdict=Verdict.APPLIED, by="dan", envelope="{}"),
        ],
    )
    def test_anybody_may_ask_decide_and_revoke(self, opened: Open, body: Any) -> None:
        begin(opened())
        assert opened().append("r-1", [body], 2.0, None)[0].number == 2

    @pytest.mark.parametrize("bodies", [[intent()], [started("c" * 64)], [abort(), intent()]])
    def test_only_the_runner_may_write_the_rest(self, opened: Open, bodies: list[Body]) -> None:
        begin(opened())
        with pytest.raises(StaleLease):
            opened().append("r-1", bodies, 2.0, None)
        assert len(opened().events("r-1")) == 1

    def test_a_request_of_another_process_does_not_disturb_the_runner(self, opened: Open) -> None:
        journal = opened()
        lease = begin(journal)
        journal.append("r-1", [intent()], 2.0, lease)
        opened().append("r-1", [abort()], 3.0, None)
        written = journal.append("r-1", [intent(2)], 4.0, lease)
        assert [e.number for e in written] == [4]
        assert [e.body.kind for e in journal.events("r-1")] == [
            "run-started",
            "intent",
            "requested",
            "intent",
        ]

    def test_whoever_was_replaced_can_not_write(self, opened: Open) -> None:
        """Neither events, nor its lease, nor its locks."""
        old = opened()
        stale = begin(old)
        new = opened()
        lease = new.acquire("r-1", ["t1"], FAR, TTL + 1, TTL)
        for act in (
            lambda: old.append("r-1", [intent()], 70.0, stale),
            lambda: old.renew(stale, 70.0, TTL),
            lambda: old.release(stale),
        ):
            with pytest.raises(StaleLease):
                act()
        assert len(new.events("r-1")) == 1
        assert new.locks() == [Held("t1", "r-1")]
        assert new.append("r-1", [intent()], 71.0, lease)[0].number == 2

    def test_whoever_was_replaced_can_not_write_even_before_the_other_did(self, opened: Open) -> None:
        """Its idea of the journal's end is still right; only the lease is not."""
        old = opened()
        stale = begin(old)
        old.append("r-1", [intent()], 2.0, stale)
        opened().acquire("r-1", ["t1"], FAR, TTL + 1, TTL)
        with pytest.raises(StaleLease):
            old.append("r-1", [intent(2)], 70.0, stale)

    def test_whoever_was_replaced_neither_holds_nor_lets_go(self, opened: Open) -> None:
        old = opened()
        stale = begin(old)
        opened().acquire("r-1", ["t1"], FAR, TTL + 1, TTL)
        with pytest.raises(StaleLease):
            old.renew(stale, 70.0, TTL)
        with pytest.raises(StaleLease):
            old.release(stale)
        assert opened().holder("r-1", 2 * TTL) == FAR

    # -- leases --

    def test_a_living_runner_is_not_replaced(self, opened: Open) -> None:
        opened().acquire("r-1", ["t1"], FAR, 0.0, TTL)
        with pytest.raises(Refused, match="being executed by process 1 on elsewhere"):
            opened().acquire("r-1", ["t1"], this_process(), TTL - 1, TTL)

    def test_a_runner_that_shows_no_life_is_replaced(self, opened: Open) -> None:
        first = opened().acquire("r-1", ["t1"], FAR, 0.0, TTL)
        second = opened().acquire("r-1", ["t1"], this_process(), TTL, TTL)
        assert second.epoch > first.epoch

    def test_renewing_holds_it(self, opened: Open) -> None:
        journal = opened()
        lease = journal.acquire("r-1", ["t1"], FAR, 0.0, TTL)
        journal.renew(lease, 50.0, TTL)
        with pytest.raises(Refused):
            opened().acquire("r-1", ["t1"], this_process(), 100.0, TTL)
        assert opened().holder("r-1", 100.0) == FAR
        assert opened().holder("r-1", 111.0) is None

    def test_a_runner_that_is_certainly_dead_is_replaced_at_once(self, opened: Open) -> None:
        dead = this_process().rsplit("|", 1)[0] + "|1"
        opened().acquire("r-1", ["t1"], dead, 0.0, TTL)
        assert opened().acquire("r-1", ["t1"], FAR, 1.0, TTL).epoch == 2

    def test_the_same_process_may_take_its_run_again(self, opened: Open) -> None:
        opened().acquire("r-1", ["t1"], this_process(), 0.0, TTL)
        assert opened().acquire("r-1", ["t1"], this_process(), 1.0, TTL).epoch == 2

    def test_a_released_run_is_free(self, opened: Open) -> None:
        journal = opened()
        journal.release(begin(journal))
        assert journal.holder("r-1", 1.0) is None
        assert journal.locks() == []
        assert opened().acquire("r-1", ["t1"], FAR, 1.0, TTL).epoch == 2

    # -- targets --

    def test_one_run_on_a_target(self, opened: Open) -> None:
        begin(opened(), "r-1", targets=["t1", "t2"])
        with pytest.raises(Refused, match="t2 is held by run r-1"):
            opened().acquire("r-2", ["t3", "t2"], FAR, 0.0, TTL)
        assert {h.target: h.run for h in opened().locks()} == {"t1": "r-1", "t2": "r-1"}, "all or nothing"

    def test_a_target_stays_locked_though_its_runner_is_dead(self, opened: Open) -> None:
        journal = opened()
        dead = this_process().rsplit("|", 1)[0] + "|1"
        lease = journal.acquire("r-1", ["t1"], dead, 0.0, TTL)
        journal.append("r-1", [started()], 1.0, lease)
        with pytest.raises(Refused, match="t1 is held by run r-1"):
            opened().acquire("r-2", ["t1"], FAR, 10 * TTL, TTL)

    def test_a_run_that_never_began_holds_nothing(self, opened: Open) -> None:
        dead = this_process().rsplit("|", 1)[0] + "|1"
        opened().acquire("r-1", ["t1"], dead, 0.0, TTL)
        opened().acquire("r-2", ["t1"], FAR, 1.0, TTL)
        assert opened().locks() == [Held("t1", "r-2")]

    @pytest.mark.parametrize(
        ("final", "code", "held"), [(Final.NEW, 0, False), (Final.ORIGINAL, 4, False), (Final.HUMAN, 5, True)]
    )
    def test_a_run_that_ended_holds_what_needs_a_human_only(
        self, opened: Open, final: Final, code: int, held: bool
    ) -> None:
        """Its process died between the end of the run and letting go."""
        journal = opened()
        dead = this_process().rsplit("|", 1)[0] + "|1"
        lease = journal.acquire("r-1", ["t1"], dead, 0.0, TTL)
        journal.append("r-1", [started()], 1.0, lease)
        journal.append("r-1", [Settled(target="t1", final=final, evidence="e")], 2.0, lease)
        if not held:
            with pytest.raises(Refused, match="t1 is held by run r-1"):
                opened().acquire("r-2", ["t1"], FAR, 3.0, TTL)
        journal.append("r-1", [RunFinished(exit_code=code, summary="s")], 3.0, lease)
        if held:
            with pytest.raises(Refused, match="t1 is held by run r-1"):
                opened().acquire("r-2", ["t1"], FAR, 4.0, TTL)
        else:
            opened().acquire("r-2", ["t1"], FAR, 4.0, TTL)
            assert opened().locks() == [Held("t1", "r-2")]

    def test_a_run_that_is_about_to_begin_holds_its_targets(self, opened: Open) -> None:
        opened().acquire("r-1", ["t1"], FAR, 0.0, TTL)
        with pytest.raises(Refused, match="t1 is held by run r-1"):
            opened().acquire("r-2", ["t1"], this_process(), 1.0, TTL)

    def test_targets_that_need_a_human_stay_locked(self, opened: Open) -> None:
        journal = opened()
        journal.release(begin(journal, targets=["t1", "t2", "t3"]), keep=["t2"])
        assert journal.locks() == [Held("t2", "r-1")]
        with pytest.raises(Refused, match="t2 is held"):
            opened().acquire("r-2", ["t2"], FAR, 1.0, TTL)
        assert opened().acquire("r-1", ["t1", "t2", "t3"], FAR, 1.0, TTL).epoch == 2
