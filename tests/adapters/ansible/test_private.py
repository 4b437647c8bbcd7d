"""What is written for Ansible, and what is refused before anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from remediate.adapters.ansible import private, trees
from remediate.adapters.ansible.job import Job, OneTask
from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.errors import InputError
from remediate.model.base import Frozen
from remediate.model.step import StepClass, step_type
from remediate.model.target import Target
from tests.adapters.ansible.world import CANARY, Canary, World


def target(**variables: Any) -> Target:
    return Target(name="a", address="10.0.0.1", port=2222, user="ops", groups=("web", "prod"), vars=variables)


def host(one: Target) -> tuple[dict[str, Any], list[str]]:
    references: list[str] = []
    found: dict[str, Any] = private.inventory([one], {}, references)["all"]["hosts"]["a"]
    return found, references


def test_hosts_and_groups() -> None:
    peer = Target(name="lb", address="10.0.0.9", groups=("lb",))
    found = private.inventory([target(x=1)], {"lb": peer, "a": target(x=0)}, [])["all"]
    assert found["hosts"]["a"]["x"] == 1
    assert (found["hosts"]["a"]["ansible_host"], found["hosts"]["a"]["ansible_port"]) == ("10.0.0.1", 2222)
    assert found["hosts"]["a"]["ansible_user"] == "ops"
    assert found["children"] == {
        "web": {"hosts": {"a": {}}},
        "prod": {"hosts": {"a": {}}},
        "lb": {"hosts": {"lb": {}}},
    }


def test_only_known_hosts_are_spoken_to() -> None:
    found, _ = host(target(remediate_known_hosts="/k/one:/k/two", ansible_ssh_common_args="-J jump"))
    assert found["ansible_ssh_common_args"] == (
        "-o StrictHostKeyChecking=yes -o 'UserKnownHostsFile=/k/one /k/two'"
        " -o GlobalKnownHostsFile=/dev/null -J jump"
    )


@pytest.mark.parametrize(
    "path", ["/k' -o ProxyCommand=id '", "/k k", 'a"b', "{{ x }}", "%d/x", ["/k"], "a\nb"]
)
def test_a_known_hosts_file_is_a_path_and_nothing_else(path: Any) -> None:
    with pytest.raises(InputError, match="not a plain path"):
        host(target(remediate_known_hosts=path))


def test_a_local_target_keeps_its_variables_only() -> None:
    found, _ = host(target(ansible_connection="local"))
    assert found == {"ansible_connection": "local", "ansible_host": "10.0.0.1"}


def test_secrets_are_places_in_a_list() -> None:
    vault = {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n61\n"}
    found, references = host(
        target(
            ansible_become_password="env:SUDO", db={"password": "file:/p", "user": "x"}, key=vault, url="a:b"
        )
    )
    assert found["ansible_become_password"] == "{{ remediate_secrets[0] }}"
    assert found["db"] == {"password": "{{ remediate_secrets[1] }}", "user": "x"}
    assert found["key"] == vault
    assert found["url"] == "a:b"
    assert references == ["env:SUDO", "file:/p"]


def test_credentials_of_other_technologies_stay_here() -> None:
    references: list[str] = []
    one = target(vcenter_password="env:VC", remediate_vault_password="env:VAULT", db_password="env:DB")
    host = private.inventory([one], {}, references)["all"]["hosts"]["a"]
    assert references == ["env:DB"]
    assert not {"vcenter_password", "remediate_vault_password"} & set(host)


def test_data_is_never_a_template() -> None:
    assert private.data({"a": "{{ x }}", "b": [1, None, "c"], "password": "env:X"}, []) == {
        "a": {"__ansible_unsafe": "{{ x }}"},
        "b": [1, None, {"__ansible_unsafe": "c"}],
        "password": "{{ remediate_secrets[0] }}",
    }


@pytest.mark.parametrize("key", ["__ansible_vault", "__ansible_unsafe", "__ansible_type"])
def test_data_can_not_pass_for_ansibles_own_marks(key: str) -> None:
    with pytest.raises(InputError, match="means something to Ansible"):
        private.data({"deep": [{key: "x"}]}, [])


def job(world: World, **fields: Any) -> Job:
    base: dict[str, Any] = {
        "artefacts": world.artefacts,
        "workspace": world.workspace,
        "resolver": Canary(),
        "timeout": 5.0,
        "verb": "apply",
        "token": "r.s.1",
        "targets": world.targets,
        "playbook": "playbooks/p.yml",
    }
    return Job(**{**base, **fields})


def test_the_directory_is_private_and_holds_no_secret(here: World) -> None:
    prepared = private.prepare(job(here, variables={"db_password": "env:X"}, references={"key": "file:/k"}))
    assert prepared.folder.stat().st_mode & 0o777 == 0o700
    assert {f.stat().st_mode & 0o077 for f in prepared.folder.iterdir() if f.suffix == ".json"} == {0}
    assert prepared.values == [CANARY, CANARY]
    assert not [f for f in prepared.folder.iterdir() if CANARY in f.read_text()]
    with private.pipes(prepared, 5.0) as arguments:
        assert arguments[0] == "-e"
        read = json.loads(Path(arguments[1].removeprefix("@")).read_bytes())
        assert read == {"remediate_secrets": [{"__ansible_unsafe": CANARY}] * 2}
    assert not (prepared.folder / "secrets").exists()


def test_a_pipe_that_nobody_reads_holds_nothing_up(here: World) -> None:
    prepared = private.prepare(job(here, references={"key": "file:/k"}))
    with private.pipes(prepared, 60.0):
        pass


def test_a_single_task_hides_its_arguments_when_one_is_secret(here: World) -> None:
    cases: list[tuple[dict[str, JsonValue], bool]] = [({"path": "/x"}, False), ({"token": "env:X"}, True)]
    for arguments, hidden in cases:
        prepared = private.prepare(job(here, playbook=None, task=OneTask("a.b.c", arguments)))
        play = json.loads((prepared.folder / "play.json").read_text())
        assert play[0]["tasks"][0]["no_log"] is hidden


@pytest.mark.parametrize(
    "setting",
    ["-o StrictHostKeyChecking=no", "-oStrictHostKeyChecking=accept-new", "-o UserKnownHostsFile=/dev/null"],
)
def test_settings_that_trust_strangers(here: World, setting: str) -> None:
    here.targets = (target(ansible_ssh_extra_args=setting),)
    with pytest.raises(InputError, match=r"ansible_ssh_extra_args of a.*whoever answers"):
        private.prepare(job(here))
    assert not list(here.workspace.iterdir())


def test_two_vault_passwords(here: World) -> None:
    one, two = target(remediate_vault_password="file:/a"), target(remediate_vault_password="file:/b")
    with pytest.raises(InputError, match="2 different vault passwords"):
        private.prepare(job(here, targets=(one, two.model_copy(update={"name": "b"}))))


# -- the steps themselves --


def test_steps_survive_the_plan() -> None:
    class Inputs(Frozen):
        package: str = "shop"
        db_password: str = "env:DB"

    watch = Watch(files=("/etc/x",), packages={"shop": "1.1-1"}, services=("shop",))
    for step in (
        Playbook("playbooks/p.yml", vars=Inputs(), watch=watch, rollback="playbooks/back.yml", tags=("a",)),
        Module(
            "ansible.builtin.file", args={"path": "/x"}, watch=Watch(packages=("shop",)), idempotent=False
        ),
    ):
        again = step_type(step.kind).model_validate(step.model_dump(mode="json"))
        assert again == step
    assert Playbook("p/p.yml", vars=Inputs()).vars == {"package": "shop", "db_password": "env:DB"}


def test_what_undoes_a_step() -> None:
    watched = Playbook("p/p.yml", watch=Watch(files=("/etc/x",), packages={"shop": "1.1-1"}))
    assert [s.kind for s in watched.protection()] == ["host-backup"]
    assert not watched.undoable
    assert Playbook("p/p.yml", rollback="p/back.yml").undoable
    nothing = Playbook("p/p.yml")
    assert (nothing.protection(), nothing.undoable) == ((), False)


def test_classes() -> None:
    assert Playbook("p/p.yml").step_class is StepClass.STATE_BASED
    assert Playbook("p/p.yml", idempotent=False).step_class is StepClass.OPAQUE


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Playbook("/etc/p.yml"), "relative"),
        (lambda: Playbook("../p.yml"), "relative"),
        (
            lambda: Playbook("p/p.yml", vars={"db_password": "hunter2"}),
            "db_password holds a secret in the clear",
        ),
        (lambda: Playbook("p/p.yml", wathc=Watch()), "wathc"),
        (lambda: Module("file", args={}), "pattern"),
        (lambda: Module("a.b.c; id", args={}), "pattern"),
        (lambda: Module("a.b.c", args={"token": "abc"}), "token holds a secret"),
    ],
)
def test_steps_that_make_no_sense(make: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        make()
    assert "hunter2" not in str(caught.value)


# -- artefacts --


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


TREE = {
    "ansible.cfg": "[defaults]\nroles_path = roles:/usr/share\nlibrary=lib\nvault_password_file = ~/.v\n",
    "playbooks/p.yml": "",
    "playbooks/back.yml": "",
    "playbooks/roles/r/tasks/main.yml": "",
    "playbooks/group_vars/all.yml": "",
    "playbooks/templates/t.j2": "",
    "playbooks/p.retry": "",
    "playbooks/.git/x": "",
    "playbooks/__pycache__/x.pyc": "",
    "roles/common/tasks/main.yml": "",
    "lib/m.py": "",
    "secret.txt": "",
}


def test_artefacts(tmp_path: Path) -> None:
    step = Playbook("playbooks/p.yml", rollback="playbooks/back.yml")
    left = {"playbooks/p.retry", "playbooks/.git/x", "playbooks/__pycache__/x.pyc", "secret.txt"}
    assert {str(p) for p in step.artefacts(project(tmp_path, TREE))} == set(TREE) - left
    named = {"ansible.cfg", "roles/common/tasks/main.yml", "lib/m.py"}
    assert {str(p) for p in Module("a.b.c").artefacts(tmp_path)} == named


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"playbooks/x.yml": ""}, "no playbook at"),
        ({"ansible.cfg": "[ssh_connection]\nssh_args = -o StrictHostKeyChecking=no\n"}, "whoever answers"),
        ({"ansible.cfg": "[defaults]\nhost_key_checking = False\n"}, "whoever answers"),
        ({"ansible.cfg": "[defaults]\nvault_password_file = .vault\n"}, "no place outside the project"),
        ({"ansible.cfg": "[defaults]\nvault_identity_list = dev@~/d, prod@vault/p\n"}, "'vault/p'"),
        ({"ansible.cfg": "no section\n"}, "ansible.cfg"),
    ],
)
def test_projects_that_make_no_sense(tmp_path: Path, files: dict[str, str], says: str) -> None:
    base = {} if "playbooks/x.yml" in files else {"playbooks/p.yml": ""}
    with pytest.raises(InputError, match=says):
        trees.files(project(tmp_path, {**base, **files}), "playbooks/p.yml")


def test_a_playbook_at_the_top(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="top of the project"):
        trees.files(project(tmp_path, {"p.yml": ""}), "p.yml")


def test_a_link_out_of_the_project(tmp_path: Path) -> None:
    root = project(tmp_path / "project", {"playbooks/p.yml": ""})
    (root / "playbooks/secret").symlink_to("/etc/shadow")
    with pytest.raises(InputError, match="link out of the project"):
        trees.files(root, "playbooks/p.yml")
