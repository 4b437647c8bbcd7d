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
    made.audit()
    with world.server.open() as session:
        world.server.driver.drop(session, "elsewhere")


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """By the command line, for programs."""
    capsys.readouterr()
    assert run(["backups", "--output", "json"]) == 0
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)["backups"]
    return found


def test_from_the_run_to_the_end_of_its_time(
    world: World, project: ProjectWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    with monkeypatch.context() as patch:
        patch.setattr(proof, "compare", broken)
        assert run(["backups", "restore", key, "--into", "broken"]) == Exit.INTERNAL
    with pytest.raises(StepFailed):
        world.server.open("broken").close()
    (file,) = project.root.glob(".remediate/runs/*/work/*/*/host-here/dump.*")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert run(["backups", "verify", key]) == Exit.NEEDS_HUMAN
    assert str(file) in capsys.readouterr().out
    file.write_bytes(whole)
    assert run(["backups", "prune", "--yes"]) == 0
    assert len(listed(capsys)) == 1, "its time is not over"
    project.ahead = 3 * 86400.0
    held = project.project
    (old,) = use_case.expired(held)
    assert use_case.exit_code(use_case.delete(held, [old])) is Exit.VERIFIED_NEW
    assert listed(capsys) == []


def broken(*_: object) -> None:
    """Instead of the comparison."""
    raise StepFailed("it differs")
