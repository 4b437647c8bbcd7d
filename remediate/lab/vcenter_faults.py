"""Makes the lab's vCenter fail on demand, as a real one does: for tests and demonstrations.

Each call is one line of JSON over the socket ``HOME/vcenter/control`` (0600), answered by one line.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from remediate.lab.command import LabError
from remediate.lab.layout import MAIN, Layout

ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of the next calls, and states that a machine may be in.

    ``method`` is a name of the vSphere API as on the wire, such as ``CreateSnapshot_Task``; ``vm`` is a
    host's name, or empty for any; ``times`` is how many calls it happens to. Everything asked for lasts
    until it is used up or ``clear`` is called.
    """

    layout: Layout = MAIN

    # The next calls

    def task_fails(
        self, method: str, fault: str, *, vm: str = "", times: int = 1, late: bool = False
    ) -> None:
        """Its task ends in ``fault``, such as ``NoDiskSpace``: before its effect, or if ``late`` after it."""
        self._rule("task", "fault", method, vm, times, fault=fault, late=late)

    def task_takes(self, method: str, seconds: float, *, vm: str = "", times: int = 1) -> None:
        """Its task runs ``seconds`` longer before it has its effect."""
        self._rule("task", "delay", method, vm, times, delay=seconds)

    def task_vanishes(self, method: str, *, vm: str = "", times: int = 1) -> None:
        """Its task goes on, but is unknown to whoever asks: ``ManagedObjectNotFound``."""
        self._rule("task", "vanish", method, vm, times)

    def call_fails(self, method: str, fault: str, *, vm: str = "", times: int = 1) -> None:
        """The call itself is refused with ``fault``."""
        self._rule("call", "fault", method, vm, times, fault=fault)

    def request_lost(self, method: str, *, vm: str = "", times: int = 1) -> None:
        """The connection is cut before anything was begun."""
        self._rule("request", "cut", method, vm, times)

    def reply_lost(self, method: str, *, vm: str = "", times: int = 1) -> None:
        """The connection is cut after the call was carried out: its task runs."""
        self._rule("reply", "cut", method, vm, times)

    def reply_takes(self, method: str, seconds: float, *, vm: str = "", times: int = 1) -> None:
        """The reply comes ``seconds`` later."""
        self._rule("reply", "delay", method, vm, times, delay=seconds)

    def session_expires(self, method: str, *, vm: str = "", times: int = 1) -> None:
        """The caller's session has ended before the call: ``NotAuthenticated``."""
        self._rule("request", "expire", method, vm, times)

    def calls(self) -> dict[str, int]:
        """How many calls there were since ``clear``: ``{"CreateSnapshot_Task web1": 1}``."""
        return cast("dict[str, int]", self._ask({"do": "calls"}).get("calls") or {})

    # States

    def end_sessions(self) -> None:
        """Everybody is logged out."""
        self._ask({"do": "expire"})

    def sessions_last(self, seconds: float) -> None:
        """How long a session may idle that begins from now on, instead of half an hour."""
        self._ask({"do": "settings", "idle": seconds})

    def effects(self, *, real: bool) -> None:
        """Whether anything happens to the hosts; without, success is told all the same."""
        self._ask({"do": "settings", "settings": {"effects": "real" if real else "none"}})

    def tasks_take(self, seconds: float) -> None:
        """Every task begins that much later."""
        self._ask({"do": "settings", "settings": {"task_delay": seconds}})

    def depth_limit(self, snapshots: int) -> None:
        """How long a chain of snapshots may be, instead of 32: beyond, ``TooManySnapshotLevels``."""
        self._ask({"do": "settings", "settings": {"max_depth": snapshots}})

    def free_space(self, size: int) -> None:
        """Bytes that are free on the datastore now; a snapshot that takes more ends in ``NoDiskSpace``."""
        self._ask({"do": "settings", "free": size})

    def consolidation_needed(self, vm: str, needed: bool = True) -> None:
        """What the machine says about its disks."""
        self._machine(vm, consolidation_needed=needed)

    def disable(self, vm: str, methods: Sequence[str]) -> None:
        """Methods that the machine refuses for now, as while a backup product works on it."""
        self._machine(vm, disabled=list(methods))

    def tools_off(self, vm: str, off: bool = True) -> None:
        """VMware Tools don't run, whatever the guest does."""
        self._machine(vm, tools_off=off)

    def unregister(self, vm: str, gone: bool = True) -> None:
        """The machine is not in the inventory; its host goes on."""
        self._machine(vm, gone=gone)

    def instance_uuid(self, vm: str, uuid: str) -> None:
        """Another instance UUID; that of another machine, as a careless copy has it."""
        self._machine(vm, instance_uuid=uuid)

    def clear(self) -> None:
        """Take back everything that was asked for, and begin counting calls anew."""
        self._ask({"do": "clear"})

    def _rule(self, stage: str, action: str, method: str, vm: str, times: int, **more: object) -> None:
        rule = {"stage": stage, "action": action, "method": method, "vm": vm, "times": times, **more}
        self._ask({"do": "rule", "rule": rule})

    def _machine(self, vm: str, **wanted: object) -> None:
        self._ask({"do": "machine", "machine": {"name": vm, **wanted}})

    def _ask(self, asked: dict[str, object]) -> dict[str, object]:
        path = self.layout.home / "vcenter" / "control"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(str(path))
                connection.sendall(json.dumps(asked).encode() + b"\n")
                line = connection.makefile().readline()
            except OSError as error:
                raise LabError(f"{path}: {error}", "remediate lab up") from error
        answer = cast("dict[str, object]", json.loads(line or '{"error": "vCenter closed the connection"}'))
        if "error" in answer:
            raise LabError(f"vCenter: {answer['error']}")
        return answer
