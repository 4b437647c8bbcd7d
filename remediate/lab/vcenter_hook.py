"""``python -m remediate.lab.vcenter_hook``: what the lab's vCenter does to a host.

It prints one JSON object: what became of it, or the vSphere fault that says why not.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from remediate.errors import RemediateError
from remediate.lab.command import LabError
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.machine import Machine
from remediate.lab.roster import by_name
from remediate.lab.vcenter_disks import Disks, NoRoom

#: systemd(1), "Signals": these start poweroff.target and reboot.target.
POWEROFF = signal.SIGRTMIN + 4
REBOOT = signal.SIGRTMIN + 5
SHUTDOWN_SECONDS = 30.0

Answer = dict[str, object]


def main() -> int:
    """Do one thing to one host."""
    options = _parser().parse_args()
    layout = Layout(options.home, options.prefix, options.network, options.cache)
    machine = Machine(layout, by_name(options.host))
    try:
        # Beside other hosts' snapshots, but not while the lab starts, resets or ends its hosts.
        with locked(layout.home / "hosts.lock", _silent, shared=True):
            answer = VERBS[options.verb](machine, options)
    except NoRoom as error:
        answer = {"fault": "NoDiskSpace", "message": str(error)}
    except (RemediateError, OSError) as error:
        answer = {"fault": "SystemError", "message": str(error)}
    print(json.dumps(answer))
    return 1 if "fault" in answer else 0


def _create(machine: Machine, options: argparse.Namespace) -> Answer:
    return {"bytes": Disks(machine).create(options.snapshots[0], options.room)}


def _revert(machine: Machine, options: argparse.Namespace) -> Answer:
    Disks(machine).revert(options.snapshots[0], power=options.power == "on")
    return {}


def _remove(machine: Machine, options: argparse.Namespace) -> Answer:
    Disks(machine).remove(options.snapshots)
    return {}


def _mend(machine: Machine, options: argparse.Namespace) -> Answer:
    Disks(machine).mend(options.snapshots)
    return {}


def _power_on(machine: Machine, _options: argparse.Namespace) -> Answer:
    machine.boot()
    return {}


def _power_off(machine: Machine, _options: argparse.Namespace) -> Answer:
    machine.power_off()
    return {}


def _power_cycle(machine: Machine, _options: argparse.Namespace) -> Answer:
    machine.power_off()
    machine.boot()
    return {}


def _shutdown(machine: Machine, _options: argparse.Namespace) -> Answer:
    machine.signal_init(POWEROFF)
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    while machine.on():
        if time.monotonic() > deadline:
            raise LabError(f"{machine.host.name} does not shut down within {SHUTDOWN_SECONDS:g} s")
        time.sleep(0.05)
    return {}


def _reboot(machine: Machine, _options: argparse.Namespace) -> Answer:
    machine.signal_init(REBOOT)
    return {}


VERBS: dict[str, Callable[[Machine, argparse.Namespace], Answer]] = {
    "create": _create,
    "revert": _revert,
    "remove": _remove,
    "mend": _mend,
    "power-on": _power_on,
    "power-off": _power_off,
    "power-cycle": _power_cycle,
    "shutdown": _shutdown,
    "reboot": _reboot,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m remediate.lab.vcenter_hook", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the lab")
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("host")
    parser.add_argument("snapshots", nargs="*")
    parser.add_argument("--room", type=int, default=0, help="bytes that a new snapshot may take")
    parser.add_argument("--power", choices=["on", "off"], default="off", help="after a revert")
    return parser


def _silent(_line: str) -> None:
    """Progress for whoever wants none."""


if __name__ == "__main__":
    sys.exit(main())
