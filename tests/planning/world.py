"""Compiles the text of a runbook for targets that nobody has to reach."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from remediate.adapters.clients import ClientPool
from remediate.model.base import Frozen
from remediate.model.change import Ticket, Window
from remediate.model.plan import Plan, PlannedStep
from remediate.model.step import Context, Estimate, Token
from remediate.model.target import Target
from remediate.planning.compile import Order, compile_plan
from remediate.planning.load import find_runbook

HEAD = '''\
from remediate.authoring import *


class Oops(Runbook):
    """An example."""

    risk = Risk(outage="none", data_loss="none")
    {extra}

    def steps(self, inputs):
'''
#: The line of the first step.
FIRST = len(HEAD.splitlines()) + 1
_NUMBERS = itertools.count()
WEB1 = Target(name="web1", address="10.0.0.1", user="ops", vars={"pool": "shop", "connected": True})
WEB2 = Target(name="web2", address="10.0.0.2", user="ops", vars={"connected": True})


class NoSecrets:
    """None are needed."""

    def resolve(self, reference: str) -> str:
        """Nothing is known."""
        raise AssertionError(reference)


@dataclass
class World:
    """A project of one runbook."""

    folder: Path
    targets: Sequence[Target] = (WEB1, WEB2)
    history: Callable[[str, PlannedStep], Estimate | None] = lambda *_: None
    window: Window | None = None

    def plan(self, *lines: str, extra: str = "") -> Plan:
        """The plan of these lines of ``steps()``."""
        text = HEAD.format(extra=extra) + "".join(f"        {line}\n" for line in lines)
        # Python keeps the lines of a file that it has read once.
        project = self.folder / str(next(_NUMBERS))
        (project / "runbooks").mkdir(parents=True)
        (project / "runbooks/oops.py").write_text(text)
        now = datetime(2026, 1, 1, tzinfo=UTC)
        order = Order(
            loaded=find_runbook("oops", project / "runbooks", project),
            inputs=Frozen(),
            targets=tuple(self.targets),
            peers=(),
            author="alice",
            ticket=Ticket(system="file", id="T-1", subject="s", requester="eve"),
            inventory="inventory",
            inventory_digest="0" * 64,
            limit=None,
            window=self.window,
            created=now,
            expires=now + timedelta(days=1),
        )
        names = [t.name for t in self.targets]
        with ClientPool() as pool:

            def context(step: str, target: Target) -> Context:
                return Context(target, Token("plan", step, 1), pool, NoSecrets(), project, project)

            chosen = {"all": names}
            return compile_plan(order, project, lambda p: chosen.get(p, [p]), context, history=self.history)
