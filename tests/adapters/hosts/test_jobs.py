"""Jobs: once, whatever happens to the connection; and processes that can be found and ended."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.attempts import became_of, note_start, quiet
from remediate.adapters.hosts.client import HostClient, connect, job_name
from remediate.adapters.hosts.remote.wire import clock
from remediate.adapters.hosts.session import Answer
from remediate.adapters.hosts.values import JobState
from remediate.errors import InDoubt, StepFailed
from tests.adapters.hosts.pace import Held, once, until
from tests.adapters.hosts.world import HOSTILE, World


def token(world: World, attempt: int = 1) -> str:
    return str(world.context(attempt=attempt).token)


def ended(client: HostClient, name: str, seconds: float = 10.0) -> JobState:
    deadline = time.monotonic() + seconds
    while client.job_status(name).state is JobState.RUNNING and time.monotonic() < deadline:
        time.sleep(0.02)
    return client.job_status(name).state


def test_a_job_tells_its_end_and_its_output(world: World) -> None:
    argv = ["sh", "-c", "echo out; echo err >&2; exit 7"]
    outcome = world.client().run(argv, token(world))
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.ok) == (7, "out\n", "err\n", False)
    assert outcome.ending == "ended with exit code 7"
    status = world.client().job_status(token(world))
    assert status.state is JobState.ENDED
    assert status.outcome is not None
    assert status.outcome.code == 7


@pytest.mark.parametrize("word", HOSTILE)
def test_words_arrive_as_they_are(world: World, word: str) -> None:
    outcome = world.client().query(["printf", "%s", word])
    assert outcome.stdout == word.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def test_a_job_finds_a_clean_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = world.client().run(["env"], token(world), env={"EXTRA": "a b"})
    names = {line.partition("=")[0] for line in outcome.stdout.splitlines()}
    assert names - {"PWD", "SHLVL", "_"} == {
        "PATH", "LC_ALL", "HOME", "SHELL", "TERM", "EXTRA", "REMEDIATE_TOKEN"
    }  # fmt: skip
    assert f"REMEDIATE_TOKEN={token(world)}" in outcome.stdout


def test_a_job_runs_once_under_one_name(world: World, tmp_path: Path) -> None:
    argv = ["sh", "-c", f"echo x >> {tmp_path}/count"]
    for _ in range(3):
        assert world.client().run(argv, token(world)).ok
    assert (tmp_path / "count").read_text() == "x\n"
    assert world.client().run(argv, token(world), again=True).ok
    assert (tmp_path / "count").read_text() == "x\nx\n"


def test_a_second_caller_waits_for_the_running_job(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(tmp_path)
    argv = held.argv("echo done", before=f"echo x >> {tmp_path}/count")
    with pytest.raises(InDoubt):
        _in_doubt(world, argv, token(world), held.begun)
    client = world.client()
    asked: list[str] = []
    ask = client.session.ask

    def noted(op: str, **rest: Any) -> Answer:
        asked.append(op)
        return ask(op, **rest)

    monkeypatch.setattr(client.session, "ask", noted)
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(client.run, argv, token(world), again=True)
        # The first answer is early, because another question comes: it says that the job runs.
        until(lambda: client.job_status(token(world)).state is JobState.RUNNING and "wait" in asked)
        held.let_go()
        outcome = second.result(30)
    assert outcome.stdout == "done\n"
    assert (tmp_path / "count").read_text() == "x\n"


def test_a_job_outlives_its_connection(world: World, tmp_path: Path) -> None:
    name, held = token(world), Held(tmp_path)
    with pytest.raises(InDoubt):
        _in_doubt(world, held.argv(f"echo done > {tmp_path}/mark; exit 5"), name, held.begun)
    assert not (tmp_path / "mark").exists()
    again = world.client()
    assert again.job_status(name).state is JobState.RUNNING
    assert not quiet(world.context())
    held.let_go()
    assert ended(again, name) is JobState.ENDED
    status = again.job_status(name)
    assert status.outcome is not None
    assert status.outcome.code == 5
    assert (tmp_path / "mark").read_text() == "done\n"
    assert quiet(world.context())


def _in_doubt(world: World, argv: Sequence[str], name: str, begun: Callable[[], bool] | None = None) -> None:
    """Run a job whose connection is cut as soon as its command runs."""
    client = world.client()
    with once(begun or (lambda: "session" in _record(name)), client.session._pipe.close):
        client.run(argv, name)


def _record(name: str) -> dict[str, Any]:
    """What the host has noted about a job, read past the connection."""
    try:
        found: dict[str, Any] = json.loads(Path(f"/run/remediate/{name}/job").read_text())
    except FileNotFoundError:
        return {}
    return found


def test_a_job_that_takes_too_long_is_ended_with_its_children(world: World, tmp_path: Path) -> None:
    outcome = world.client().run(["sh", "-c", "sleep 61 & sleep 62"], token(world), seconds=0.4)
    assert outcome.timed_out
    assert not outcome.ok
    assert "was ended" in outcome.ending
    assert world.client().alive(token(world)) == ()


def test_much_output_keeps_its_beginning_and_end(world: World) -> None:
    argv = ["sh", "-c", "echo first; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last"]
    outcome = world.client().run(argv, token(world))
    assert outcome.stdout.startswith("first\n")
    assert outcome.stdout.endswith("\nlast\n")
    assert "bytes left out" in outcome.stdout
    assert len(outcome.stdout) < 70_000


def test_output_is_cut_between_words(world: World) -> None:
    line = "password-is-abcdefghijklmnopqrstuvwxyz"
    shown = world.client().run(["seq", "-f", f"%05g {line}", "3000"], token(world)).stdout
    assert "bytes left out" in shown
    assert all(not text or text.endswith(line) or text.startswith("[... ") for text in shown.split("\n"))


def test_output_that_is_not_text_is_replaced(world: World) -> None:
    assert world.client().query(["printf", r"a\377b"]).stdout == "a\ufffdb"


def test_a_program_that_is_missing_was_not_started(world: World) -> None:
    outcome = world.client().run(["/no/such/program"], token(world))
    assert (outcome.code, outcome.ok) == (None, False)
    assert "was not started" in outcome.ending


def test_a_daemon_left_behind_does_not_hold_the_job(world: World) -> None:
    began = time.monotonic()
    outcome = world.client().run(["sh", "-c", "sleep 30 & echo started"], token(world))
    assert (outcome.code, outcome.stdout) == (0, "started\n")
    assert time.monotonic() - began < 3
    assert quiet(world.context()), "a job that ended by itself is over, whatever it started"
    assert [p.command for p in world.client().alive(token(world))] == ["sleep 30"]
    assert world.client().kill(token(world), grace=0.5) == ()


def test_kill_finds_children_that_hide(world: World) -> None:
    name = token(world)
    script = "setsid setsid sleep 100 & (env -i sleep 101 &); trap '' TERM; sleep 102 & wait; wait"
    with pytest.raises(InDoubt):
        _in_doubt(world, ["sh", "-c", script], name)
    client = world.client()
    # 101 is without the token in its environment, but in the job's session.
    wanted = {"sleep 100", "sleep 101", "sleep 102"}
    until(lambda: wanted <= {process.command for process in client.alive(name)})
    assert client.kill(name, grace=0.3) == ()
    assert client.alive(name) == ()
    assert ended(client, name) is not JobState.RUNNING


def test_a_job_whose_supervisor_died_has_vanished_and_its_rest_is_ended(world: World) -> None:
    name = token(world)
    with pytest.raises(InDoubt):
        _in_doubt(world, ["sleep", "100"], name)
    os.kill(_record(name)["pid"], signal.SIGKILL)
    client = world.client()
    assert ended(client, name) is JobState.VANISHED
    assert len(client.alive(name)) == 1
    assert quiet(world.context())
    assert client.alive(name) == ()


def test_what_nobody_started_never_began(world: World) -> None:
    context = world.context()
    client = world.client()
    name = str(context.token)
    assert became_of(context, client, name).begun is False
    note_start(context, client, name)
    status = became_of(context, client, name)
    assert (status.state, status.begun) == (JobState.UNKNOWN, False)
    for note in context.workspace.glob("started-*"):
        note.write_text("another boot")
    assert became_of(context, client, name).begun is True


def test_forget_removes_the_records(world: World) -> None:
    client = world.client()
    client.run(["true"], token(world))
    client.run(["true"], token(world), name=f"{token(world)}.more")
    assert client.forget(token(world)) == 2
    assert client.job_status(token(world)).state is JobState.UNKNOWN


@pytest.mark.parametrize("text", ["a/b", "..", "", "é", "x" * 300, "a b", ".hidden"])
def test_any_text_names_a_job(text: str) -> None:
    name = job_name(text)
    assert job_name(name) == name
    assert "/" not in name
    assert not name.startswith(".")
    assert len(name) <= 200
    assert job_name(text + "!") != name


def test_a_query_is_ended_in_time(world: World) -> None:
    began = time.monotonic()
    outcome = world.client().query(["sleep", "50"], seconds=0.3)
    assert outcome.timed_out
    assert time.monotonic() - began < 5


def test_an_agent_of_an_earlier_process_carries_nothing_out_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped, or slow, with a request that it had not read; the process that had sent it is dead."""
    context = world.context()
    with ClientPool() as pool, ClientPool() as later:
        monkeypatch.setattr("remediate.adapters.hosts.client._OURS", "earlier")
        before = connect(replace(context, clients=pool))
        agent = int(before.query(["sh", "-c", "echo $PPID"]).stdout)
        os.kill(agent, signal.SIGSTOP)
        fields = {"name": "late", "token": str(context.token), "argv": ["touch", str(world.folder / "late")]}
        rest = {"env": {}, "limit": 5.0, "again": False, "wait": 0.0}
        before.session._send("launch", {**fields, **rest}, b"", time.monotonic() + 60, math.inf)
        monkeypatch.undo()
        assert quiet(replace(context, clients=later))
        with suppress(ProcessLookupError):
            os.kill(agent, signal.SIGCONT)
        time.sleep(0.3)
        assert not (world.folder / "late").exists()
    assert world.client().job_status("late").state is JobState.UNKNOWN


def test_jobs_outlive_the_agent_of_an_earlier_process(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    context = world.context()
    argv = ["sh", "-c", f"while [ ! -e {world.folder}/go ]; do sleep 0.05; done"]
    with ClientPool() as pool, ClientPool() as later, ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr("remediate.adapters.hosts.client._OURS", "earlier")
        before = connect(replace(context, clients=pool))
        monkeypatch.undo()
        job = threads.submit(before.run, argv, str(context.token))
        until(lambda: world.client().job_status(str(context.token)).state is JobState.RUNNING)
        assert not quiet(replace(context, clients=later))
        (world.folder / "go").touch()
        with pytest.raises(InDoubt):
            job.result()
        until(lambda: quiet(replace(context, clients=later)))
    assert world.client().job_status(str(context.token)).state is JobState.ENDED


def test_a_request_that_comes_later_than_its_run_is_ours_is_refused(world: World) -> None:
    """The process slept between asking whether the run is still its own and sending the request."""
    with ClientPool(lambda: clock() - 0.2) as pool:
        late = connect(replace(world.context(), clients=pool))
        with pytest.raises(StepFailed, match="nobody waited"):
            late.run(["touch", str(world.folder / "late")], token(world))
        with pytest.raises(StepFailed, match="nobody waited"):
            late.socket("/nowhere", b"", effect=True)
        with pytest.raises(StepFailed, match="No such file"):
            late.socket("/nowhere", b"", effect=False)
    assert not (world.folder / "late").exists()
    with ClientPool(lambda: clock() + 5) as pool:
        connect(replace(world.context(), clients=pool)).run(["true"], token(world))
