"""How inventory variables become a way to a host."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import JsonValue

from remediate.adapters.hosts.access import Jump, access
from remediate.errors import InputError
from remediate.model.target import Target


def target(**variables: JsonValue) -> Target:
    return Target(name="web1", address="10.0.0.1", port=2222, user="ops", vars=variables)


def test_the_plain_case() -> None:
    way = access(target(ansible_ssh_private_key_file="/k", remediate_known_hosts="/a:/b"))
    assert (way.address, way.port, way.user, way.connection) == ("10.0.0.1", 2222, "ops", "ssh")
    assert way.key_file == Path("/k")
    assert way.known_hosts == (Path("/a"), Path("/b"))
    assert way.command == ("python3",)


def test_without_variables_the_users_own_files_are_used() -> None:
    way = access(Target(name="h", address="h"))
    assert way.known_hosts == (Path("~/.ssh/known_hosts").expanduser(),)
    assert (way.key_file, way.user, way.become) == (None, None, None)


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"ansible_become": True}, ("sudo", "-n", "-u", "root", "--", "python3")),
        (
            {"ansible_become": "yes", "ansible_become_user": "www-data"},
            ("sudo", "-n", "-u", "www-data", "--", "python3"),
        ),
        ({"ansible_become": "no"}, ("python3",)),
        ({"ansible_python_interpreter": "/opt/py"}, ("/opt/py",)),
        ({"ansible_python_interpreter": "auto_silent"}, ("python3",)),
    ],
)
def test_become_and_interpreter(variables: dict[str, JsonValue], command: tuple[str, ...]) -> None:
    assert access(target(**variables)).command == command


@pytest.mark.parametrize(
    "name",
    [
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_become_password",
        "ansible_become_pass",
        "ansible_sudo_pass",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"}])
def test_passwords_are_refused_with_advice_and_not_shown(name: str, value: JsonValue) -> None:
    with pytest.raises(InputError, match=name) as caught:
        access(target(**{name: value}))
    assert "SSH key" in caught.value.advice
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"ansible_connection": "winrm"}, "speak SSH"),
        ({"ansible_become": True, "ansible_become_method": "su"}, "only sudo"),
        ({"ansible_become": True, "ansible_become_user": "root; rm"}, "not a user name"),
        ({"ansible_become": True, "ansible_become_user": "-u"}, "not a user name"),
        ({"ansible_ssh_timeout": "soon"}, "not a number"),
        ({"ansible_ssh_common_args": "-o StrictHostKeyChecking=no"}, "not supported"),
        ({"ansible_ssh_common_args": "-o UserKnownHostsFile=/dev/null"}, "not supported"),
        ({"ansible_ssh_common_args": "-o ProxyCommand='nc %h %p'"}, "not supported"),
        ({"ansible_ssh_common_args": "-J a,b"}, "not a jump host"),
        ({"ansible_ssh_private_key_file": ["/k"]}, "plain text"),
    ],
)
def test_what_is_not_supported_is_refused_and_not_ignored(variables: dict[str, JsonValue], why: str) -> None:
    with pytest.raises(InputError, match=why):
        access(target(**variables))


@pytest.mark.parametrize(
    ("arguments", "jump"),
    [
        ("-J bastion", Jump("bastion")),
        ("-o ProxyJump=me@bastion:2200", Jump("bastion", 2200, "me")),
        ("-oProxyJump=[2001:db8::1]:22", Jump("2001:db8::1")),
        ("-o StrictHostKeyChecking=yes", None),
        ("", None),
    ],
)
def test_jump_hosts(arguments: str, jump: Jump | None) -> None:
    assert access(target(ansible_ssh_common_args=arguments)).jump == jump
