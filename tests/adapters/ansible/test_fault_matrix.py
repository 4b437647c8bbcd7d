"""The fault matrix of Ansible: real playbooks over OpenSSH to a server on which the path goes wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import paramiko
import pytest
from pydantic import JsonValue

from remediate.adapters.ansible import processes
from remediate.adapters.ansible.playbook import Playbook
from remediate.adapters.ansible.step import Watch
from remediate.lab.command import run
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.ansible.world import World
from tests.adapters.hosts.faulty import Faulty
from tests.adapters.hosts.pace import Held, once
from tests.adapters.hosts.sshd import new_key
from tests.reliability import passing
from tests.reliability.faults import Attempt, Truth, case, ending, nothing
from tests.reliability.passing import Fault, Passing

pytestmark = [pytest.mark.lab, pytest.mark.slow]

HEAD = "- hosts: all\n  gather_facts: false\n  tasks:\n"
Act = Callable[[], object]


@dataclass
class Scene:
    """A playbook that changes two files, one after the other, and what happens meanwhile."""

    sshd: Answering
    world: World
    folder: Path
    text: str = ""
    """The playbook, if it is not the usual one."""
    middle: str = ""
    """A task between the two."""
    meanwhile: Act | None = None
    """As soon as the playbook stands between the two; it goes on when it is let go."""
    ends_with: str = "true"
    """What is done then."""
    seconds: float = 60.0
    before: Act = nothing
    """Right before Ansible is called."""
    given_up: Act = nothing
    workspace: Path | None = None

    def __post_init__(self) -> None:
        self.held = Held(self.folder)
        for name in "ab":
            self.file(name).write_text("old\n")

    def file(self, name: str) -> Path:
        return self.folder / name

    def truth(self) -> Truth:
        now = {self.file(name).read_text() for name in "ab"}
        return {"old\n": Truth.OLD, "new\n": Truth.NEW}[now.pop()] if len(now) == 1 else Truth.PART

    def line(self, name: str) -> str:
        """A task that changes a file, and does nothing the second time."""
        arguments = f"{{path: {self.file(name)}, regexp: '^', line: new}}"
        return f"  - name: write {name}\n    ansible.builtin.lineinfile: {arguments}\n"

    def ends(self) -> str:
        hold = self.middle
        if self.meanwhile:
            words = ", ".join(repr(word) for word in self.held.argv(self.ends_with))
            hold = (
                f"  - name: hold\n    ansible.builtin.command: {{argv: [{words}]}}\n    changed_when: false\n"
            )
            hold += self.middle
        text = self.text or HEAD + self.line("a") + hold + self.line("b")
        files = tuple(str(self.file(name)) for name in "ab")
        step = Playbook(self.world.write(text), watch=Watch(files=files))
        (backup,) = step.protection()
        kept = backup.apply(self.context(Token(self.world.run, "b1", 1))).data
        seen = step.observe(self.context(Token(self.world.run, "s1", 1)))
        self.before()
        context = replace(self.context(Token(self.world.run, "s1", 1)), before=seen, timeout=self.seconds)
        if self.workspace:
            context = replace(context, workspace=self.workspace)

        def undo(_: object) -> None:
            backup.undo(replace(self.context(Token(self.world.run, "b1-undo", 1)), data=kept))

        with once(self.held.begun, self.meanwhile) if self.meanwhile else nullcontext():
            return ending(Attempt(step, context, self.truth, undo), self.given_up)

    def context(self, token: Token) -> Context:
        (found,) = self.world.contexts(token=token)
        return found

    def kill_ansible(self) -> None:
        """`ansible-playbook` and its children, as the kernel does when memory is short."""
        for process in processes.find([f"{processes.TOKEN}={self.world.run}.s1.1"]):
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256k", "faults", folder)
    yield folder
    run("umount", "--lazy", folder)


@dataclass
class Answering(Faulty):
    """Ansible's requests are packed: a word is looked for in the answers, and that one goes wrong."""

    told: bytes = b""
    """The word."""

    def answered(
        self, channel: paramiko.Channel, process: subprocess.Popen[bytes], data: bytes
    ) -> Iterable[bytes]:
        """See `Sshd.answered`."""
        if not self.told or self.told not in data or self.answer is None:
            return super().answered(channel, process, data)
        self.told = b""
        return self.answer(self._passing(data, channel, process))


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, ...]]:
    """Processes of the target that are none of this machine's own, as on another host."""
    unshare = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        "--kill-child",
        "sh",
        "-c",
        "echo; exec sleep 900",
    ]
    with subprocess.Popen(unshare, stdout=subprocess.PIPE) as outer:
        assert outer.stdout is not None
        outer.stdout.readline()
        inner = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0]
        yield "nsenter", f"--target={inner}", "--pid", "--mount", "--"
        outer.kill()


@pytest.fixture
def scene(tmp_path: Path, elsewhere: tuple[str, ...]) -> Iterator[Scene]:
    host, user = new_key(tmp_path / "host"), new_key(tmp_path / "user")
    with Answering(host, user, enter=elsewhere) as sshd:
        (tmp_path / "known_hosts").write_text(sshd.known_hosts_line())
        variables: dict[str, JsonValue] = {
            "ansible_ssh_private_key_file": str(tmp_path / "user"),
            "ansible_python_interpreter": sys.executable,
            "remediate_known_hosts": str(tmp_path / "known_hosts"),
            "ansible_ssh_timeout": 3,
        }
        target = Target(name="far", address="127.0.0.1", port=sshd.port, user="me", vars=variables)
        made = Scene(sshd, World(tmp_path / "world", (target,)), tmp_path)
        yield made
        sshd.gate.set()
        made.held.let_go()
        made.world.clients.close()


def answers(name: str, fault: Fault, seconds: float = 60.0) -> Callable[[Scene], None]:
    """Of what the task says that writes this file."""

    def make(scene: Scene) -> None:
        def arm() -> None:
            scene.sshd.answer, scene.sshd.told = fault, str(scene.file(name)).encode()

        scene.before, scene.seconds = arm, seconds

    return make


def answer_without_ansible(scene: Scene) -> None:
    """`ansible-playbook` is killed before it hears of the last task."""

    def fault(_: Passing) -> Iterator[bytes]:
        scene.kill_ansible()
        yield from ()

    answers("b", fault)(scene)


def half_before(scene: Scene) -> None:
    """An earlier attempt has done the first half."""
    scene.before = lambda: scene.file("a").write_text("new\n")


def elsewhere_at(scene: Scene, **changes: object) -> None:
    """The target as Ansible finds it."""
    (target,) = scene.world.targets
    scene.world.targets = (target.model_copy(update=changes),)


def nobody_answers(scene: Scene) -> None:
    """The port is open, and that is all."""
    listener = socket.create_server(("127.0.0.1", 0))
    scene.before = lambda: elsewhere_at(scene, port=listener.getsockname()[1])
    scene.given_up = listener.close


def frozen(scene: Scene) -> None:
    """What was sent arrives when nobody waits for it any more."""
    scene.before, scene.given_up, scene.seconds = scene.sshd.freeze, scene.sshd.thaw, 20.0


def twice_over(scene: Scene) -> None:
    scene.text = HEAD + (scene.line("a") + scene.line("b")) * 2


def no_workspace(scene: Scene) -> None:
    scene.workspace = scene.folder / "small"
    scene.before = lambda: fill(scene.folder / "small")


def no_python(scene: Scene) -> None:
    (target,) = scene.world.targets
    gone = {**target.vars, "ansible_python_interpreter": "/no/python"}
    scene.before = lambda: elsewhere_at(scene, vars=gone)


def no_room(scene: Scene) -> None:
    big = f"{scene.folder}/small/big"
    scene.middle = f"  - ansible.builtin.command: dd if=/dev/zero of={big} bs=100k count=10\n"


def cut_in_the_middle(scene: Scene) -> None:
    def cut() -> None:
        scene.sshd.cut()
        scene.held.let_go()

    scene.meanwhile = cut


def killed_at_work(scene: Scene) -> None:
    def kill() -> None:
        scene.kill_ansible()
        scene.held.let_go()

    scene.meanwhile = kill


def cut_and_late(scene: Scene) -> None:
    """What is at work goes on until it is let go, after the call was given up."""
    scene.meanwhile, scene.given_up = scene.sshd.cut, scene.held.let_go


def late_and_no_room(scene: Scene) -> None:
    cut_and_late(scene)
    scene.ends_with = f"dd if=/dev/zero of={scene.folder}/small/big bs=100k count=10"


def no_workspace_any_more(scene: Scene) -> None:
    """This machine's disk fills up before it hears of the last task."""
    scene.workspace = scene.folder / "small"
    scene.given_up = (scene.workspace / "full").unlink

    def fault(answer: Passing) -> Iterator[bytes]:
        fill(scene.folder / "small")
        yield answer.data

    answers("b", fault)(scene)


def fill(folder: Path) -> None:
    """No room is left."""
    with (folder / "full").open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"x" * 4096):
            pass


APPLIED, NOT, FAILED = "in doubt, probed: applied", "in doubt, probed: not-applied", "failed, nothing changed"
HALF = "in doubt, probed: partial, undone"
CASES = [
    case("Ansible", "before", "half-applied", "done", half_before),
    case("Ansible", "before", "timeout", FAILED, nobody_answers),
    case("Ansible", "before", "duplicate", "done", twice_over),
    case("Ansible", "before", "disk full", FAILED, no_workspace),
    case("Ansible", "before", "vanished", FAILED, no_python),
    case("Ansible", "during", "drop", HALF, cut_in_the_middle),
    case("Ansible", "during", "truncated", HALF, answers("a", passing.halved)),
    case("Ansible", "during", "duplicate", "failed, undone", answers("a", passing.twice)),
    case("Ansible", "during", "disk full", "failed, undone", no_room),
    case("Ansible", "during", "vanished", HALF, killed_at_work),
    case("Ansible", "after", "drop", APPLIED, answers("b", passing.lost)),
    case("Ansible", "after", "timeout", APPLIED, answers("b", passing.held, 20.0)),
    case("Ansible", "after", "truncated", APPLIED, answers("b", passing.halved)),
    case("Ansible", "after", "duplicate", "failed, undone", answers("b", passing.twice)),
    case("Ansible", "after", "disk full", APPLIED, no_workspace_any_more),
    case("Ansible", "after", "vanished", APPLIED, answer_without_ansible),
    case("Ansible", "late", "drop", HALF, cut_and_late),
    case("Ansible", "late", "timeout", HALF, frozen),
    pytest.param(
        *(late_and_no_room, HALF),
        marks=[pytest.mark.fault("Ansible", "late", fault, HALF) for fault in ("half-applied", "disk full")],
        id="late-disk-full",
    ),
]


@pytest.mark.parametrize(("make", "outcome"), CASES)
@pytest.mark.usefixtures("small")
def test_a_playbook(scene: Scene, make: Callable[[Scene], None], outcome: str) -> None:
    make(scene)
    assert scene.ends() == outcome
