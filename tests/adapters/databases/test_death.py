"""Processes and connections that die around the commit: what became of it is told, and nothing done twice."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.engine import Session
from remediate.adapters.databases.mariadb import MariaSession
from remediate.adapters.databases.postgres import PostgresSession
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Step, Verdict
from tests.adapters.databases.test_migration import migration
from tests.adapters.databases.test_rows import fix
from tests.adapters.databases.world import World
from tests.e2e.world import FULL

pytestmark = pytest.mark.lab

SESSIONS = {"mariadb": MariaSession, "postgres": PostgresSession}


def dies(world: World, step: Step, method: str, when: str, number: int = 1, how: int = signal.SIGKILL) -> int:
    """Apply it in a child process that is killed before or after the n-th call of this method; its pid."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, os.WUNTRACED)
        assert os.WIFSTOPPED(status) if how == signal.SIGSTOP else os.WTERMSIG(status) == how
        return child
    try:
        kind: Any = SESSIONS[world.server.engine]
        real, calls = getattr(kind, method), []

        def deadly(session: Session, *args: object) -> object:
            calls.append(args)
            if len(calls) == number and when == "before":
                os.kill(os.getpid(), how)
            answer = real(session, *args)
            if len(calls) == number and when == "after":
                os.kill(os.getpid(), how)
            return answer

        setattr(kind, method, deadly)
        world.pool = ClientPool()
        step.apply(world.context())
    finally:
        os._exit(1)


@pytest.mark.parametrize(("when", "verdict"), [("before", Verdict.NOT_APPLIED), ("after", Verdict.APPLIED)])
def test_killed_at_the_commit(world: World, when: str, verdict: Verdict) -> None:
    step, before = fix(world), world.everything()
    dies(world, step, "commit", when)
    assert step.quiesce(world.context())
    assert step.probe(world.context()).verdict is verdict
    step.apply(world.context(attempt=2))
    assert world.rows("SELECT count(*) FROM payment WHERE state = 'right'") == [(4,)]
    assert str(world.rows("SELECT amount FROM payment WHERE id = 1")[0][0]) == "112.3400", "not twice"
    step.undo(world.undo())
    assert world.everything() == before


@pytest.mark.fault("databases", "late", "duplicate", "in doubt, probed: not-applied")
def test_a_sleeper_is_ended_and_commits_nothing_when_it_wakes(world: World) -> None:
    step, before = fix(world), world.everything()
    child = dies(world, step, "commit", "before", how=signal.SIGSTOP)
    try:
        assert step.quiesce(world.context())
        with world.server.open(world.database) as session:
            assert step.driver.sessions(session, str(world.context().token)) == []
        assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    finally:
        os.kill(child, signal.SIGCONT)
        os.waitpid(child, 0)
    assert world.everything() == before


def killing(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """The server ends our session right before this method asks it for something."""
    kind: Any = SESSIONS[world.server.engine]
    real = getattr(kind, method)

    def cut(session: Session, *args: object) -> object:
        with world.server.open(world.database) as other:
            world.server.driver.end(other, session.number)
        return real(session, *args)

    monkeypatch.setattr(kind, method, cut)


def test_a_connection_lost_at_the_commit_is_doubt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    step, before = fix(world), world.everything()
    with monkeypatch.context() as patch:
        killing(world, patch, "commit")
        with pytest.raises(InDoubt, match="lost"):
            step.apply(world.context())
    assert step.quiesce(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    assert world.everything() == before


def test_a_connection_lost_before_is_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    step, before = fix(world), world.everything()
    with monkeypatch.context() as patch:
        killing(world, patch, "begin")
        with pytest.raises(StepFailed, match="nothing was committed"):
            step.apply(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED
    assert world.everything() == before


def test_an_undo_killed_at_its_commit_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    step, before = fix(world), world.everything()
    step.apply(world.context())
    with monkeypatch.context() as patch:
        killing(world, patch, "commit")
        with pytest.raises(InDoubt):
            step.undo(world.undo())
    assert step.quiesce(world.undo())
    step.undo(world.undo())
    assert world.everything() == before


@pytest.mark.fault("databases", "during", "half-applied", "in doubt, probed: partial, undone")
@pytest.mark.parametrize("number", range(1, 13) if FULL else (1, 4, 5, 6))
def test_a_migration_cut_anywhere_is_told_and_taken_back(world: World, number: int) -> None:
    """Killed after the n-th statement of its own: marks, definitions and changes of rows."""
    if world.server.engine == "postgres" and number > 6:
        pytest.skip("one transaction has fewer statements")
    step, before = migration(world), world.everything()
    facts = step.observe(world.context())
    dies(world, step, "do", "after", number)
    assert step.quiesce(world.context())
    found = step.probe(world.context())
    if found.verdict is Verdict.NOT_APPLIED:
        assert step.observe(world.context()) == facts
    else:
        assert found.verdict is Verdict.PARTIAL
    step.undo(world.undo())
    assert step.observe(world.context()) == facts
    assert world.everything() == before
    assert world.tables() == {"payment"}


def test_wrong_password(world: World) -> None:
    other = world.folder / "wrong"
    other.write_text("no-such-password")
    engine = world.server.engine
    target = world.server.target(more={f"{engine}_password": f"file:{other}"})
    with pytest.raises(StepFailed, match="nothing was done") as said:
        fix(world).apply(world.context(target=target))
    assert "no-such-password" not in str(said.value)


def test_server_down(world: World) -> None:
    target = world.server.target(more={f"{world.server.engine}_port": 9})
    with pytest.raises(StepFailed, match="nothing was done"):
        fix(world).apply(world.context(target=target))
