"""Each playbook and role that comes with it has a scenario, and no scenario is laxer than a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.playbooks.conftest import typed
from tests.playbooks.scenarios import covered, scenarios, settings, shipped

_SCENARIOS = [pytest.param(path, id=path.name) for path in scenarios(ROOT)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's playbooks and their scenarios."""
    for name in ("playbooks", "molecule"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_every_playbook_and_role_has_a_scenario() -> None:
    assert shipped(ROOT)
    assert shipped(ROOT) - covered(ROOT) == set()


def test_a_new_one_without_a_scenario_is_noticed(copy: Path) -> None:
    shutil.copy(copy / "playbooks/patch_package.yml", copy / "playbooks/other.yml")
    tasks = copy / "playbooks/roles/proxy/tasks/main.yml"
    tasks.parent.mkdir(parents=True)
    tasks.write_text("[]\n")
    assert shipped(copy) - covered(copy) == {"playbooks/other.yml", "playbooks/roles/proxy"}
    converge = copy / "molecule/patch_package/converge.yml"
    converge.write_text("- hosts: all\n  roles: [proxy]\n")
    assert shipped(copy) - covered(copy) == {"playbooks/other.yml", "playbooks/patch_package.yml"}
    converge.write_text("- hosts: all\n  tasks:\n    - ansible.builtin.import_role: {name: proxy}\n")
    assert "playbooks/roles/proxy" in covered(copy)


def test_every_scenario_is_on_the_page() -> None:
    named = {line.split()[-1] for line in typed("molecule test")}
    assert {path.name for path in scenarios(ROOT)} <= named


@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_a_scenario_asks_everything(scenario: Path) -> None:
    sequence = settings(scenario)["scenario"]["test_sequence"]
    wanted = [
        "destroy",
        "syntax",
        "prepare",
        "converge",
        "idempotence",
        "verify",
        "side_effect",
        "cleanup",
        "destroy",
    ]
    assert sequence == wanted
    for action in set(wanted) - {"destroy", "syntax", "idempotence"}:
        assert (scenario / f"{action}.yml").is_file(), action


@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_a_scenario_runs_with_the_settings_of_a_run(scenario: Path) -> None:
    """Molecule's own would talk to hosts whose keys nobody knows."""
    found = settings(scenario)
    assert found["driver"] == {"name": "default", "options": {"managed": False}}
    assert found["ansible"]["env"] == {"ANSIBLE_CONFIG": "${MOLECULE_PROJECT_DIRECTORY}/ansible.cfg"}
    assert "cfg" not in found["ansible"]
    common = found["provisioner"]["inventory"]["group_vars"]["all"]["ansible_ssh_common_args"]
    assert "UserKnownHostsFile={{ remediate_known_hosts }}" in common
    assert "StrictHostKeyChecking" not in common
