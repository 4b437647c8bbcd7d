"""Every host of a plan as a whole, read from outside of any run."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from remediate.adapters.clients import ClientPool
from remediate.adapters.whole import Looking, read_whole
from remediate.model.base import State
from remediate.model.plan import Plan
from remediate.model.proof import Difference, differences
from remediate.model.step import Role, Step
from remediate.model.target import Target
from remediate.service.contexts import Contexts, all_hosts
from remediate.service.project import Project

_AT_ONCE = 16
#: What differs at once may be on its way, such as routes; what differs for so many seconds stays.
_SETTLE_SECONDS, _AGAIN = 8.0, 2.0
#: Nothing of these kinds comes back by itself.
_STILL = ("file:", "package:", "schema:", "table:", "collection:")


class Whole:
    """Reads all hosts that a plan changes or acts through."""

    def __init__(self, project: Project, plan: Plan, looking: Looking) -> None:
        self._project, self._plan, self._looking = project, plan, looking
        self._hosts = all_hosts(plan)
        # From the bytes of the plan, once.
        self._steps = {s.id: s.build() for s in plan.steps if s.role is not Role.GATE}

    def read(self) -> dict[str, State]:
        """By host, over connections that nobody used before.

        Raises:
            StepFailed: one can't be read.
        """
        with (
            TemporaryDirectory(prefix="remediate-whole-") as folder,
            ClientPool() as clients,
            ThreadPoolExecutor(min(_AT_ONCE, len(self._hosts))) as pool,
        ):
            contexts = Contexts(
                run=f"whole-{os.getpid()}",
                clients=clients,
                secrets=self._project.credentials,
                artefacts=self._project.root,
                workspace=Path(folder),
                peers=self._hosts,
                timeout=self._project.config.limits.step_timeout,
            )

            def one(host: Target) -> State:
                return read_whole(contexts.make("whole", host), self._of(host.name), self._looking)

            return dict(zip(self._hosts, pool.map(one, self._hosts.values()), strict=True))

    def compare(self, before: Mapping[str, State]) -> tuple[dict[str, State], tuple[Difference, ...]]:
        """How all hosts are now, and what is not as before even after a while."""
        until = time.monotonic() + _SETTLE_SECONDS
        while True:
            now = self.read()
            found = [d for name, state in now.items() for d in differences(name, before[name], state)]
            moving = [d for d in found if not d.what.startswith(_STILL)]
            if not moving or time.monotonic() > until:
                return now, tuple(found)
            time.sleep(_AGAIN)

    def _of(self, host: str) -> list[Step]:
        return [self._steps[s.id] for s in self._plan.steps if host in s.target_set and s.id in self._steps]
