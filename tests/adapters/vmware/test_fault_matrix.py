"""The fault matrix of vCenter: a wire before it on which calls and answers go wrong, and its own faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from remediate.adapters.vmware import session
from remediate.adapters.vmware.reconfigure import VmReconfigure
from remediate.lab import ca
from remediate.lab.vcenter import VCenter
from remediate.model.base import State
from tests.adapters.vmware.world import LAYOUT, World, until
from tests.reliability import passing
from tests.reliability.faults import Attempt, Truth, case, ending, nothing
from tests.reliability.passing import Fault, Https, Passing

pytestmark = pytest.mark.lab

METHOD = "ReconfigVM_Task"
NOTES = VmReconfigure(notes="owned by the shop team")
#: This one is a power cycle around the call.
CYCLE = VmReconfigure(cpus=2, power_cycle=True, guest_shutdown=False)


@dataclass
class Scene:
    """A machine whose hardware is to change, and a wire to its vCenter."""

    world: World
    wire: Https
    step: VmReconfigure = NOTES
    seconds: float = 20.0
    given_up: Callable[[], object] = nothing

    def state(self) -> State:
        """As vCenter's own console would show it."""
        machine = self.world.machine()
        hardware = machine.config.hardware
        return {"notes": machine.config.annotation, "cpus": hardware.numCPU, "power": self.world.power()}

    def ends(self) -> str:
        before = self.state()
        wanted = {"notes": self.step.notes} if self.step is NOTES else {"cpus": self.step.cpus}

        def truth() -> Truth:
            now = self.state()
            return Truth.OLD if now == before else Truth.NEW if now == before | wanted else Truth.PART

        context = self.world.context(
            variables={"vcenter_hostname": "127.0.0.1", "vcenter_port": self.wire.port}, timeout=self.seconds
        )
        context = replace(context, before=self.step.observe(context))
        # Undone past the wire.
        direct = self.world.context(before=context.before)
        return ending(Attempt(self.step, context, truth, lambda _: self.step.undo(direct)), self.given_up)


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Iterator[Scene]:
    certificate, key = ca.issue(LAYOUT.ca, "vcenter", "127.0.0.1")
    (tmp_path / "wire.pem").write_text(certificate + key)
    way = VCenter(LAYOUT).variables()
    server = str(way["vcenter_hostname"]), int(way["vcenter_port"])
    authority = Path(str(way["vcenter_ca_file"]))
    with Https(server, certificate=tmp_path / "wire.pem", authority=authority) as wire:
        wire.word = METHOD.encode()
        yield Scene(world, wire)


def asks(fault: Fault) -> Callable[[Scene], None]:
    """Of the call."""

    def make(scene: Scene) -> None:
        scene.wire.request = fault

    return make


def answers(fault: Fault, *, at_work: bool = False) -> Callable[[Scene], None]:
    """Of its answer; ``at_work``: while its task is."""

    def make(scene: Scene) -> None:
        scene.wire.answer = fault
        if at_work:
            scene.world.faults.task_takes(METHOD, 1.0, vm="web1")

    return make


def called_twice(scene: Scene) -> None:
    """Something on the way repeats the call, and gives back one answer."""

    def fault(call: Passing) -> Iterator[bytes]:
        scene.wire.send(call.data)
        until(lambda: scene.state()["notes"] == NOTES.notes)
        yield call.data

    scene.wire.request = fault


def called_again_later(scene: Scene) -> None:
    calls: list[bytes] = []

    def fault(call: Passing) -> Iterator[bytes]:
        calls.append(call.data)
        yield call.data

    scene.wire.request, scene.wire.answer = fault, passing.lost
    scene.given_up = lambda: scene.wire.send(calls[0])


def unregistered(scene: Scene) -> None:
    """The machine vanishes right before the call, and is back afterwards."""

    def fault(call: Passing) -> Iterator[bytes]:
        scene.world.faults.unregister("web1")
        yield call.data

    scene.wire.request = fault
    scene.given_up = lambda: scene.world.faults.unregister("web1", gone=False)


def half_a_cycle(scene: Scene) -> None:
    """The machine is off, and the call between off and on is lost."""
    scene.step = CYCLE
    scene.wire.request = passing.lost


def half_a_cycle_late(scene: Scene) -> None:
    scene.step = CYCLE
    called_late(scene)


def called_late(scene: Scene) -> None:
    """Within the time for which nobody believes that it is lost."""
    scene.wire.request = passing.cut_and_held
    scene.given_up = scene.wire.arrive


def full_after_all(scene: Scene) -> None:
    scene.world.faults.task_fails(METHOD, "NoDiskSpace", vm="web1", late=True)


def full_in_the_end(scene: Scene) -> None:
    """The task fails when nobody waits for it any more."""
    scene.seconds = 1.0
    scene.world.faults.tasks_take(2.5)
    scene.world.faults.task_fails(METHOD, "NoDiskSpace", vm="web1")


APPLIED, NOT, FAILED = "in doubt, probed: applied", "in doubt, probed: not-applied", "failed, nothing changed"
HALF = "in doubt, probed: partial, undone"
CASES = [
    case("VMware", "before", "drop", NOT, asks(passing.lost)),
    case("VMware", "before", "timeout", NOT, asks(passing.swallowed)),
    case("VMware", "before", "truncated", NOT, asks(passing.halved)),
    case("VMware", "before", "duplicate", "done", called_twice),
    case("VMware", "before", "vanished", FAILED, unregistered),
    case("VMware", "during", "drop", APPLIED, answers(passing.lost, at_work=True)),
    case("VMware", "during", "half-applied", HALF, half_a_cycle),
    case("VMware", "during", "timeout", APPLIED, answers(passing.swallowed, at_work=True)),
    case("VMware", "during", "truncated", APPLIED, answers(passing.halved, at_work=True)),
    case("VMware", "after", "drop", APPLIED, answers(passing.lost)),
    case("VMware", "after", "timeout", APPLIED, answers(passing.swallowed)),
    case("VMware", "after", "truncated", APPLIED, answers(passing.halved)),
    case("VMware", "after", "disk full", "failed, undone", full_after_all),
    case("VMware", "late", "drop", APPLIED, called_late),
    case("VMware", "late", "half-applied", HALF, half_a_cycle_late),
    case("VMware", "late", "duplicate", APPLIED, called_again_later),
    case("VMware", "late", "disk full", NOT, full_in_the_end),
]


@pytest.mark.parametrize(("make", "outcome"), CASES)
def test_a_change(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, make: Callable[[Scene], None], outcome: str
) -> None:
    make(scene)
    if passing.swallowed in (scene.wire.request, scene.wire.answer):
        # Of one request.
        monkeypatch.setattr(session, "_SECONDS", 2.0)
    assert scene.ends() == outcome
