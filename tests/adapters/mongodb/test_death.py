"""Processes and connections that die around a write: what became of it is told, and nothing done twice."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases import mongo
from remediate.adapters.databases.mongo import MongoSession
from remediate.errors import InDoubt, StaleLease, StepFailed
from remediate.model.step import Verdict
from tests.adapters.mongodb.way import way_to
from tests.adapters.mongodb.world import World

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "WRITE_SECONDS", 0.5)


def dies(world: World, method: str, when: str, number: int) -> None:
    """Apply it in a child process that is killed before or after the n-th call of this method."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL
        return
    try:
        real, calls = getattr(MongoSession, method), []

        def deadly(session: MongoSession, *args: object) -> object:
            calls.append(args)
            if len(calls) == number and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(session, *args)
            if len(calls) == number and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        setattr(MongoSession, method, deadly)
        world.pool = ClientPool()
        world.update().apply(world.context())
    finally:
        os._exit(1)


@pytest.mark.parametrize(
    ("method", "when", "number", "verdict"),
    [
        ("insert", "before", 1, Verdict.NOT_APPLIED),
        ("insert", "after", 1, Verdict.NOT_APPLIED),
        ("change", "after", 1, Verdict.PARTIAL),
        ("change", "before", 3, Verdict.PARTIAL),
        ("change", "after", 3, Verdict.PARTIAL),
        ("change", "after", 4, Verdict.APPLIED),
    ],
)
def test_killed(world: World, method: str, when: str, number: int, verdict: Verdict) -> None:
    step, before = world.update(), world.everything()
    dies(world, method, when, number)
    assert step.quiesce(world.context())
    assert step.probe(world.context()).verdict is verdict
    step.undo(world.undo())
    assert (world.everything(), world.marks()) == (before, 0)
    step.apply(world.context(attempt=2))
    assert all(check.ok for check in step.confirm(world.context()))


def test_what_was_cut_goes_on(world: World) -> None:
    step, before = world.update(), world.everything()
    dies(world, "change", "after", 1)
    assert step.apply(world.context(attempt=2)).summary == "changed 3 documents of payment"
    assert step.probe(world.context()).verdict is Verdict.APPLIED
    step.undo(world.undo())
    assert (world.everything(), world.marks()) == (before, 0)


def test_a_change_between_the_look_and_the_write_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, real = world.update(), MongoSession.change

    def overtaken(session: MongoSession, collection: str, *args: dict[str, object]) -> bool:
        world.do(lambda c: c.update_one({"_id": 2}, {"$set": {"state": "theirs"}}))
        return real(session, collection, *args)

    with monkeypatch.context() as patch:
        patch.setattr(MongoSession, "change", overtaken)
        with pytest.raises(StepFailed, match="1 were changed by others since, and left: _id='2'"):
            step.apply(world.context())
    assert world.do(lambda c: c.find_one({"_id": 2}))["state"] == "theirs"
    with pytest.raises(StepFailed, match="2 documents are as before"):
        step.undo(world.undo())


def test_who_lost_the_run_writes_nothing(world: World) -> None:
    def stale() -> NoReturn:
        raise StaleLease("another process has the run")

    before = world.everything()
    world.pool = ClientPool(stale)
    with pytest.raises(StaleLease):
        world.update().apply(world.context())
    assert (world.everything(), world.marks()) == (before, 0)


@pytest.mark.parametrize(
    ("command", "forward", "verdict"),
    [
        (b"insert", False, Verdict.NOT_APPLIED),
        (b"insert", True, Verdict.NOT_APPLIED),
        (b"update", False, Verdict.NOT_APPLIED),
        (b"update", True, Verdict.PARTIAL),
    ],
)
def test_a_lost_answer_is_doubt(world: World, command: bytes, forward: bool, verdict: Verdict) -> None:
    step, before = world.update(), world.everything()
    with (
        way_to(world.port, cut=command, forward=forward) as port,
        pytest.raises(InDoubt, match="sent, and not confirmed"),
    ):
        step.apply(world.context(target=world.target(mongodb_port=port)))
    assert step.quiesce(world.context())
    assert step.probe(world.context()).verdict is verdict
    step.undo(world.undo())
    assert (world.everything(), world.marks()) == (before, 0)


def test_a_lost_answer_to_the_last_removal(world: World) -> None:
    step, before = world.update(), world.everything()
    step.apply(world.context())
    with way_to(world.port, cut=b"delete", forward=True) as port, pytest.raises(InDoubt):
        step.undo(world.context("s01-undo", target=world.target(mongodb_port=port)))
    assert step.quiesce(world.undo())
    step.undo(world.undo())
    assert (world.everything(), world.marks()) == (before, 0)
