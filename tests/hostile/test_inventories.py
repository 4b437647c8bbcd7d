"""Inventories that mean harm: what Ansible would let pass, and what it gives on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediate.errors import InputError
from remediate.inventory import files
from remediate.inventory.inventory import Inventory, _document
from remediate.inventory.secrets import plain_secrets
from tests.hostile import clear_refusal, concise, hostile
from tests.hostile.mutations import json_values, nested, spoiled, text_of

HOSTS = b"""
all:
  children:
    web:
      hosts:
        web1: {ansible_host: 10.0.0.1, ansible_port: 22}
        "web2": &two {note: "{{ 7 * 7 }}", list: [1, 2]}
      vars: {<<: *two, when: 2026-01-01, text: !unsafe "x"}
"""
#: Nine lines that mean a thousand million words.
LAUGHS = b"a: &a [x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % (97 + n, 97 + n, *[96 + n] * 10)
    for n in range(1, 10)
)


@hostile("inventory files: changed bytes", 100, "refused with file, line and column; or plain YAML")
@given(st.one_of(spoiled(HOSTS), st.binary(max_size=100)))
@example(LAUGHS)
@example(nested(b"[", b"]", depth=10_000))
@example(nested(b"{a: ", b"}", depth=10_000))
@example(nested(b"- ", b"", b"x", depth=10_000))
@example(b"a: !!python/object/apply:os.system [touch pwned]")
@example(b"? [a, b]\n: c\n? {x: y}\n: z")
@example(b"&a : *a")
@example(b"\x80")
@example(b"a: \x07")
@example(b"%YAML 9.9\n---\na: b")
@example(b"a: " + b"9" * 100_000)
def test_files(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "hosts.yml"
    file.write_bytes(data)
    with clear_refusal(InputError):
        try:
            files.check(file)
        except InputError as error:
            concise(error, str(file))
            raise
    assert os.listdir(tmp_path) == ["hosts.yml"]  # noqa: PTH208


#: As `ansible-inventory --list` prints it.
LISTED = {
    "_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1", "ansible_port": 22, "x": {"y": [1]}}}},
    "all": {"children": ["ungrouped", "web"]},
    "web": {"hosts": ["web1"], "children": []},
}
NAMES = (
    "--option",
    "-rf",
    "../../x",
    "a/b",
    "a\nb",
    "a\x1b[2J",
    "\u202etxt",
    "a b",
    "",
    ".",
    "web1:!web2",
    "@f",
)


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Inventory]:
    """An inventory of which Ansible gives this."""
    (tmp_path / "hosts").write_text("web1\n")

    def load(text: bytes) -> Inventory:
        from remediate.inventory import addresses, commands

        answer = commands.Answer(0, text.decode(errors="replace"), "")
        monkeypatch.setattr(commands, "run", lambda *_: answer)
        monkeypatch.setattr(addresses, "resolve", lambda *_: {})
        return Inventory.load(tmp_path / "hosts", tmp_path)

    return load


@hostile("inventories: changed values", 300, "refused, the inventory named; or plain hosts")
@given(json_values(LISTED, changes=3).map(text_of))
@example(nested(b"[", b"]"))
@example(b'{"_meta": {"hostvars": {"web1": {"x": ' + nested(b"[", b"]", depth=900) + b"}}}}")
def test_listed(listed: Callable[[bytes], Inventory], text: bytes) -> None:
    with clear_refusal(InputError):
        inventory = listed(text)
        for name, target in inventory.hosts.items():
            assert not name.startswith("-")
            assert name.isprintable()
            assert "/" not in name
            assert not target.address.startswith("-")
        assert inventory.digest


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.hostile("names of hosts and groups", 2 * len(NAMES), "refused, the name shown harmlessly")
def test_names(listed: Callable[[bytes], Inventory], name: str) -> None:
    for value in (
        {"_meta": {"hostvars": {}}, "all": {"hosts": [name]}},
        {"_meta": {"hostvars": {}}, "all": {"hosts": ["a"], "children": [name]}, name: {"hosts": ["a"]}},
    ):
        with pytest.raises(InputError, match="can't be the name of a") as caught:
            listed(text_of(value))
        assert caught.value.problem.isprintable()


def test_groups_inside_one_another_without_end(listed: Callable[[bytes], Inventory]) -> None:
    groups = {f"g{n}": {"children": [f"g{n + 1}"]} for n in range(5000)}
    with pytest.raises(InputError, match="nested"):
        listed(text_of({"_meta": {"hostvars": {}}, "all": {"children": ["g0"]}, **groups}))


@hostile("variables that hold secrets", 100, "found at any depth that is read, named without its value")
@given(st.integers(0, 90), st.sampled_from(["password", "api_key", "db.token", "X_SECRET"]))
def test_secrets_deep_inside(depth: int, name: str) -> None:
    value: object = {name: "hunter2"}
    for number in range(depth):
        value = [value] if number % 2 else {"x": value}
    found = list(plain_secrets({"v": value}))  # type: ignore[dict-item]
    assert [one.endswith(name) for one in found] == [True]
    assert "hunter2" not in found[0]


def test_no_json_is_no_inventory(tmp_path: Path) -> None:
    for text in ("", "[]", "null", "[" * 100_000):
        with pytest.raises(InputError, match="gave no JSON"):
            _document(tmp_path, text)
