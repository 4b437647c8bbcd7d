"""The names of our snapshots: they carry the run's token, so that any later process finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from remediate.adapters.vmware.values import Machine, Power, Snapshot
from remediate.model.step import Token

#: vSphere takes 80 characters.
_LONGEST = 80
_NAME = re.compile(r"^remediate:(r-[0-9a-f]+):([a-z0-9-]+):(.+)$")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")
_STATE = re.compile(r"The machine was (on|off), VMware Tools (running|not running)\.$")
_UNDO = "-undo"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a snapshot is."""

    run: str
    step: str
    target: str


def name_for(token: Token, target: str) -> str:
    """The name of the snapshot of this run, step and target; the same for each attempt, and for its undo."""
    step = token.step.removesuffix(_UNDO)
    return f"remediate:{token.run}:{step}:{_UNFIT.sub('_', target)}"[:_LONGEST]


def describe(token: Token, target: str, machine: Machine) -> str:
    """The snapshot's description. It says how the machine was, for an undo that knows nothing else."""
    tools = "running" if machine.tools else "not running"
    return (
        f"Taken by remediate before run {token.run} changes {target}; `remediate snapshots` tells when it "
        f"may go. The machine was {machine.power}, VMware Tools {tools}."
    )


def state_in(description: str) -> tuple[Power, bool] | None:
    """Power state when the snapshot was taken, and whether Tools ran; None if somebody rewrote it."""
    match = _STATE.search(description)
    return (Power(match[1]), match[2] == "running") if match else None


def owner(name: str) -> Owner | None:
    """Whose the snapshot of this name is; None for a name that is none of ours."""
    match = _NAME.match(name)
    return Owner(match[1], match[2], match[3]) if match else None


def ours(machine: Machine, name: str) -> list[Snapshot]:
    """The snapshots of exactly this name."""
    return [s for s in machine.snapshots if s.name == name]
