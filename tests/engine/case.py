"""A simulated life, as a value: the same case is the same life."""

from __future__ import annotations

from dataclasses import dataclass, field

from remediate.model.event import Request
from remediate.model.plan import Plan
from tests.engine.disk import Trouble
from tests.engine.targets import Fault
from tests.engine.ticket import Weather

#: Seconds without a sign of life after which another process may take a run over.
TTL = 60.0


@dataclass(frozen=True)
class Troubles:
    """What goes wrong with one process. Appends are those that others see, counted from 1."""

    disk: tuple[tuple[int, Trouble], ...] = ()
    """At which write or sync."""
    asleep: int = 0
    """At which effect it sleeps for longer than its lease, while another process goes on. 0: never."""
    foreign: tuple[tuple[int, str, str], ...] = ()
    """After so many appends: somebody else changes this fact of this target."""
    asked: tuple[tuple[int, Request], ...] = ()
    """After so many appends: somebody asks for this."""
    jumps: tuple[tuple[int, float], ...] = ()
    """After so many appends: the clock is set by so many seconds."""
    revoked: int = 0
    """After so many appends the approval is taken back. 0: never."""
    interrupted: int = 0
    """After so many appends somebody presses Ctrl-C. 0: never."""


@dataclass(frozen=True)
class Case:
    """A plan, and everything that happens to it. A value: the same case is the same run."""

    seed: int
    plan: Plan
    faults: tuple[tuple[str, str, Fault], ...] = ()
    unreachable: tuple[tuple[str, float, float], ...] = ()
    """Targets that answer nothing between these seconds."""
    lives: tuple[Troubles, ...] = ()
    """Of each process in turn; those after them meet no more trouble."""
    weather: Weather = field(default_factory=Weather)
    decided: bool = False
    """Whether a person settles, truly, what needs one."""
