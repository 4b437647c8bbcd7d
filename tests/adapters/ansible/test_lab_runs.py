"""Over real hosts: what is changed, what is only previewed, and what is still alive after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from remediate.adapters.ansible import dead, processes
from remediate.adapters.ansible.module import Module
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.adapters.hosts.client import connect
from remediate.model.base import sha256
from remediate.model.step import Status, Verdict
from tests.adapters.ansible.world import CANARY, PROJECT, World

pytestmark = [pytest.mark.lab, pytest.mark.slow]

FILE = "/etc/remediate-ansible-test.conf"
WATCH = Watch(files=(FILE,), packages=("shop",), services=("shop",))
HEAD = "- hosts: web\n  gather_facts: false\n  tasks:\n"
WRITE = (
    HEAD + f'  - name: write it\n    ansible.builtin.copy: {{content: "{{{{ text }}}}\\n", dest: {FILE}}}\n'
)
GO = "/run/remediate-ansible-test-go"
HELD = HEAD + (
    "  - name: take long\n    ansible.builtin.command:\n"
    f"      argv: [sh, -c, 'while [ ! -e {GO} ]; do sleep 0.05; done']\n"
    "  - name: never\n    ansible.builtin.fail:\n"
)


@pytest.fixture(autouse=True)
def _leave_as_found(lab: World) -> Iterator[None]:
    yield
    for context in lab.contexts():
        connect(context).remove(FILE)
        connect(context).remove(GO)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.1)


def let_go(lab: World) -> None:
    """What is held on the hosts goes on."""
    for context in lab.contexts():
        connect(context).write(GO, b"", stage="go")


def test_apply_confirm_probe_undo(lab: World) -> None:
    back = lab.write(
        HEAD + f"  - ansible.builtin.file: {{path: {FILE}, state: absent}}\n", "playbooks/back.yml"
    )
    step = Playbook(lab.write(WRITE), vars={"text": "new"}, watch=WATCH, rollback=back)
    contexts = lab.contexts()
    before = {c.target.name: step.observe(c) for c in contexts}
    assert {r.status for r in step.apply_many(contexts).values()} == {Status.OK}
    assert all(step.observe(c) != before[c.target.name] for c in contexts)
    for checks in step.confirm_many(contexts).values():
        assert [c.ok for c in checks] == [True]
    assert all(step.quiesce(context) for context in contexts)
    first = contexts[0]
    assert step.probe(replace(first, before=before[first.target.name])).verdict is Verdict.APPLIED
    assert {r.status for r in step.undo_many(contexts).values()} == {Status.OK}
    assert {c.target.name: step.observe(c) for c in contexts} == before


@pytest.mark.fault("Ansible", "during", "half-applied", "failed")
def test_one_host_fails_and_the_other_goes_on(lab: World) -> None:
    stop = "  - ansible.builtin.fail: {msg: not here}\n    when: inventory_hostname == 'web3'\n"
    tail = f"  - name: close it\n    ansible.builtin.file: {{path: {FILE}, mode: '0600'}}\n"
    step = Playbook(lab.write(WRITE + stop + tail), vars={"text": "new"}, watch=WATCH)
    found = step.apply_many(lab.contexts())
    assert {n: (r.status, r.changed) for n, r in found.items()} == {
        "web2": (Status.OK, True),
        "web3": (Status.FAILED, True),
    }
    assert found["web3"].summary == "task ansible.builtin.fail failed: not here"
    assert "file:" + FILE in step.observe(lab.contexts("web3")[0])
    (failed,) = lab.contexts("web3", before={f"file:{FILE}": {"kind": "absent"}})
    assert step.probe(failed).verdict is Verdict.UNKNOWN


def test_preview_changes_nothing_and_shows_the_difference(lab: World) -> None:
    step = Playbook(lab.write(WRITE), vars={"text": "new"}, watch=WATCH)
    contexts = lab.contexts()
    before = {c.target.name: step.observe(c) for c in contexts}
    for text in step.preview_many(contexts).values():
        assert "# would change: write it (ansible.builtin.copy)" in text
        assert "+new" in text
    assert {c.target.name: step.observe(c) for c in contexts} == before
    for context in contexts:
        known = replace(context, before=before[context.target.name])
        assert step.probe(known).verdict is Verdict.NOT_APPLIED


def test_a_module_and_what_is_half_done(lab: World) -> None:
    copy = Module(
        "ansible.builtin.copy", args={"content": "{{ 1 + 1 }}\n", "dest": FILE, "mode": "0644"}, watch=WATCH
    )
    found = copy.apply_many(lab.contexts())
    assert {(r.status, r.changed) for r in found.values()} == {(Status.OK, True)}
    assert connect(lab.contexts("web2")[0]).read(FILE) == b"{{ 1 + 1 }}\n"
    assert all(checks[0].ok for checks in copy.confirm_many(lab.contexts()).values())
    more = WRITE + "  - name: more\n    ansible.builtin.file: {path: " + FILE + ", mode: '0600'}\n"
    step = Playbook(lab.write(more), vars={"text": "{{ 1 + 1 }}"}, watch=WATCH)
    probe = step.probe(lab.contexts("web2", before={f"file:{FILE}": {"kind": "absent"}})[0])
    assert (probe.verdict, probe.evidence) == (Verdict.PARTIAL, "still to do: more")


@pytest.mark.fault("Ansible", "during", "timeout", "in doubt, waited for")
def test_time_runs_out(lab: World) -> None:
    step = Playbook(lab.write(HELD), watch=WATCH)
    contexts = lab.contexts(timeout=8.0)
    began = time.monotonic()
    found = step.apply_many(contexts)
    assert time.monotonic() - began < 16
    assert {r.status for r in found.values()} == {Status.IN_DOUBT}
    assert "'take long'" in found["web2"].summary
    token = str(contexts[0].token)
    assert processes.find([f"{processes.TOKEN}={token}"]) == ()
    # The module on the target is not ended with its caller; it is found by its token and waited for.
    assert any(GO in p.command for p in connect(contexts[0]).alive(token))
    assert not dead.quiesce(contexts[0], patience=0.2)
    let_go(lab)
    assert step.quiesce(contexts[0])
    assert not connect(contexts[0]).alive(token)
    assert not list(lab.workspace.iterdir())


PARENT = """
    import sys
    from pathlib import Path
    from remediate.inventory import Inventory
    from remediate.model.step import Token
    from remediate.adapters.ansible.playbook import Playbook
    from tests.adapters.ansible.world import World
    project, folder, run = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    inventory = Inventory.load(project / "inventories/lab", project)
    world = World(folder, inventory.targets(["web2", "web3"]), peers=inventory.hosts, run=run)
    Playbook("playbooks/p.yml").apply_many(world.contexts())
"""


@pytest.mark.fault("Ansible", "late", "vanished", "in doubt, waited for")
def test_a_later_process_ends_what_a_killed_one_left(lab: World) -> None:
    lab.write(HELD)
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(PROJECT), str(lab.folder), lab.run], cwd=PROJECT
    )
    context = lab.contexts("web2", attempts=1)[0]
    mark = f"{processes.TOKEN}={context.token}"
    # The token alone is also seen on what Ansible runs before the task.
    until(lambda: any(GO in p.command for p in connect(context).alive(str(context.token))))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    # It can't end by itself: the host holds its task.
    orphans = processes.find([mark])
    assert orphans, "ansible-playbook did not outlive its parent, so there is nothing to test"
    assert list(lab.workspace.iterdir())
    assert not dead.quiesce(context, patience=0.2), "what runs on the host is waited for"
    assert processes.find([mark]) == ()
    let_go(lab)
    assert Playbook("playbooks/p.yml").quiesce(context)
    assert not connect(context).alive(str(context.token))
    assert not list(lab.workspace.iterdir())


def test_no_secret_is_left_or_shown(lab: World) -> None:
    digest = sha256(CANARY.encode())
    text = HEAD + (
        "  - name: use it\n"
        '    ansible.builtin.command: {cmd: sleep 2, stdin: "{{ db_password }}{{ licence }}"}\n'
        "    no_log: true\n"
        "  - ansible.builtin.assert: {that: \"db_password | hash('sha256') == '" + digest + "'\"}\n"
        "    no_log: true\n"
    )
    step = Playbook(lab.write(text), vars={"db_password": "env:DB"}, secrets={"licence": "file:/x"})
    seen: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=_look_for_canary, args=(lab.workspace, seen, done))
    watcher.start()
    found = step.apply_many(lab.contexts())
    done.set()
    watcher.join()
    assert {r.status for r in found.values()} == {Status.OK}
    assert seen == {"looked"}
    assert CANARY not in "".join(r.model_dump_json() for r in found.values())
    assert not list(lab.workspace.iterdir())


def _look_for_canary(folder: Path, seen: set[str], done: threading.Event) -> None:
    """Where the canary shows while a run goes on: in a file, on a command line, in an environment."""
    own = Path("/proc/self/ns/pid").readlink()
    while not done.is_set():
        here = [p for p in Path("/proc").glob("[0-9]*") if int(p.name) != os.getpid()]
        files = [f for p in here for f in (p / "cmdline", p / "environ")]
        for file in [*_below(folder), *files]:
            with suppress(OSError):
                if file.parts[1] == "proc" and (file.parent / "ns/pid").readlink() != own:
                    continue
                if file.is_file() and CANARY.encode() in file.read_bytes():
                    seen.add(str(file))
        seen.add("looked")
        time.sleep(0.02)


def _below(folder: Path) -> list[Path]:
    """All files; what vanishes meanwhile ends nothing, as it does with `Path.rglob`."""
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
