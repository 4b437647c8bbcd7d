"""The fault matrix of devices: each line of a change, and each answer, goes wrong on a simulated Cisco IOS.

No timer guards these changes: what is left is for the probe and the undo. Guarded ones are in `test_faults`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from remediate.adapters.network.change import ConfigLines
from tests.adapters.hosts.world import World
from tests.adapters.network.simulated import Ios
from tests.adapters.network.simulator import Simulator, Trouble
from tests.adapters.network.test_platforms import CISCO, scene
from tests.reliability.faults import Attempt, Truth, case, ending, nothing

LINES = (" ip ospf cost 44", " description changed")
STEP = ConfigLines(
    lines=tuple(line.strip() for line in LINES), parents=("interface eth2",), revert="none", save=False
)
FULL = "% Configuration buffer full, can't add command"
INVALID = "% Invalid input detected at '^' marker."
#: What is sent first, the last line, and what ends the configuration mode.
BEGIN, LAST, END = "configure terminal", "description changed", "end"


@dataclass
class Scene:
    """A device and its trouble."""

    world: World
    device: Ios
    simulator: Simulator
    seconds: float = 30.0
    given_up: Callable[[], object] = nothing

    def truth(self) -> Truth:
        shown = [line for line in LINES if line in self.device.config]
        if len(shown) == len(LINES):
            return Truth.NEW
        return Truth.PART if shown or sorted(self.device.config) != sorted(CISCO) else Truth.OLD

    def ends(self) -> str:
        context = self.world.context(timeout=self.seconds)
        context = replace(context, before=STEP.observe(context))
        attempt = Attempt(STEP, context, self.truth, lambda _: STEP.undo(self.world.context()))
        return ending(attempt, self.afterwards)

    def afterwards(self) -> None:
        self.given_up()
        self.simulator.repair()

    def arrive(self) -> None:
        """What is held takes effect."""
        self.simulator.gate.set()
        time.sleep(0.3)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Scene]:
    """As it was built."""
    with scene(made := Ios(*CISCO), "ios", tmp_path) as (world, simulator):
        yield Scene(world, made, simulator)


def at(line: str, what: str) -> Callable[[Scene], None]:
    """Trouble with the line."""

    def make(device: Scene) -> None:
        device.simulator.troubles.append(Trouble(line, what))
        if what in ("unheard", "silent"):
            device.seconds = 3.0

    return make


def read_short(device: Scene) -> None:
    """The configuration as the step reads it first, which `observe` has read before."""
    device.simulator.troubles += [Trouble("show running-config", ""), Trouble("show running-config", "short")]


def gone(device: Scene) -> None:
    device.simulator.troubles += [Trouble("show running-config", ""), Trouble("show running-config", "gone")]


def late(line: str) -> Callable[[Scene], None]:
    """It takes effect after the attempt was given up."""

    def make(device: Scene) -> None:
        at(line, "held")(device)
        device.given_up = device.arrive

    return make


def boots_later(device: Scene) -> None:
    at(END, "lost")(device)
    device.given_up = device.device.reboot


NAME = "network, simulated"
APPLIED, NOT, FAILED = "in doubt, probed: applied", "in doubt, probed: not-applied", "failed, nothing changed"
HALF = "in doubt, probed: partial, undone"
CASES = [
    case(NAME, "before", "drop", NOT, at(BEGIN, "dropped")),
    case(NAME, "before", "timeout", NOT, at(BEGIN, "unheard")),
    case(NAME, "before", "truncated", FAILED, read_short),
    case(NAME, "before", "duplicate", "done", at(BEGIN, "twice")),
    case(NAME, "before", "disk full", FAILED, at(BEGIN, FULL)),
    case(NAME, "before", "vanished", FAILED, gone),
    case(NAME, "during", "drop", HALF, at(LAST, "dropped")),
    case(NAME, "during", "half-applied", FAILED, at(LAST, INVALID)),
    case(NAME, "during", "timeout", HALF, at(LAST, "unheard")),
    case(NAME, "during", "truncated", APPLIED, at(LAST, "halved")),
    case(NAME, "during", "duplicate", "done", at(LAST, "twice")),
    case(NAME, "during", "disk full", FAILED, at(LAST, FULL)),
    case(NAME, "during", "vanished", NOT, at(LAST, "reboot")),
    case(NAME, "after", "drop", APPLIED, at(END, "lost")),
    case(NAME, "after", "timeout", APPLIED, at(END, "silent")),
    case(NAME, "after", "truncated", APPLIED, at(END, "halved")),
    case(NAME, "after", "duplicate", "failed, undone", at(END, "twice")),
    case(NAME, "after", "vanished", NOT, at(END, "reboot")),
    case(NAME, "late", "drop", APPLIED, late(LAST)),
    case(NAME, "late", "half-applied", HALF, late("ip ospf cost")),
    case(NAME, "late", "vanished", NOT, boots_later),
]


@pytest.mark.parametrize(("make", "outcome"), CASES)
def test_a_change(device: Scene, make: Callable[[Scene], None], outcome: str) -> None:
    make(device)
    assert device.ends() == outcome
