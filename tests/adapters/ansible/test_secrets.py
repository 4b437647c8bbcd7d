"""Credentials over real runs: who gets them, and who never does."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest

from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.inventory import Inventory
from remediate.model.target import Target
from tests.adapters.ansible.world import CANARY, World

pytestmark = pytest.mark.slow


@dataclass
class Impostor(paramiko.ServerInterface):
    """An SSH server with a key that nobody knows; notes every offer of a credential."""

    offers: list[str] = field(default_factory=list)
    visits: int = 0
    port: int = 0

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password,keyboard-interactive"

    def check_auth_none(self, username: str) -> int:
        self.offers.append("none")
        return paramiko.common.AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        self.offers.append("password")
        return paramiko.common.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.offers.append("publickey")
        return paramiko.common.AUTH_FAILED

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.visits += 1
            transport = paramiko.Transport(connection)
            transport.add_server_key(paramiko.ECDSAKey.generate())
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=self)
            transport.join(timeout=2)
            transport.close()


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    found = Impostor()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        found.port = listener.getsockname()[1]
        thread = threading.Thread(target=found.serve, args=(listener,), daemon=True)
        thread.start()
        yield found
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(timeout=5)


def test_an_impostor_gets_no_credential(here: World, impostor: Impostor, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{impostor.port} {key.with_suffix('.pub').read_text()}")
    here.targets = (
        Target(
            name="a",
            address="127.0.0.1",
            port=impostor.port,
            user="ops",
            groups=("web",),
            vars={
                "remediate_known_hosts": str(known),
                "ansible_ssh_private_key_file": str(key),
                "ansible_python_interpreter": "/usr/bin/python3",
            },
        ),
    )
    found = Module("ansible.builtin.command", args={"cmd": "id"}).apply_many(here.contexts())["a"]
    assert (found.status.value, found.changed) == ("failed", False)
    assert "before anything was done" in found.summary
    assert "Host key verification failed" in found.detail
    assert impostor.visits == 1
    assert impostor.offers == []


def test_vaulted_values_stay_encrypted_until_ansible_uses_them(here: World, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(CANARY)
    program = str(Path(sys.executable).with_name("ansible-vault"))
    value = subprocess.run(
        [program, "encrypt_string", "--vault-password-file", str(password), "s3same", "--name", "door"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    inventory = tmp_path / "inventory"
    (inventory / "group_vars").mkdir(parents=True)
    (inventory / "group_vars/all.yml").write_text(
        value + "ansible_connection: local\nremediate_vault_password: file:/vault\n"
    )
    (inventory / "hosts.yml").write_text("web: {hosts: {a: {}}}\n")
    loaded = Inventory.load(inventory, here.artefacts)
    assert list(loaded.hosts["a"].vars["door"]) == ["__ansible_vault"]  # type: ignore[arg-type]
    here.targets = tuple(loaded.hosts.values())
    text = "- hosts: web\n  gather_facts: false\n  tasks:\n"
    text += '  - ansible.builtin.fail: {msg: "{{ door | length }}"}\n'
    found = Playbook(here.write(text)).apply_many(here.contexts())["a"]
    assert found.summary.endswith("failed: 6")
