"""`remediate backups`: what a real run has kept is listed, proved again, restored elsewhere, and pruned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from remediate.adapters.backups import proof
from remediate.cli.main import run
from remediate.errors import Exit, StepFailed
from remediate.service import backups as use_case
from tests.adapters.backups.world import ACCOUNTS, World
from tests.service.world import World as ProjectWorld

pytestmark = pytest.mark.lab

RUNBOOK = '''
from remediate.authoring import DatabaseBackup, Estimate, File, HostBackup, Risk, Runbook

QUICK = Estimate(apply=1, verify=1, undo=1)


class Write(Runbook):
    """Write one file, with a database as the reason."""

    class Inputs(Runbook.Inputs):
        path: str
        fail: bool = False

    risk = Risk(outage="none", data_loss="none")

    def steps(self, inputs):
        backup = DatabaseBackup(engine="{engine}", database="{database}", estimate=QUICK)
        files = HostBackup(files=[inputs.path], estimate=QUICK)
        yield File(path=inputs.path, content="new\\n", estimate=QUICK, protect=[files, backup])
'''


@pytest.fixture
def project(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectWorld]:
    """One run that kept the shop."""
    made = ProjectWorld.make(tmp_path / "project")
    made.settings("[backups]\nkeep_days = 2\n")
    text = RUNBOOK.replace("{engine}", world.server.engine).replace("{database}", world.database)
    (made.root / "runbooks" / "write.py").write_text(text)
    host = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
    hosts = {"here": {**host, **world.server.variables()}}
    (made.root / "inventory" / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    made.done()
    monkeypatch.setenv("REMEDIATE_PROJECT", str(made.root))
    yield made
    with world.server.open() as session:
        world.server.driver.drop(session, "elsewhere")


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """By the command line, for programs."""
    capsys.readouterr()
    assert run(["backups", "--output", "json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)["backups"]
    return found


def test_from_the_run_to_the_end_of_its_time(
    world: World, project: ProjectWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = listed(capsys)
    assert one["run_status"] == "verified new"
    assert not one["expired"]
    key = str(one["id"])
    assert run(["backups"]) == 0
    assert world.database in capsys.readouterr().out
    assert run(["backups", "verify", key]) == 0
    assert run(["backups", "verify", key, "--scratch"]) == 0
    assert "restored in" in capsys.readouterr().out
    assert run(["backups", "restore", key, "--into", world.database]) == Exit.REFUSED
    assert run(["backups", "restore", key, "--into", "elsewhere"]) == 0
    with world.server.open("elsewhere") as session:
        assert session.rows("SELECT COUNT(*) FROM account") == [(ACCOUNTS,)]
    assert run(["backups", "verify", "nothing"]) == Exit.USAGE
    assert run(["backups", "prune", "--yes"]) == 0
    assert len(listed(capsys)) == 1, "its time is not over"
    project.ahead = 3 * 86400.0
    held = project.project
    (old,) = use_case.expired(held)
    assert use_case.exit_code(use_case.delete(held, [old])) is Exit.VERIFIED_NEW
    assert listed(capsys) == []


def test_one_that_was_damaged_needs_a_human(
    project: ProjectWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = listed(capsys)
    (file,) = project.root.glob(".remediate/runs/*/work/*/*/host-here/dump.*")
    file.write_bytes(file.read_bytes()[:-1])
    assert run(["backups", "verify", str(one["id"])]) == Exit.NEEDS_HUMAN
    assert str(file) in capsys.readouterr().out
    (file.parent / "manifest.json").write_text("{}")
    assert "changed after it was made" in str(listed(capsys)[0]["problem"])


def test_a_restore_that_fails_leaves_nothing(
    world: World, project: ProjectWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise StepFailed("it differs")

    monkeypatch.setattr(proof, "compare", broken)
    with use_case.chosen(project.project, "") as one, pytest.raises(StepFailed, match="it differs"):
        use_case.restore(one, "elsewhere")
    with pytest.raises(StepFailed):
        world.server.open("elsewhere").close()
