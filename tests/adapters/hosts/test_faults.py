"""The fault matrix of hosts: a real agent over SSH, and every way in which a command can go wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.hosts import client
from remediate.adapters.hosts.command import RunCommand
from remediate.adapters.hosts.file import File
from remediate.lab.command import run
from remediate.model.target import Target
from tests.adapters.hosts.faulty import Faulty
from tests.adapters.hosts.pace import Held, once, until
from tests.adapters.hosts.sshd import new_key
from tests.adapters.hosts.world import World
from tests.reliability import passing
from tests.reliability.faults import Attempt, Truth, case, ending, nothing

Act = Callable[[], object]


@dataclass
class Scene:
    """A command that writes two files, one after the other, and what happens meanwhile."""

    sshd: Faulty
    world: World
    folder: Path
    middle: str = "true"
    """What the command does between the two."""
    code: int = 0
    seconds: float = 30.0
    meanwhile: Act | None = None
    """As soon as the command stands between the two; it goes on when it is let go."""
    afterwards: Act = nothing
    at_last: Act = nothing

    def __post_init__(self) -> None:
        self.held = Held(self.folder)
        for name in "ab":
            self.file(name).write_text("old\n")

    def file(self, name: str) -> Path:
        return self.folder / name

    def truth(self) -> Truth:
        now = {self.file(name).read_text() for name in "ab"}
        return {"old\n": Truth.OLD, "new\n": Truth.NEW}[now.pop()] if len(now) == 1 else Truth.PART

    def ends(self) -> str:
        step = RunCommand(argv=self._argv(), touches=(str(self.file("a")), str(self.file("b"))))
        (backup,) = step.protection()
        kept = backup.apply(self.world.context("backup")).data
        attempt = Attempt(
            step,
            self.world.context(timeout=self.seconds),
            self.truth,
            lambda _: backup.undo(self.world.context("backup", data=kept)),
        )
        # Only the step's own request goes wrong.
        self.sshd.word = b'"launch"'
        waits = once(self.held.begun, self.meanwhile) if self.meanwhile else nullcontext()
        with waits:
            return ending(attempt, self.afterwards, self.at_last)

    def _argv(self) -> tuple[str, ...]:
        first = f"echo x >> {self.folder}/count; echo new > {self.file('a')}; {self.middle}"
        if self.code:
            return self.held.argv(f"exit {self.code}", first) if self.meanwhile else _shell(first, self.code)
        second = f"echo new > {self.file('b')}"
        return self.held.argv(second, first) if self.meanwhile else _shell(f"{first}; {second}", 0)

    def times(self) -> int:
        """How often the command ran."""
        count = self.folder / "count"
        return count.read_text().count("x") if count.exists() else 0

    def end_supervisor(self) -> None:
        """Whoever watches the command on the host dies."""
        record = Path(f"/run/remediate/{self.world.context().token}/job")
        until(lambda: "session" in json.loads(record.read_text()))
        os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
        self.held.let_go()

    def cut_and_let_go(self) -> None:
        self.sshd.cut()
        self.held.let_go()


def _shell(script: str, code: int) -> tuple[str, ...]:
    return ("sh", "-c", f"{script}; exit {code}" if code else script)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=256k", "faults", folder)
    yield folder
    run("umount", "--lazy", folder)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """This machine, over SSH."""
    host, user = new_key(tmp_path / "host"), new_key(tmp_path / "user")
    (tmp_path / "project").mkdir()
    with Faulty(host, user) as sshd, ClientPool() as pool:
        (tmp_path / "known_hosts").write_text(sshd.known_hosts_line())
        target = Target(
            name="far",
            address="127.0.0.1",
            port=sshd.port,
            user="me",
            vars={
                "ansible_ssh_private_key_file": str(tmp_path / "user"),
                "ansible_python_interpreter": sys.executable,
                "remediate_known_hosts": str(tmp_path / "known_hosts"),
            },
        )
        made = Scene(sshd, World(target, pool, tmp_path, f"faults-{sshd.port}"), tmp_path)
        yield made
        sshd.gate.set()
        made.held.let_go()
        made.world.forget()


def asks(fault: passing.Fault) -> Callable[[Scene], None]:
    """Of the request."""

    def make(scene: Scene) -> None:
        scene.sshd.request = fault

    return make


def answers(fault: passing.Fault) -> Callable[[Scene], None]:
    """Of its answer."""

    def make(scene: Scene) -> None:
        scene.sshd.answer = fault

    return make


def needs_room(scene: Scene) -> None:
    scene.middle = f"head -c 1000000 /dev/zero > {scene.folder}/small/big || exit 28"


def fails_half_way(scene: Scene) -> None:
    scene.code = 4


def takes_too_long(scene: Scene) -> None:
    scene.middle, scene.seconds = "sleep 60", 1.0


def cut_in_the_middle(scene: Scene) -> None:
    scene.meanwhile = scene.cut_and_let_go


def cut_and_late(scene: Scene, more: Callable[[Scene], None] = lambda _: None) -> None:
    """Given up while the command is at work, which is found so; then it ends."""
    more(scene)
    context = scene.world.context()

    def let_go() -> None:
        assert not RunCommand(argv=("true",)).quiesce(context)
        scene.held.let_go()

    scene.meanwhile, scene.afterwards = scene.sshd.cut, let_go


def late_and_half(scene: Scene) -> None:
    cut_and_late(scene, fails_half_way)


def late_and_no_room(scene: Scene) -> None:
    cut_and_late(scene)
    small = f"{scene.folder}/small/big"
    scene.code = 28
    scene.middle = f"head -c 1000000 /dev/zero > {small} || true"


def late_and_killed(scene: Scene) -> None:
    scene.meanwhile, scene.afterwards = scene.sshd.cut, scene.end_supervisor


def watcher_dies(scene: Scene) -> None:
    scene.meanwhile = scene.end_supervisor


def first_answer_cut(scene: Scene) -> None:
    """The answer that says that the command is at work."""
    scene.sshd.answer = passing.halved

    def let_go() -> None:
        until(lambda: not scene.sshd.open())
        scene.held.let_go()

    scene.meanwhile = let_go


def asked_twice_at_work(scene: Scene) -> None:
    scene.sshd.request = passing.twice
    scene.meanwhile = scene.held.let_go


def request_late(scene: Scene) -> None:
    """It was on its way for longer than anybody waited, also for the probe."""
    scene.sshd.request = passing.held
    scene.at_last = scene.sshd.arrive


def request_late_again(scene: Scene) -> None:
    scene.sshd.request, scene.sshd.answer = passing.again_later, passing.lost
    scene.at_last = scene.sshd.arrive


APPLIED, NOT = "in doubt, probed: applied", "in doubt, probed: not-applied"
HALF = "in doubt, probed: partial, undone"
CASES = [
    case("hosts", "before", "drop", NOT, asks(passing.lost)),
    case("hosts", "before", "timeout", NOT, asks(passing.swallowed)),
    case("hosts", "before", "truncated", NOT, asks(passing.halved)),
    case("hosts", "before", "duplicate", "done", asks(passing.twice)),
    case("hosts", "before", "vanished", NOT, asks(passing.killed)),
    case("hosts", "during", "drop", APPLIED, cut_in_the_middle),
    case("hosts", "during", "half-applied", "failed, undone", fails_half_way),
    case("hosts", "during", "timeout", "failed, undone", takes_too_long),
    case("hosts", "during", "truncated", APPLIED, first_answer_cut),
    case("hosts", "during", "duplicate", "done", asked_twice_at_work),
    case("hosts", "during", "disk full", "failed, undone", needs_room),
    case("hosts", "during", "vanished", HALF, watcher_dies),
    case("hosts", "after", "drop", APPLIED, answers(passing.lost)),
    case("hosts", "after", "timeout", APPLIED, answers(passing.swallowed)),
    case("hosts", "after", "truncated", APPLIED, answers(passing.halved)),
    case("hosts", "after", "duplicate", "done", answers(passing.twice)),
    case("hosts", "after", "vanished", APPLIED, answers(passing.killed)),
    case("hosts", "late", "drop", APPLIED, cut_and_late),
    case("hosts", "late", "half-applied", HALF, late_and_half),
    case("hosts", "late", "timeout", NOT, request_late),
    case("hosts", "late", "duplicate", APPLIED, request_late_again),
    case("hosts", "late", "disk full", HALF, late_and_no_room),
    case("hosts", "late", "vanished", HALF, late_and_killed),
]


@pytest.mark.parametrize(("make", "outcome"), CASES)
@pytest.mark.usefixtures("small")
def test_a_command(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, make: Callable[[Scene], None], outcome: str
) -> None:
    # How long one request waits before the next one asks again, and what it may take beyond that.
    monkeypatch.setattr(client, "_TURN", 1.0)
    monkeypatch.setattr(client, "SLACK", 1.0 if "probed" in outcome else 15.0)
    make(scene)
    assert scene.ends() == outcome
    assert scene.times() == (0 if outcome == NOT else 1)


@pytest.mark.fault("hosts", "before", "disk full", "failed, nothing changed")
def test_no_room_for_the_new_file(scene: Scene, small: Path) -> None:
    path = small / "file"
    path.write_text("old\n")
    step = File(path=str(path), content="x" * 300_000)

    def truth() -> Truth:
        return Truth.OLD if path.read_text() == "old\n" and [*small.iterdir()] == [path] else Truth.PART

    attempt = Attempt(step, scene.world.context(), truth, lambda _: None)
    assert ending(attempt) == "failed, nothing changed"


@pytest.mark.fault("hosts", "late", "timeout", "in doubt, probed: not-applied")
def test_a_file_that_is_ready_too_late_is_not_put_in_place(scene: Scene) -> None:
    """Whoever proves the new content took longer than anybody waited."""
    check = scene.held.argv("true")
    step = File(path=str(scene.file("a")), content="new\n", validated_by=check)

    def truth() -> Truth:
        return Truth.NEW if scene.file("a").read_text() == "new\n" else Truth.OLD

    before = step.observe(scene.world.context())
    attempt = Attempt(step, scene.world.context(timeout=1.0, before=before), truth, lambda _: None)

    def let_go() -> None:
        scene.held.let_go()
        until(lambda: not list(scene.folder.glob(".remediate-*")))

    assert ending(attempt, at_last=let_go) == "in doubt, probed: not-applied"
