"""What a person reads on the command line, and what a program gets, without a lab."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

import pytest

from remediate.cli.main import run
from remediate.errors import Exit, InputError
from remediate.journal.holder import this_process
from remediate.model.plan import Plan
from remediate.service.project import Project
from remediate.service.runs import load_run
from tests.service.world import World


class Cli:
    """The command line over one world, in this process."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self._capsys = world, capsys
        self.code, self.out, self.err = 0, "", ""

    def __call__(self, *argv: str) -> Cli:
        """Run; keeps what was said."""
        self._capsys.readouterr()
        self.code = run(["--project", str(self.world.root), *argv])
        self.out, self.err = self._capsys.readouterr()
        return self

    @property
    def json(self) -> Any:
        """Standard output as one value."""
        return json.loads(self.out)


@pytest.fixture
def cli(world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """In the project's folder, with nothing of the developer's own settings."""
    for name in [n for n in os.environ if n.startswith("REMEDIATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(world.root)
    return Cli(world, capsys)


def unfinished(world: World) -> Plan:
    """A run that was interrupted at once, with nobody left to execute it."""
    plan = world.plan()
    world.approve()
    world.run(interrupted=lambda: True)
    return plan


def living(world: World) -> str:
    """An unfinished run that this process pretends to execute."""
    plan = unfinished(world)
    project = world.project
    (name,) = project.journal.runs()
    project.journal.acquire(name, plan.by_name, this_process(), project.clock(), 60)
    return name


# -- approve --


def test_approve_tells_what_is_still_missing(world: World, cli: Cli) -> None:
    world.settings('\n[approval.policy]\nmedium = { approvers = 2, role = "change-manager" }\n')
    world.plan()
    cli("approve", "fix.plan.json", "--key", "keys/carol")
    assert cli.code == 0
    assert "still needed: risk medium: 1 more approval needed by the role change-manager (dan)" in cli.out
    assert "not approved yet" in cli.out
    cli("approve", "fix.plan.json", "--key", "keys/dan")
    assert "still needed" not in cli.out
    assert "approved; next: remediate run fix.plan.json" in cli.out


def test_approve_tells_which_signature_does_not_count(world: World, cli: Cli) -> None:
    """A second one of the same person is no second person's."""
    world.settings('\n[approval.policy]\nmedium = { approvers = 2, role = "change-manager" }\n')
    world.plan()
    cli("approve", "fix.plan.json", "--key", "keys/carol")
    cli("approve", "fix.plan.json", "--key", "keys/carol")
    assert "does not count: " in cli.out
    assert "carol counts once" in cli.out
    cli("approve", "fix.plan.json", "--key", "keys/carol", "--output", "json")
    assert any("carol counts once" in reason for reason in cli.json["refusals"])
    assert cli.json["approved"] is False


def test_approve_tells_of_a_denial_that_stands(world: World, cli: Cli) -> None:
    world.plan()
    cli("deny", "fix.plan.json", "--key", "keys/dan", "--comment", "not now")
    cli("approve", "fix.plan.json", "--key", "keys/carol")
    assert "in the way: dan denied it" in cli.out
    assert "may not run as it is" in cli.out


# -- output --


@pytest.mark.parametrize("argv", [("runs",), ("runbooks",), ("doctor",)])
def test_unknown_output_in_the_environment(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.setenv("REMEDIATE_OUTPUT", "xml")
    assert cli(*argv).code == 2
    assert "REMEDIATE_OUTPUT: 'xml' is no output format" in cli.err
    assert "text or json" in cli.err
    assert cli("--output", "text", "runs").code == 0


def test_empty_output_in_the_environment_is_none(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMEDIATE_OUTPUT", "")
    assert cli("runs").code == 0


def test_pause_says_it_in_json_too(world: World, cli: Cli) -> None:
    name = living(world)
    found = cli("pause", "last", "--output", "json").json
    assert found == {"run": name, "request": "pause", "runner": this_process()}
    assert "pauses after the steps in flight" in cli("pause", "last").out


def test_pause_of_a_run_that_nobody_executes(world: World, cli: Cli) -> None:
    unfinished(world)
    assert "executed by nobody now" in cli("pause", "last").out
    assert cli("pause", "last", "--output", "json").json["runner"] is None


@pytest.mark.parametrize("what", ["resume", "abort"])
def test_a_living_runner_was_told_in_json_too(world: World, cli: Cli, what: str) -> None:
    name = living(world)
    assert cli(what, "last", "--output", "json").code == 0
    assert cli.json == {"run": name, "request": what, "runner": this_process()}
    assert "its runner was told" in cli(what, "last").err


def test_one_target_is_no_targets(cli: Cli) -> None:
    cli("plan", "write", "--ticket", "T-1", "--set", f"path={cli.world.file}", "-o", "fix.plan.json")
    assert "1 target in 1 wave, " in cli.err


# -- one bad run among good ones --


def test_listing_shows_a_run_whose_plan_was_edited(world: World, cli: Cli) -> None:
    world.tampered = True
    world.done("one.plan.json")
    world.file.unlink()
    world.done("two.plan.json")
    first, second = world.project.journal.runs()
    path = world.root / ".remediate" / "runs" / first / "plan.json"
    path.write_bytes(path.read_bytes().replace(b'"author":"', b'"author": "'))
    assert cli("runs").code == 0
    assert first in cli.out
    assert "unreadable" in cli.out
    rows = {row["run"]: row for row in cli("runs", "--output", "json").json["runs"]}
    assert "these bytes are not the bytes that were planned" in rows[first]["status"]
    assert (rows[first]["runbook"], rows[first]["ticket"], rows[first]["targets"]) == ("write", "T-1", 1)
    assert rows[first]["started"]
    assert rows[first]["exit_code"] == 0
    assert rows[second]["status"] == "verified new"
    assert cli("status", second).code == 0
    assert cli("status", first).code == 3


def test_listing_shows_a_run_whose_records_make_no_sense(world: World, cli: Cli) -> None:
    world.tampered = True
    world.done()
    (name,) = world.project.journal.runs()
    with closing(sqlite3.connect(world.root / ".remediate" / "journal.db")) as db, db:
        db.execute("UPDATE events SET body = '{\"kind\": \"nonsense\"}' WHERE kind = 'outcome'")
    (row,) = cli("runs", "--output", "json").json["runs"]
    assert row["run"] == name
    assert "can't be read" in row["status"]
    for argv in (("status", "last"), ("log", "last"), ("report", "last"), ("pause", "last")):
        assert cli(*argv).code == 2
        assert "remediate audit" in cli.err
        assert "pydantic" not in cli.err
    assert cli("audit", "--all").code == 5


def test_journal_that_is_none(world: World, cli: Cli) -> None:
    world.tampered = True
    (world.root / ".remediate").mkdir(mode=0o700)
    (world.root / ".remediate" / "journal.db").write_bytes(b"this is no database" * 100)
    assert cli("runs").code == 5
    assert "journal.db" in cli.err
    assert "Traceback" not in cli.err


# -- words and streams --


def test_no_word_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert "Plan and approve:" in capsys.readouterr().err


def test_help_cuts_no_sentence_off(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--help"], ["lab", "--help"], ["runbooks", "--help"]):
        assert run(argv) == 0
        assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_digest_for_programs(world: World, cli: Cli) -> None:
    plan = world.plan()
    assert cli("show", "fix.plan.json", "--digest", "--output", "json").json == {"digest": plan.digest}
    assert cli("show", "fix.plan.json", "--digest").out == f"{plan.digest}\n"


def test_a_run_goes_on_when_nobody_reads_it_any_more(world: World) -> None:
    """`remediate run FILE | head -1`: the run must not end in its middle, nor with another run's code."""
    world.plan()
    world.approve()
    assert _first_line(world, "run", "fix.plan.json").startswith("connecting")
    assert load_run(world.project, "last").state.finished is not None
    assert world.file.read_text() == "new\n"


def test_a_reader_that_goes_is_no_error(world: World) -> None:
    world.done()
    assert "started by alice" in _first_line(world, "log", "last")


def _first_line(world: World, *argv: str) -> str:
    """Run, read one line, and hang up; what is left is said to nobody."""
    program = "import sys; from remediate.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "--project", str(world.root), *argv],
        cwd=world.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
    return line


# -- wrong values, in our words --


def test_input_of_another_type(cli: Cli) -> None:
    cli("plan", "write", "--ticket", "T-1", "--set", "path=/a", "--set", "fail=maybe", "-o", "x.json")
    assert (cli.code, "--set fail: expected a boolean (true or false), given 'maybe'" in cli.err) == (2, True)


def test_wrong_value_in_the_class_of_a_runbook(world: World, cli: Cli) -> None:
    path = world.root / "runbooks" / "write.py"
    text = path.read_text().replace("    doubt_", '    strategy = Waves(then="half")\n    doubt_')
    path.write_text(text.replace("Runbook\nfrom", "Runbook, Waves\nfrom"))
    assert cli("runbooks").code == 2
    assert "Waves.then: 'half': write a number of targets or a percentage" in cli.err
    assert "Value error" not in cli.err
    assert "pydantic" not in cli.err


def test_wrong_value_in_a_step(cli: Cli) -> None:
    cli("plan", "write", "--ticket", "T-1", "--set", "path=relative", "-o", "x.json")
    assert cli.code == 2
    assert "given 'relative'" in cli.err
    assert "should match" not in cli.err


def test_wrong_value_in_a_plan_file(world: World, cli: Cli) -> None:
    world.plan()
    path = world.root / "fix.plan.json"
    path.write_bytes(path.read_bytes().replace(b'"failure_budget":0', b'"failure_budget":"x"', 1))
    assert cli("show", "fix.plan.json").code == 2
    assert "failure_budget: expected a whole number, given 'x'" in cli.err


def test_wrong_setting_of_the_ticket_system(world: World, cli: Cli) -> None:
    world.settings("\n[ticket.file]\npath = 3\n")
    cli("plan", "write", "--ticket", "T-1", "--set", "path=/a", "-o", "x.json")
    assert cli.code == 2
    assert "ticket.file.path: expected a path, given 3" in cli.err


@pytest.mark.parametrize("debug", [(), ("--debug",)])
def test_an_error_tells_no_secret(cli: Cli, monkeypatch: pytest.MonkeyPatch, debug: tuple[str, ...]) -> None:
    monkeypatch.setenv("PLACE", "tr0ub4dor&3")

    def fail(project: Project, *_: object) -> None:
        value = project.credentials.resolve("env:PLACE")
        raise InputError(f"the server says: no such user {value!r}", f"ask for {value}")

    monkeypatch.setattr("remediate.service.runs.load_run", fail)
    cli("status", "last", *debug)
    assert cli.code == Exit.USAGE
    assert "no such user '[redacted]'" in cli.err
    assert ("Traceback" in cli.err) is bool(debug)
    assert "tr0ub4dor" not in cli.err
