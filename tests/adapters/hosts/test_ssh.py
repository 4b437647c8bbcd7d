"""Over SSH: who is believed, what a stranger gets to see, and what a path that dies does to a request."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko
import pytest
from pydantic import JsonValue

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.errors import HostKeyRefused, Unreachable
from remediate.adapters.hosts.values import JobState
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.hosts.pace import Held, once, until
from tests.adapters.hosts.sshd import Sshd, new_key
from tests.adapters.hosts.world import NoSecrets


@dataclass
class Ssh:
    """A server, and what it takes to reach it."""

    sshd: Sshd
    folder: Path
    pool: ClientPool

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def target(self, **variables: JsonValue) -> Target:
        own: dict[str, JsonValue] = {
            "ansible_ssh_private_key_file": str(self.folder / "user"),
            "ansible_python_interpreter": sys.executable,
            "remediate_known_hosts": str(self.known_hosts),
            "ansible_ssh_timeout": 5,
        }
        return Target(
            name="far", address="127.0.0.1", port=self.sshd.port, user="me", vars={**own, **variables}
        )

    def context(self, timeout: float = 10.0, **variables: JsonValue) -> Context:
        token = Token(f"ssh-{self.sshd.port}", "s", 1)
        folder = self.folder / "workspace"
        return Context(self.target(**variables), token, self.pool, NoSecrets(), folder, folder, timeout)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    host, user = new_key(tmp_path / "host"), new_key(tmp_path / "user")
    with Sshd(host, user) as sshd, ClientPool() as pool:
        (tmp_path / "known_hosts").write_text(sshd.known_hosts_line())
        yield Ssh(sshd, tmp_path, pool)


def test_a_known_host_is_worked_on(ssh: Ssh) -> None:
    client = connect(ssh.context())
    assert client.query(["echo", "hello"]).stdout == "hello\n"
    assert len(ssh.sshd.commands) == 1, "one interpreter for everything"
    assert client.run(["true"], str(ssh.context().token)).ok
    client.forget(str(ssh.context().token))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_host_keys(ssh: Ssh, tmp_path: Path, kind: str) -> None:
    host = paramiko.RSAKey.generate(2048) if kind == "rsa" else paramiko.ECDSAKey.generate()
    with Sshd(host, ssh.sshd.user_key) as other:
        target = ssh.target().model_copy(update={"name": kind, "port": other.port})
        with pytest.raises(HostKeyRefused):
            connect(replace(ssh.context(), target=target))
        ssh.known_hosts.write_text(other.known_hosts_line())
        assert connect(replace(ssh.context(), target=target)).query(["true"]).ok
        assert not [attempt for attempt in ssh.sshd.attempts if attempt]


def test_an_unknown_host_gets_no_byte_of_a_credential(ssh: Ssh) -> None:
    ssh.known_hosts.write_text("")
    with pytest.raises(HostKeyRefused, match="is not known") as caught:
        connect(ssh.context())
    assert "no credential was sent" in caught.value.problem
    assert "fingerprint" in caught.value.advice
    assert str(ssh.known_hosts) in caught.value.advice
    assert ssh.sshd.attempts == []


def test_an_impostor_gets_no_byte_of_a_credential(ssh: Ssh, tmp_path: Path) -> None:
    other = new_key(tmp_path / "other")
    line = f"[127.0.0.1]:{ssh.sshd.port} {other.get_name()} {other.get_base64()}\n"
    ssh.known_hosts.write_text(line)
    with pytest.raises(HostKeyRefused, match="shows another host key") as caught:
        connect(ssh.context())
    assert ssh.sshd.host_key.fingerprint in caught.value.problem
    assert "ssh-keygen -R" in caught.value.advice
    assert ssh.sshd.attempts == []
    assert ssh.sshd.commands == []
    assert ssh.known_hosts.read_text() == line, "nothing may be added by itself"


def test_only_the_given_file_is_believed(ssh: Ssh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ssh").mkdir()
    ssh.known_hosts.rename(tmp_path / ".ssh" / "known_hosts")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(HostKeyRefused):
        connect(ssh.context())
    assert connect(ssh.context(remediate_known_hosts="~/.ssh/known_hosts")).query(["true"]).ok


def test_a_key_that_is_not_wanted_is_an_error_with_advice(ssh: Ssh, tmp_path: Path) -> None:
    new_key(tmp_path / "user")
    with pytest.raises(Unreachable, match="was not let in") as caught:
        connect(ssh.context())
    assert "authorized_keys" in caught.value.advice
    assert not [a for a in ssh.sshd.attempts if a.startswith("password")]


def test_nobody_there(ssh: Ssh) -> None:
    context = ssh.context()
    ssh.sshd.refuse()
    with pytest.raises(Unreachable, match="can't connect"):
        connect(context)


def test_no_python_there(ssh: Ssh) -> None:
    with pytest.raises(Unreachable, match="can't start the agent") as caught:
        connect(ssh.context(ansible_python_interpreter="/no/python"))
    assert "nothing was done" in caught.value.problem
    assert "Python 3.6" in caught.value.advice


def test_a_talkative_login_is_skipped(ssh: Ssh, tmp_path: Path) -> None:
    python = tmp_path / "python with 'quotes' $(touch pwned)"
    python.write_text(f'#!/bin/sh\necho "Welcome! Have a nice day."\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    assert connect(ssh.context(ansible_python_interpreter=str(python))).query(["true"]).ok
    assert not (tmp_path / "pwned").exists()


def test_a_dead_path_is_in_doubt_at_the_deadline(ssh: Ssh) -> None:
    client = connect(ssh.context(timeout=1.0))
    ssh.sshd.freeze()
    began = time.monotonic()
    with pytest.raises(InDoubt, match="nobody knows"):
        client.remove("/no/such/file")
    assert 0.9 < time.monotonic() - began < 3


def test_a_dead_path_under_a_large_write_is_in_doubt_at_the_deadline(ssh: Ssh, tmp_path: Path) -> None:
    client = connect(ssh.context(timeout=1.0))
    ssh.sshd.freeze()
    began = time.monotonic()
    with pytest.raises((InDoubt, Unreachable)):
        client.write(str(tmp_path / "file"), b"x" * (40 << 20), stage="t")
    assert 0.9 < time.monotonic() - began < 5
    assert not (tmp_path / "file").exists()


def test_a_dead_path_under_a_read_only_says_so(ssh: Ssh) -> None:
    client = connect(ssh.context(timeout=1.0))
    ssh.sshd.freeze()
    with pytest.raises(Unreachable, match="nothing was changed"):
        client.facts(["file:/etc/hosts"])


def test_a_path_that_was_dead_before_is_not_in_doubt(ssh: Ssh) -> None:
    client = connect(ssh.context())
    ssh.sshd.cut()
    until(lambda: not client.session.usable())
    with pytest.raises(Unreachable, match="nothing was done"):
        client.remove("/no/such/file")


def test_an_agent_that_has_ended_is_started_anew(ssh: Ssh) -> None:
    first = connect(ssh.context())
    ssh.sshd.cut()
    until(lambda: not first.session.usable())
    second = connect(ssh.context())
    assert second.session is not first.session
    assert second.query(["true"]).ok


def test_a_lost_connection_is_made_anew(ssh: Ssh) -> None:
    first = connect(ssh.context())
    ssh.sshd.cut()
    with pytest.raises(StepFailed):
        first.facts(["file:/etc/hosts"])
    assert connect(ssh.context()).query(["true"]).ok


def test_a_job_goes_on_after_the_connection_is_lost(ssh: Ssh, tmp_path: Path) -> None:
    context, held = ssh.context(), Held(tmp_path)
    argv = held.argv(f"echo done > {tmp_path}/mark; exit 3")
    client = connect(context)
    with pytest.raises(InDoubt), once(held.begun, ssh.sshd.cut):
        client.run(argv, str(context.token))
    client = connect(context)
    assert client.job_status(str(context.token)).state is JobState.RUNNING
    held.let_go()
    until(lambda: client.job_status(str(context.token)).state is not JobState.RUNNING)
    outcome = client.job_status(str(context.token)).outcome
    assert outcome is not None
    assert outcome.code == 3
    assert (tmp_path / "mark").exists()
    client.forget(str(context.token))


def test_a_jump_host_is_checked_as_strictly(ssh: Ssh, tmp_path: Path) -> None:
    user = ssh.sshd.user_key
    with Sshd(new_key(tmp_path / "jump"), user) as jump:
        arguments = f"-o ProxyJump=hopper@127.0.0.1:{jump.port}"
        with pytest.raises(HostKeyRefused):
            connect(ssh.context(ansible_ssh_common_args=arguments))
        assert jump.attempts == []
        ssh.known_hosts.write_text(ssh.known_hosts.read_text() + jump.known_hosts_line())
        client = connect(ssh.context(ansible_ssh_common_args=arguments))
        assert client.query(["echo", "through"]).stdout == "through\n"
        assert jump.commands == [f"forward to 127.0.0.1:{ssh.sshd.port}"]
        assert any(attempt.startswith("publickey: hopper") for attempt in jump.attempts)
        asked = len(jump.attempts)
        other = ssh.target(ansible_ssh_common_args=arguments).model_copy(update={"name": "another"})
        assert connect(replace(ssh.context(), target=other)).query(["true"]).ok
        assert len(jump.attempts) == asked, "one connection to the host in between is enough for all"
