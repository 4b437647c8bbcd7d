"""Everything that people and machines may do to one plan, in any order: shipped approvals and signatures,
shipped journal, engine and log; simulated targets, ticket and clock. Judged after every move."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from remediate.approval.envelope import Decision, Envelope, Evidence
from remediate.approval.policy import Standing, evaluate, recheck
from remediate.checker import check
from remediate.engine.port import Job
from remediate.errors import Refused
from remediate.journal.sqlite import SqliteJournal
from remediate.model.event import Body, Event, Revoked, Verb
from remediate.model.plan import Plan
from tests.approval.world import World as People
from tests.engine.case import TTL, Case, Troubles
from tests.engine.clock import Crash
from tests.engine.house import House
from tests.engine.plans import make_plan
from tests.engine.simulation import Simulation
from tests.engine.targets import FAULTS
from tests.engine.ticket import Weather, expected, told
from tests.reliability import record

THOROUGH = bool(os.environ.get("REMEDIATE_THOROUGH"))
_EXAMPLES, _STEPS = (2000, 40) if THOROUGH else (40, 20)
_SEEN: Counter[str] = Counter()


class _Journal(SqliteJournal):
    """The shipped one; the process may die at one of its appends."""

    def __init__(self, path: Path, written: Callable[[list[Event]], None], death: tuple[int, bool]) -> None:
        super().__init__(path)
        self._written, self._death, self._count = written, death, 0

    def append(self, run: str, bodies: object, at: float, lease: object) -> list[Event]:
        """See `Journal.append`."""
        self._count += 1
        dies = self._count == self._death[0]
        if dies and self._death[1]:
            raise Crash
        events = super().append(run, bodies, at, lease)  # type: ignore[arg-type]
        self._written(events)
        if dies:
            raise Crash
        return events


class _House(House):
    """With a journal on a real disk, and people who sign."""

    def __init__(self, case: Case, folder: Path, people: People) -> None:
        super().__init__(case)
        self.people, self.envelopes = people, list[Envelope]()
        self.death = (0, False)
        self.path = folder / "journal.db"
        self.office = _Journal(self.path, self.was_synced, (0, False))
        self.others: list[_Journal] = []

    def opened(self, written: Callable[[list[Event]], None] | None = None) -> _Journal:  # type: ignore[override]
        """For a process, one of its own."""
        if written is None:
            return self.office
        self.others.append(_Journal(self.path, written, self.death))
        self.death = (0, False)
        return self.others[-1]

    def standing(self, plan: Plan) -> Standing:
        """How this plan stands with what was signed."""
        evidence = [Evidence(f"{n}.json", e.data) for n, e in enumerate(self.envelopes)]
        revoked = [
            Evidence(f"journal {e.number}", e.body.envelope.encode())
            for e in self.office.revocations(plan.digest)
            if isinstance(e.body, Revoked)
        ]
        return evaluate(plan, evidence, self.people.config, self.now, ("bob",), revoked)

    @property
    def now(self) -> datetime:
        """What the clock on the wall shows."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def effect(self, verb: Verb, step: str, job: Job) -> None:
        """V1, as the target sees it: only what is approved goes forward."""
        super().effect(verb, step, job)
        if verb is Verb.APPLY and not self.standing(self.case.plan).approved:
            self.problems.append(f"{step} was begun on {job.target} without approval (V1)")

    def close(self) -> None:
        """Close all files."""
        for journal in (self.office, *self.others):
            journal.close()


def _people() -> People:
    return People.make(Path(tempfile.mkdtemp(prefix="remediate-people-")))


class Life(RuleBasedStateMachine):
    """One plan and what becomes of it."""

    people: People

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="remediate-life-"))
        plan = make_plan(2, 2, patience=5).model_copy(update={"author": "dan"})
        self.plan = Plan.model_validate(plan.model_dump())
        self.house = _House(Case(1, self.plan), self.folder, self.people)
        self.simulation = Simulation(self.house.case, self.house)

    @initialize(approved=st.sampled_from((True, True, True, False)))
    def begin(self, approved: bool) -> None:
        if approved:
            self.approve()

    @rule()
    def approve(self) -> None:
        self._sign(Decision.APPROVE)

    @precondition(lambda self: self.house.envelopes)
    @rule()
    def revoke(self) -> None:
        if (envelope := self._sign(Decision.REVOKE)) is not None:
            body: Body = Revoked(plan=self.plan.digest, by="ann", envelope=envelope.data.decode())
            self.house.office.append("", [body], self.house.clock(), None)

    def _sign(self, decision: Decision) -> Envelope | None:
        try:
            envelope = self.people.sign("ann", decision, plan=self.plan, now=self.house.now)
        except Refused:
            return None
        self.house.envelopes.append(envelope)
        return envelope

    @rule(seconds=st.integers(1, 3600))
    def edit(self, seconds: int) -> None:
        """Whoever changes the plan has one that nobody approved."""
        update = {"expires": self.plan.expires + timedelta(seconds=seconds)}
        edited = Plan.model_validate(self.plan.model_dump() | update)
        assert not self.house.standing(edited).approved

    @rule(death=st.tuples(st.integers(0, 25), st.booleans()), asleep=st.sampled_from((0, 0, 0, 1, 3, 5)))
    def run(self, death: tuple[int, bool], asleep: int) -> None:
        """A process; it may be killed, or sleep while a second runner takes over."""
        standing, house = self.house.standing(self.plan), self.house
        begun = house.office.run_of_plan(self.plan.digest) is not None
        if not (standing.approved or begun):
            return
        house.world.authorise = lambda now: self._asked(standing, now)  # type: ignore[method-assign]
        house.death, self.simulation.lives = death, [Troubles(asleep=asleep)]
        self.simulation.one_life()
        _SEEN["processes"] += 1

    def _asked(self, standing: Standing, now: float) -> str:
        try:
            recheck(standing, self.plan, datetime.fromtimestamp(now, UTC), lambda: False)
        except Refused as error:
            return error.problem
        return ""

    @rule(seconds=st.sampled_from((-7200.0, -30.0, 61.0, 3600.0, 90_000.0)))
    def clock(self, seconds: float) -> None:
        self.house.clock.jump(seconds)

    @rule(seconds=st.sampled_from((1.0, 61.0, 600.0)))
    def wait(self, seconds: float) -> None:
        self.house.clock.now += seconds

    @rule(down=st.booleans())
    def ticket(self, down: bool) -> None:
        self.house.tickets._weather = Weather(down=((0.0, 1e12),)) if down else Weather()

    @rule(host=st.sampled_from(("t1", "t2")), key=st.sampled_from(("file:/1", "file:/2")))
    def foreign_change(self, host: str, key: str) -> None:
        self.house.meddle(host, key)

    @rule(fault=st.sampled_from(FAULTS), host=st.sampled_from(("t1", "t2")), step=st.sampled_from((0, 1, 2)))
    def fault(self, fault: str, host: str, step: int) -> None:
        self.house.world.faults.setdefault((self.plan.steps[step].id, host), []).append(fault)

    @invariant()
    def every_promise_is_kept(self) -> None:
        _SEEN["moves"] += 1
        assert self.house.problems == []
        events = self.house.office.events("r-1")
        assert check(self.plan, events) == ()
        assert self.house.office.audit() == []
        here = told(self.house.tickets)
        assert here == expected(events)[: len(here)]

    def teardown(self) -> None:
        """Without more trouble the run ends, and its ticket tells everything."""
        try:
            self.ticket(down=False)
            if self.house.office.run_of_plan(self.plan.digest) is not None:
                self.house.clock.now += 2 * TTL + 8000
                for _ in range(10):
                    self.run((0, False), 0)
                    self.house.clock.now += TTL
                ending = self.simulation.run()
                _SEEN["runs"] += 1
                assert ending.problems == ()
        finally:
            self.house.close()
            shutil.rmtree(self.folder)


def test_any_order_of_events() -> None:
    Life.people = _people()
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    shutil.rmtree(Life.people.root)
    assert _SEEN["runs"] >= _EXAMPLES / 4, _SEEN
    record(
        "explored", "state machine: people, processes, clock, ticket", _EXAMPLES, f"{_STEPS} moves each", 0
    )
