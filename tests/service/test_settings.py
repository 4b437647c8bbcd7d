"""Every setting does what it says: how hosts are reached, and the project's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.adapters.hosts.access import access
from remediate.cli.main import run
from remediate.errors import InputError
from remediate.inventory import Inventory
from remediate.model.target import Target
from remediate.planning.compile import Order
from remediate.report.render import render
from remediate.report.runbooks import runbook_document
from remediate.service import planning
from remediate.service.preflight import _changed_hosts
from remediate.service.runbooks import summary
from tests.service.world import World

SSH = '\n[ssh]\nknown_hosts = "hosts.keys"\n[limits]\nconnect_timeout = "2.5s"\n'
WEB1 = Target(name="web1", address="192.0.2.1")


def test_project_settings_reach_a_connection(world: World) -> None:
    world.settings(SSH)
    (target,) = world.project.reached([WEB1])
    found = access(target)
    assert found.known_hosts == (world.root / "hosts.keys",)
    assert found.connect_seconds == 3


def test_the_inventory_goes_before_the_project(world: World) -> None:
    world.settings(SSH)
    own = {"remediate_known_hosts": "/etc/other", "ansible_ssh_timeout": 30}
    (target,) = world.project.reached([WEB1.model_copy(update={"vars": own})])
    assert target.vars == own


@pytest.mark.parametrize("settings", ["", SSH])
def test_a_target_that_needs_no_connection_stays_as_it_is(world: World, settings: str) -> None:
    world.settings(settings)
    local = WEB1.model_copy(update={"vars": {"ansible_connection": "local"}})
    assert world.project.reached([local]) == (local,)


def test_without_settings_nothing_is_added(world: World) -> None:
    """Ansible's own settings may say more than our default."""
    assert world.project.reached([WEB1]) == (WEB1,)


def test_they_stand_in_the_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.settings(SSH)
    (world.root / "inventory" / "hosts.yml").write_text("all:\n  hosts:\n    web1: {}\n    lb1: {}\n")
    runbook = world.root / "runbooks" / "write.py"
    runbook.write_text(
        runbook.read_text().replace("    doubt_", '    targets = "web1"\n    peers = "lb1"\n    doubt_')
    )
    orders: list[Order] = []

    def stop(order: Order, *_: object, **__: object) -> None:
        orders.append(order)
        raise InputError("far enough")

    monkeypatch.setattr(planning, "compile_plan", stop)
    with pytest.raises(InputError, match="far enough"):
        world.plan()
    for target in (*orders[0].targets, *orders[0].peers):
        assert target.vars["remediate_known_hosts"] == str(world.root / "hosts.keys")


def test_they_are_no_change_of_the_inventory(world: World) -> None:
    """What planning added is no difference when the same host is looked at again."""
    plan = world.plan()
    world.settings(SSH)
    project = world.project
    planned = plan.model_copy(update={"targets": project.reached([WEB1])})
    source = Inventory(world.root, world.root, {"web1": WEB1}, {})
    assert list(_changed_hosts(project, planned, source)) == []
    moved = Inventory(world.root, world.root, {"web1": WEB1.model_copy(update={"port": 2222})}, {})
    (reason,) = _changed_hosts(project, planned, moved)
    assert "2222" in reason


@pytest.mark.parametrize("name", ["a b", "a:b", "a'b", "a%b"])
def test_known_hosts_that_ssh_could_not_take(world: World, name: str) -> None:
    world.tampered = True
    world.settings(f'\n[ssh]\nknown_hosts = "{name}"\n')
    with pytest.raises(InputError, match=r"ssh\.known_hosts: .*ssh can't take"):
        _ = world.project


def test_the_name_of_the_project(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.settings('\n[project]\nname = "web shop"\n')
    world.done()
    for argv, words in (
        (("runs",), "Runs of web shop"),
        (("runbooks",), "Runbooks of web shop"),
        (("report", "last"), "web shop"),
    ):
        assert run(["--project", str(world.root), *argv]) == 0
        assert words in capsys.readouterr().out


def test_symptoms_of_a_runbook(world: World) -> None:
    path = Path(world.root / "runbooks" / "write.py")
    text = path.read_text().replace("Runbook\nfrom", "Runbook, Symptom\nfrom")
    text = text.replace(
        "    doubt_", '    symptoms = (Symptom(pattern="no space", means="full"),)\n    doubt_'
    )
    path.write_text(text)
    found = summary(world.project, "write")
    assert found.as_json()["symptoms"] == ({"pattern": "no space", "means": "full", "where": "anywhere"},)
    page = render(runbook_document(found), "text")
    assert "no space" in page
    assert "full" in page
