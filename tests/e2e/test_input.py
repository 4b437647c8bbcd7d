"""Bad input: each its own clear error that names the field, file, line or target, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world, touching_nothing
from tests.e2e.world import World

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def shared(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One project for all that only ask; at the end, no host was touched by any of it."""
    with new_world(e2e_lab, tmp_path_factory.mktemp("shared")) as world, touching_nothing(world):
        yield world


@pytest.fixture
def copied(shared: World, tmp_path: Path) -> Iterator[World]:
    """The same project at another place, for one test to change."""
    with shared.copy(tmp_path / "project") as world:
        yield world


HOLD = ("plan", "hold", "--ticket", "T-1", "-o", "fix.plan.json")
PATCH = ("plan", "patch-package", "--ticket", "T-1", "-o", "fix.plan.json")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("plan", "nope", "--ticket", "T-1", "-o", "x.json"), 2, ("no runbook 'nope'", "patch-package")),
        ((*HOLD, "--set", "colour=red"), 2, ("colour", "hold has no such input", "text, broken")),
        ((*HOLD, "--set", "txet=red"), 2, ("txet", "did you mean text?")),
        ((*HOLD, "--set", "broken=maybe"), 2, ("--set broken", "boolean", "'maybe'")),
        ((*HOLD, "--set", "text"), 2, ("'text': not key=value",)),
        ((*HOLD, "--set", "text=a", "--set", "text=b"), 2, ("--set text: given twice",)),
        ((*PATCH, "--set", "package=shop"), 2, ("patch-package needs the input 'version'",)),
        ((*PATCH, "--set", "package=a; rm -rf /", "--set", "version=1"), 2, ("--set package", "a; rm -rf /")),
        ((*PATCH, "--set", "package=shop", "--set", "version=$(reboot)"), 2, ("--set version",)),
        ((*HOLD, "--limit", "nothing"), 2, ("'nothing'", "names no host or group")),
        ((*HOLD, "--limit", "web1:!web1"), 3, ("selects no host", "a change of nothing is no success")),
        ((*HOLD, "--limit", "lb1"), 3, ("selects no host",)),
        ((*HOLD, "--window", "tomorrow"), 2, ("'tomorrow'", "START/END")),
        ((*HOLD, "--inventory", "elsewhere"), 2, ("elsewhere",)),
        (("plan", "hold", "--ticket", "T-9", "-o", "x.json"), 2, ("no ticket T-9", "ticket.md")),
        (("plan", "hold", "--ticket", "../T-1", "-o", "x.json"), 2, ("'../T-1'", "id of a ticket")),
        (("plan", "hold", "-o", "x.json"), 2, ("--ticket",)),
        (("plan", "hold", "--ticket", "T-1", "-o", "none/x.json"), 2, ("none/x.json", "no folder")),
        (("plan", "hold", "--ticket", "T-1", "-o", "/proc/x.json"), 2, ("/proc/x.json", "can't be written")),
        ((*HOLD[:-1], "ansible.cfg"), 2, ("ansible.cfg exists", "never overwritten")),
        (("plan", "hold", "--ticket", "T-1", "-o", "tickets"), 2, ("tickets",)),
        (("run", "none.json"), 2, ("none.json", "No such file")),
        (("run", "ansible.cfg"), 2, ("ansible.cfg: not a plan",)),
        (("show", "remediate.toml"), 2, ("remediate.toml: not a plan",)),
        (("approve", "ansible.cfg", "--key", "ansible.cfg"), 2, ("ansible.cfg: not a plan",)),
        (("status", "r-0"), 2, ("'r-0'", "remediate runs")),
        (("rollback", "last"), 2, ("'last'",)),
        (("audit",), 2, ("--all",)),
        (("frobnicate",), 2, ("No such command 'frobnicate'",)),
        (("--project", "/nowhere", "runs"), 2, ("/nowhere", "remediate.toml")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)  # fmt: skip
def test_wrong_word_on_the_command_line(
    shared: World, argv: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    before = _listing(shared.root)
    done = shared.cli(*argv).expect(code)
    for word in words:
        assert word in done.err, done.err
    assert done.out == ""
    assert _listing(shared.root) == before


@pytest.mark.parametrize("argv", [("plan", "nope", "--ticket", "T-1", "-o", "x.json"), ("frob",), ("audit",)])
def test_programs_get_errors_as_json(shared: World, argv: tuple[str, ...]) -> None:
    done = shared.cli("--output", "json", *argv).expect(2)
    found = json.loads(done.err)
    assert found["exit_code"] == 2
    assert found["error"]


def _listing(root: Path) -> list[str]:
    return sorted(str(p) for p in root.rglob("*") if ".remediate" not in p.parts)


def _runbook(text: str) -> Callable[[World], object]:
    return lambda world: (world.root / "runbooks" / "wrong.py").write_text(text)


def _inventory(text: str) -> Callable[[World], object]:
    return lambda world: (world.root / "inventory" / "hosts.yml").write_text(text)


def _host(name: str) -> Callable[[World], object]:
    return _inventory(f"all:\n  children:\n    web:\n      hosts:\n        {name}: {{}}\n")


def _settings(text: str) -> Callable[[World], object]:
    return lambda world: (world.root / "remediate.toml").write_text(text)


_STEPS = "    def steps(self, i): return []\n"
_START = "from remediate.authoring import Runbook, Risk, File, RunCommand\n"
_RISK = '    risk = Risk(outage="", data_loss="")\n    targets = "web"\n'


@pytest.mark.parametrize(
    ("break_", "code", "words"),
    [
        (_runbook("class A:\n  def\n"), 2, ("runbooks/wrong.py:2", "SyntaxError")),
        (_runbook("import nowhere\n"), 2, ("runbooks/wrong.py:1", "nowhere")),
        (_runbook("x = 1\n\n1 / 0\n"), 2, ("runbooks/wrong.py:3", "ZeroDivisionError")),
        (_runbook("import sys\nsys.exit(0)\n"), 2, ("runbooks/wrong.py:2", "SystemExit")),
        (_runbook(f"{_START}class Hold(Runbook):\n{_STEPS}"), 2, ("wrong.py", "hold exists already")),
        (_runbook(f"{_START}class Bare(Runbook):\n{_STEPS}"), 2, ("wrong.py:2", "docstring")),
        (_runbook(f'{_START}class Bare(Runbook):\n    """A."""\n{_STEPS}'), 2, ("wrong.py:2", "risk")),
        (_inventory("all:\n  hosts: {\n"), 2, ("inventory/hosts.yml",)),
        (_inventory("all:\n  hosts:\n    web1: {}\n  hosts:\n    web2: {}\n"), 2, ("hosts.yml:4", "hosts")),
        (_host("'web1; reboot'"), 2, ("web1; reboot",)),
        (_host("../../etc"), 2, ("../../etc",)),
        (_host('"a\\nb"'), 2, ("inventory",)),
        (_inventory("[web]\nweb1\n"), 2, ("hosts.yml",)),
        (_inventory(""), 2, ("inventory",)),
        (_settings("[project]\ninventary = 'x'"), 2, ("remediate.toml:2", "inventary", "did you mean")),
        (_settings("[limits]\nparallel = 'x'"), 2, ("remediate.toml:2", "parallel")),
        (_settings("=\n"), 2, ("remediate.toml", "TOML")),
        (_settings("[calendar]\nfreezes = ['none.ics']"), 3, ("none.ics", "a freeze that can't")),
    ],
    ids=lambda value: None if not isinstance(value, tuple) else value[-1],
)  # fmt: skip
def test_wrong_file_of_the_project(
    copied: World, break_: Callable[[World], object], code: int, words: tuple[str, ...]
) -> None:
    break_(copied)
    copied.audited = True  # nothing can open it any more
    done = copied.cli(*HOLD, "--window", "now/4h").expect(code)
    for word in words:
        assert word in done.err, done.err
    assert not (copied.root / "fix.plan.json").exists()


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("return []", 3, ("no steps", "a change of nothing is no success")),
        ("return [RunCommand(argv=('true',))]", 2, ("step 1", "nothing would undo it", "irreversible")),
        ("return [File(path='relative', content='')]", 2, ("runbooks/wrong.py:", "File.path")),
        ("return [File(path='/a', content='', nonsense=1)]", 2, ("runbooks/wrong.py:", "File.nonsense")),
        ("return ['reboot']", 2, ("step 1", "str is not a step")),
        ("return [File(path='/a', source='../../etc/passwd')]", 2, ("runbooks/wrong.py:", "File.source")),
        ("return [File(path='/a', source='none.txt')]", 2, ("none.txt",)),
        ("return 1 / 0", 2, ("runbooks/wrong.py:", "ZeroDivisionError")),
    ],
)
def test_runbook_whose_steps_are_wrong(copied: World, body: str, code: int, words: tuple[str, ...]) -> None:
    head = f'{_START}class Wrong(Runbook):\n    """Wrong."""\n{_RISK}'
    text = f"{head}    def steps(self, inputs):\n        {body}\n"
    (copied.root / "runbooks" / "wrong.py").write_text(text)
    done = copied.cli("plan", "wrong", "--ticket", "T-1", "-o", "fix.plan.json").expect(code)
    for word in words:
        assert word in done.err, done.err


@pytest.mark.parametrize("what", ["unknown host key", "other host key", "no key", "no user"])
def test_host_that_is_not_trusted_or_does_not_trust(copied: World, what: str) -> None:
    change: dict[str, object] = {}
    known = copied.root / "known_hosts"
    change["remediate_known_hosts"] = str(known)
    text = copied.lab.layout.known_hosts.read_text()
    match what:
        case "unknown host key":
            text = "".join(line for line in text.splitlines(True) if not line.startswith("web1"))
        case "other host key":
            lines = {line.split(",")[0]: line.split() for line in text.splitlines()}
            text = text.replace(lines["web1"][2], lines["web2"][2])
        case "no key":
            copied.keygen(copied.root / "stranger")
            change["ansible_ssh_private_key_file"] = str(copied.root / "stranger")
        case "no user":
            change["ansible_user"] = "nobody"
    known.write_text(text)
    copied.edit("inventory/group_vars/all.yml", lambda old: json.dumps({**json.loads(old), **change}))
    done = copied.cli(*HOLD, "--limit", "web1").expect(3)
    assert "web1: " in done.err
    word = "key" if what.endswith("host key") else "was not let in"
    assert word in done.err, done.err


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda w: w.root / "none", "No such file"),
        (lambda w: w.root / "ansible.cfg", "no SSH key"),
        (lambda w: w.keygen(w.root / "stranger") or w.root / "stranger", "doesn't stand in"),
    ],
    ids=["missing", "no key", "a stranger's"],
)
def test_key_that_can_not_sign(copied: World, make: Callable[[World], Path], word: str) -> None:
    plan = copied.plan("hold")
    done = copied.cli("approve", plan, "--key", make(copied)).expect(2)
    assert word in done.err
    assert list(copied.root.glob("*.approve-*")) == []


def test_plan_is_never_overwritten(copied: World) -> None:
    data = copied.plan("hold").read_bytes()
    assert "never overwritten" in copied.cli(*HOLD).expect(2).err
    assert (copied.root / "fix.plan.json").read_bytes() == data


@pytest.mark.parametrize("name", ["a b.json", "-rf.json", "$(touch pwned).json", "é\u202e.json", "x\ny.json"])
def test_hostile_name_of_a_plan_file(copied: World, name: str) -> None:
    """It is a name like any other; nothing interprets it."""
    copied.cli("plan", "hold", "--ticket", "T-1", "--limit", "web1", f"--out={name}").expect(0)
    file = copied.root / name
    assert file.exists()
    copied.cli("approve", "--key", copied.key("carol"), "--", name).expect(0)
    assert not (copied.root / "pwned").exists()
    shown = copied.cli("show", "--", name).expect(0)
    assert "\u202e" not in shown.out
