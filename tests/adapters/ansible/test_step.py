"""The steps' own logic, over scripted runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from remediate.adapters.ansible import dead, execution
from remediate.adapters.ansible.events import Recording
from remediate.adapters.ansible.execution import Run
from remediate.adapters.ansible.job import Job
from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.adapters.hosts import step as host_step
from remediate.errors import InputError
from remediate.model.base import State
from remediate.model.step import Status, Token, Verdict
from tests.adapters.ansible.streams import DROPPED, begin, end, event, failed, ok, record, stats, unreachable
from tests.adapters.ansible.world import World

FACT = "file:/etc/x"
OLD: State = {FACT: {"sha256": "old"}}
NEW: State = {FACT: {"sha256": "new"}}
WATCH = Watch(files=("/etc/x",))


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were run; the next answers come from ``answers``."""
    return []


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, jobs: list[Job]) -> Callable[..., None]:
    """Let runs give this recording, and hosts these facts."""

    def script(recording: Recording | Exception | None = None, facts: State | None = None) -> None:
        def execute(job: Job, fence: Callable[[], object] | None = None) -> Run:
            jobs.append(job)
            if isinstance(recording, Exception):
                raise recording
            return Run(recording or record(event("error") | {"stdout": "ERROR! no"}), 1, False)

        class Client:
            def facts(self, keys: Any) -> State:
                return {k: (facts or {})[k] for k in keys}

        monkeypatch.setattr(execution, "execute", execute)
        monkeypatch.setattr(host_step, "connect", lambda _: Client())

    return script


def would_change() -> Recording:
    return record(begin("a"), ok("a", "write", changed=True), end("a"), stats(ok={"a": 1}, changed={"a": 1}))


def nothing_left(*unchecked: str) -> Recording:
    found = record(begin("a"), ok("a"), end("a"), stats(ok={"a": 1}))
    for task in unchecked:
        found.take_skipped(json.dumps({"host": "a", "task": task}))
    return found


def too_large() -> Recording:
    return record(
        begin("a"), event("runner_on_ok", "a", res={}), end("a"), stats(ok={"a": 1}, changed={"a": 1})
    )


def lost() -> Recording:
    return record(begin("a"), unreachable("a", DROPPED), stats(dark={"a": 1}))


# (watch, idempotent, facts now, what check mode says) -> verdict
PROBES = {
    "facts as before": (WATCH, True, OLD, None, Verdict.NOT_APPLIED),
    "facts as before, may not be repeated": (WATCH, False, OLD, None, Verdict.NOT_APPLIED),
    "nothing left to do": (WATCH, True, NEW, nothing_left(), Verdict.APPLIED),
    "something left to do": (WATCH, True, NEW, would_change(), Verdict.PARTIAL),
    "something that is too large to be told": (WATCH, True, NEW, too_large(), Verdict.PARTIAL),
    "something that nobody can tell": (WATCH, True, NEW, nothing_left("migrate"), Verdict.PARTIAL),
    "changed, may not be repeated": (WATCH, False, NEW, None, Verdict.UNKNOWN),
    "nothing watched, nothing left to do": (Watch(), True, {}, nothing_left(), Verdict.APPLIED),
    "nothing watched, something left to do": (Watch(), True, {}, would_change(), Verdict.PARTIAL),
    "nothing watched, may not be repeated": (Watch(), False, {}, None, Verdict.UNKNOWN),
    "the check finds no host": (WATCH, True, NEW, lost(), Verdict.UNKNOWN),
    "the check is cut": (WATCH, True, NEW, record(begin("a")), Verdict.UNKNOWN),
    "the check fails": (
        WATCH,
        True,
        NEW,
        record(begin("a"), failed("a"), stats(failures={"a": 1})),
        Verdict.UNKNOWN,
    ),
}


@pytest.mark.parametrize("case", PROBES, ids=lambda c: c.replace(" ", "-").replace(",", ""))
def test_probe(here: World, scripted: Callable[..., None], case: str) -> None:
    watch, idempotent, facts, check, verdict = PROBES[case]
    scripted(check, facts)
    found = Playbook("p/p.yml", watch=watch, idempotent=idempotent).probe(here.contexts("a", before=OLD)[0])
    assert found.verdict is verdict, found
    assert found.evidence


@pytest.mark.parametrize(
    ("check", "good", "says"),
    [
        (nothing_left(), True, "nothing"),
        (nothing_left("migrate"), True, "nothing; 1 tasks can't be told in check mode"),
        (would_change(), False, "would change: write"),
        (too_large(), False, "too large"),
        (lost(), False, "lost the connection"),
        (record(begin("a")), False, "without a final status"),
        (record({"event": "error", "stdout": "[ERROR]: boom"}), False, "nothing ran"),
    ],
)
def test_second_run(
    here: World, scripted: Callable[..., None], check: Recording, good: bool, says: str
) -> None:
    scripted(check)
    (found,) = Playbook("p/p.yml").confirm(here.contexts("a")[0])
    assert found.ok is good
    assert says in found.actual


def test_what_may_not_be_repeated_is_not_asked_about(
    here: World, scripted: Callable[..., None], jobs: list[Job]
) -> None:
    scripted()
    assert Playbook("p/p.yml", idempotent=False).confirm(here.contexts("a")[0]) == ()
    assert jobs == []


def test_one_call_for_each_attempt(here: World, scripted: Callable[..., None], jobs: list[Job]) -> None:
    scripted()
    second = here.contexts("c", token=Token(here.run, "s1", 2), timeout=5.0)
    found = Playbook("p/p.yml", tags=("x",)).apply_many([*here.contexts("a", "b"), *second])
    assert {n: r.status for n, r in found.items()} == dict.fromkeys("abc", Status.FAILED)
    assert [(j.token, [t.name for t in j.targets], j.timeout, j.tags) for j in jobs] == [
        (f"{here.run}.s1.1", ["a", "b"], 60.0, ("x",)),
        (f"{here.run}.s1.2", ["c"], 5.0, ("x",)),
    ]
    assert len({j.call for j in jobs}) == 2


def test_what_can_not_be_prepared_has_changed_nothing(here: World, scripted: Callable[..., None]) -> None:
    scripted(InputError("env:X: not set"))
    found = Module("a.b.c").apply(here.contexts("a")[0])
    assert (found.status, found.changed, found.summary) == (
        Status.FAILED,
        False,
        "not started: env:X: not set",
    )


def test_checks_bear_another_token(here: World, scripted: Callable[..., None], jobs: list[Job]) -> None:
    scripted(nothing_left())
    one = Playbook("p/p.yml", rollback="p/back.yml", tags=("x",))
    one.confirm(here.contexts("a")[0])
    one.preview(here.contexts("a")[0])
    assert [(j.token, j.check, j.diff) for j in jobs] == [
        (f"{here.run}.s1.1.check", True, False),
        (f"{here.run}.s1.1.check", True, True),
    ]


def test_undo(here: World, scripted: Callable[..., None], jobs: list[Job]) -> None:
    scripted(nothing_left())
    assert not Playbook("p/p.yml").undo(here.contexts("a")[0]).changed
    assert jobs == []
    found = Playbook("p/p.yml", rollback="p/back.yml", tags=("x",), vars={"v": 1}).undo(here.contexts("a")[0])
    assert found.status is Status.OK
    assert [(j.verb, j.playbook, j.tags, j.variables, j.check) for j in jobs] == [
        ("undo", "p/back.yml", (), {"v": 1}, False)
    ]


@pytest.mark.parametrize(
    ("connection", "expected"),
    [("local", True), ("ansible.netcommon.network_cli", True), ("winrm", False), ("x.y.unheard_of", False)],
)
def test_where_nobody_can_look_nobody_says_it_is_over(here: World, connection: str, expected: bool) -> None:
    here.targets = tuple(
        t.model_copy(update={"vars": {"ansible_connection": connection}}) for t in here.targets
    )
    assert dead.quiesce(here.contexts("a")[0]) is expected


def test_the_end_of_every_attempt_is_awaited(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.targets = tuple(t.model_copy(update={"vars": {}}) for t in here.targets)
    alive = {f"{here.run}.s1.2": 2}
    asked: list[str] = []

    class Client:
        def alive(self, token: str) -> tuple[str, ...]:
            asked.append(token)
            alive[token] = alive.get(token, 0) - 1
            return ("process",) if alive[token] >= 0 else ()

    monkeypatch.setattr(dead, "connect", lambda _: Client())
    context = here.contexts("a", token=Token(here.run, "s1", 2), attempts=3)[0]
    assert not dead.quiesce(context, patience=0)
    assert dead.quiesce(context, patience=10)
    assert set(asked) == {f"{here.run}.s1.{n}" for n in (1, 2, 3)}


def test_leftovers_are_swept(here: World) -> None:
    for name in ("ansible-apply-x", "ansible-undo-y", "ansible-check-z", "backup"):
        (here.workspace / name).mkdir()
    one = Playbook("p/p.yml")
    assert one.quiesce(here.contexts("a")[0])
    assert {p.name for p in here.workspace.iterdir()} == {"ansible-check-z", "backup"}
    one.release(here.contexts("a")[0])
    assert {p.name for p in here.workspace.iterdir()} == {"backup"}
