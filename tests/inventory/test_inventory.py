"""Ansible's inventory as targets, and what is refused where Ansible would only warn."""

from __future__ import annotations

import json
import shutil
import textwrap
import time
from pathlib import Path

import pytest

from remediate.errors import InputError, Refused
from remediate.inventory import Inventory, commands

PROJECT = Path(__file__).parents[2]

HOSTS = """
    all:
      children:
        web:
          hosts:
            web1: {ansible_host: 10.0.0.1}
            web2: {ansible_host: 10.0.0.2, ansible_port: 2222}
        db:
          hosts:
            db1: {ansible_user: dba}
        prod:
          children: {web: {}, db: {}}
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / "inv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder / "inv"


def load(folder: Path, files: dict[str, str], timeout: float = 30.0) -> Inventory:
    shutil.copy(PROJECT / "ansible.cfg", folder)
    return Inventory.load(write(folder, files), folder, timeout)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Inventory:
    folder = tmp_path_factory.mktemp("three")
    return load(
        folder,
        {
            "hosts.yml": HOSTS,
            "group_vars/web.yml": "pool: web\nansible_user: ops\n",
            "host_vars/web1.yml": "pool: first\nlist: [1, {a: b}]\nwhen: 2026-01-01\n",
        },
    )


def test_targets(three: Inventory) -> None:
    web1, web2, db1 = three.targets(["web1", "web2", "db1"])
    assert (web1.address, web1.port, web1.user) == ("10.0.0.1", 22, "ops")
    assert (web2.address, web2.port) == ("10.0.0.2", 2222)
    assert (db1.address, db1.user) == ("db1", "dba")
    assert set(web1.groups) == {"web", "prod"}
    assert web1.vars["pool"] == "first"
    assert web2.vars["pool"] == "web"
    assert web1.vars["list"] == [1, {"a": "b"}]
    assert "inventory_hostname" not in web1.vars
    assert three.groups["prod"] == ("web1", "web2", "db1")


@pytest.mark.parametrize(
    ("pattern", "limit", "expected"),
    [
        ("all", None, ("web1", "web2", "db1")),
        ("web", None, ("web1", "web2")),
        ("prod:!web", None, ("db1",)),
        ("prod:&web", "web2", ("web2",)),
        ("web[1]", None, ("web2",)),
        ("~web\\d", None, ("web1", "web2")),
        ("db1,web1", None, ("db1", "web1")),
        ("all", "web*", ("web1", "web2")),
    ],
)
def test_patterns_mean_what_they_mean_to_ansible(
    three: Inventory, pattern: str, limit: str | None, expected: tuple[str, ...]
) -> None:
    assert three.select(pattern, limit) == expected


def test_many_patterns_at_once(three: Inventory) -> None:
    assert three.select_many(["web", "db", "web"]) == {"web": ("web1", "web2"), "db": ("db1",)}


@pytest.mark.parametrize(
    ("pattern", "limit", "error", "says"),
    [
        ("wbe", None, InputError, "'wbe'"),
        ("web", "web9", InputError, "'web9'"),
        ("web:!dbb", None, InputError, "'dbb'"),
        ("web", "db", Refused, "selects no host"),
        ("", None, InputError, "empty"),
        ("web", " ", InputError, "empty"),
        ("-web", None, InputError, "not a host pattern"),
        ("web", "--version", InputError, "not a host pattern"),
        ("web\n", None, InputError, "not a host pattern"),
    ],
)
def test_a_selection_that_is_not_what_was_meant(
    three: Inventory, pattern: str, limit: str | None, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        three.select(pattern, limit)


def test_unknown_target(three: Inventory) -> None:
    with pytest.raises(InputError, match="no host 'web9'"):
        three.targets(["web9"])


# name: (files, what the error says)
BROKEN = {
    "malformed": ({"hosts.yml": "all:\n  hosts: {a\n"}, r"hosts\.yml:3:1: not valid YAML"),
    "a tab": ({"hosts.yml": "all:\n\thosts: {}\n"}, r"hosts\.yml:2:1: not valid YAML"),
    "a key twice": ({"hosts.yml": "all:\n  hosts:\n    a: {x: 1}\n    a: {}\n"}, r"hosts\.yml:4:5: key 'a'"),
    "a key twice in group_vars": (
        {"hosts.yml": HOSTS, "group_vars/web.yml": "a: 1\nb: 2\na: 3\n"},
        r"group_vars/web\.yml:3:1: key 'a' .*\(first at line 1\)",
    ),
    "a key twice in a file without an ending": (
        {"hosts.yml": HOSTS, "host_vars/web1": "a: 1\na: 3\n"},
        r"host_vars/web1:2:1: key 'a'",
    ),
    "a key twice, deep inside": (
        {"hosts.yml": HOSTS, "group_vars/all/x.yaml": "a:\n- b: {c: 1, c: 2}\n"},
        r"x\.yaml:2:13: key 'c'",
    ),
    "not an inventory": ({"hosts.yml": "- just\n- a list\n"}, "can't read this inventory"),
    "no hosts": ({"hosts.yml": "all: {children: {web: {}}}\n"}, "no hosts"),
    "a path as a name": ({"hosts.yml": 'all: {hosts: {"../../etc": {}}}\n'}, "'../../etc' can't be the name"),
    "an option as a name": ({"hosts.yml": 'all: {hosts: {"-rf": {}}}\n'}, "'-rf' can't be the name"),
    "an escape in a name": ({"hosts.yml": 'all: {hosts: {"a\\eb": {}}}\n'}, "can't be the name of a host"),
    "a line break in a name": ({"hosts.yml": 'all: {hosts: {"a\\nb": {}}}\n'}, "can't be the name of a host"),
    "a path as a group": ({"hosts.yml": 'all: {children: {"a/b": {hosts: {a: {}}}}}\n'}, "name of a group"),
    "an option as an address": (
        {"hosts.yml": "all: {hosts: {a: {ansible_host: -oProxyCommand=id}}}\n"},
        "no address",
    ),
    "no port": ({"hosts.yml": "all: {hosts: {a: {ansible_port: 99999}}}\n"}, "no port number"),
    "a password": (
        {"hosts.yml": "all: {hosts: {a: {ansible_password: hunter2}}}\n"},
        "'ansible_password' of host a holds a secret",
    ),
    "a secret deep inside": (
        {"hosts.yml": HOSTS, "group_vars/db.yml": "db: {user: x, options: [{api_key: abc}]}\n"},
        r"'db\.options\.api_key' of host db1",
    ),
    "a private key": (
        {"hosts.yml": 'all: {hosts: {a: {pem: "-----BEGIN OPENSSH PRIVATE KEY-----"}}}\n'},
        "'pem' of host a",
    ),
    "a file that is encrypted as a whole": (
        {"hosts.yml": HOSTS, "group_vars/all.yml": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"},
        r"all\.yml: the whole file is encrypted",
    ),
    "an address that can't be worked out": (
        {"hosts.yml": 'all: {hosts: {a: {ansible_host: "{{ nowhere }}"}}}\n'},
        "address of a can't be worked out",
    ),
}


@pytest.mark.parametrize("case", BROKEN, ids=lambda c: c.replace(" ", "-").replace(",", ""))
def test_refused(tmp_path: Path, case: str) -> None:
    files, says = BROKEN[case]
    with pytest.raises(InputError, match=says):
        load(tmp_path, files)


def test_no_secret_is_repeated_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, {"hosts.yml": "all: {hosts: {a: {ansible_password: hunter2}}}\n"})
    assert "hunter2" not in str(caught.value)
    assert "ansible-vault" in caught.value.advice


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no inventory at"):
        Inventory.load(tmp_path / "inv", tmp_path)


def test_what_may_stand_where_a_secret_is_expected(tmp_path: Path) -> None:
    text = """
        all:
          hosts:
            a:
              ansible_become_password: env:SUDO
              db_password: "{{ vault_db_password }}"
              api_token: !vault "$ANSIBLE_VAULT;1.1;AES256\\n6162\\n"
              ansible_ssh_private_key_file: /k
              token_lifetime: 30
              empty_secret: ""
    """
    found = load(tmp_path, {"hosts.yml": text}).hosts["a"].vars
    assert found["api_token"] == {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256\n6162\n"}
    assert found["ansible_become_password"] == "env:SUDO"


def test_addresses_that_are_templates(tmp_path: Path) -> None:
    text = """
        all:
          hosts: {a: {}, b: {ansible_host: 10.0.0.2}}
          vars: {ansible_host: "{{ inventory_hostname }}.example.org", ansible_port: "{{ 2000 + 22 }}"}
    """
    found = load(tmp_path, {"hosts.yml": text}).hosts
    assert (found["a"].address, found["a"].port) == ("a.example.org", 2022)
    assert (found["b"].address, found["b"].port) == ("10.0.0.2", 2022)


def script(body: str) -> str:
    return f"#!/bin/sh\n{textwrap.dedent(body)}"


def dynamic(folder: Path, body: str, timeout: float = 30.0) -> Inventory:
    path = write(folder, {"cloud": script(body)})
    (path / "cloud").chmod(0o755)
    return Inventory.load(path, folder, timeout)


def test_script(tmp_path: Path) -> None:
    data = {"web": {"hosts": ["w1"]}, "_meta": {"hostvars": {"w1": {"ansible_host": "10.1.1.1"}}}}
    assert dynamic(tmp_path, f"echo '{json.dumps(data)}'\n").hosts["w1"].address == "10.1.1.1"


def test_script_that_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="returned non-zero exit code 3"):
        dynamic(tmp_path, "echo no credentials >&2; exit 3\n")


def test_script_that_talks_nonsense(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't read this inventory"):
        dynamic(tmp_path, "echo nonsense\n")


def test_script_that_hangs(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(InputError, match="no answer within 10 s"):
        dynamic(tmp_path, f"echo $$ > {mark}; sleep 600\n", timeout=10)
    assert time.monotonic() - began < 20
    # Whoever adopted it may not have collected it yet.
    state = Path(f"/proc/{mark.read_text().strip()}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_group_inside_itself(tmp_path: Path) -> None:
    data = {"a": {"children": ["b"]}, "b": {"children": ["a"], "hosts": ["h"]}, "_meta": {"hostvars": {}}}
    with pytest.raises(InputError):
        dynamic(tmp_path, f"echo '{json.dumps(data)}'\n")


def test_text_that_a_plugin_got_from_elsewhere_stays_marked(tmp_path: Path) -> None:
    unsafe = {"__ansible_unsafe": "{{ 1 }}"}
    tags = {"evil": unsafe, "fine": {"__ansible_unsafe": "plain"}}
    data = {"web": {"hosts": ["w1"]}, "_meta": {"hostvars": {"w1": tags}}}
    found = dynamic(tmp_path, f"cat <<'X'\n{json.dumps(data)}\nX\n").hosts["w1"].vars
    assert found == {"evil": unsafe, "fine": "plain"}


def test_digest_covers_variables_and_groups(tmp_path: Path, three: Inventory) -> None:
    def digest(name: str, text: str) -> str:
        folder = tmp_path / name
        folder.mkdir()
        return load(folder, {"hosts.yml": text}).digest

    one = digest("one", HOSTS)
    assert one == digest("again", HOSTS)
    assert (
        len({one, digest("var", HOSTS.replace("dba", "dbb")), digest("group", HOSTS.replace("prod", "x"))})
        == 3
    )


def test_only_the_projects_settings_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".ansible.cfg").write_text("[defaults]\ninventory_ignore_extensions = .yml\n")
    monkeypatch.setenv("HOME", str(home))
    assert "web1" in Inventory.load(write(tmp_path, {"hosts.yml": HOSTS}), tmp_path).hosts


def test_program_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(InputError, match="not installed"):
        commands.program("ansible")


@pytest.mark.slow
def test_a_thousand_hosts_in_seconds(tmp_path: Path) -> None:
    hosts = "\n".join(f"    h{n:04}: {{ansible_host: 10.0.{n // 250}.{n % 250 + 1}}}" for n in range(1000))
    began = time.monotonic()
    found = load(
        tmp_path,
        {
            "hosts.yml": f"all:\n  hosts:\n{hosts}\n",
            "group_vars/all.yml": "".join(f"v{n}: {n}\n" for n in range(50)),
        },
    )
    assert len(found.hosts) == len(found.select("all")) == 1000
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("pattern", ["web1", "db1", "db", "localhost", "web2"])
def test_a_plain_name_of_one_host_means_what_ansible_says(three: Inventory, pattern: str) -> None:
    """It is not asked for the one host that a name can mean; the two answers are the same."""
    alone = three._alone(pattern)
    if pattern == "localhost":
        assert alone is None
    else:
        assert three._ask(pattern, None) == (alone,)
    assert three._alone("web") is None, "the order of several is Ansible's"
