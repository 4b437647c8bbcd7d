"""A host's place in a load balancer's pool: taken out before it is worked on, put back afterwards."""

from __future__ import annotations

import threading
import time
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import StringConstraints

from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.haproxy import AdminSocket, Member
from remediate.adapters.hosts.keys import pool_key
from remediate.adapters.hosts.step import HostStep, fact_of, rendered
from remediate.errors import StepFailed
from remediate.model.base import Duration, State
from remediate.model.inputs import AbsolutePath
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, StepClass, Verdict
from remediate.model.target import Target

#: HAProxy's own names have no spaces, and ; and / mean something on its command line.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:{}-]+$", max_length=128)]
_POLL_SECONDS = 0.2
_WORDS = {"drain": "out of the pool", "ready": "in the pool", "maint": "in maintenance"}


class PoolState(StrEnum):
    """Whether new sessions go to the server."""

    DRAIN = "drain"
    READY = "ready"


class PoolMember(HostStep):
    """The target taken out of its pool (``drain``) or put back (``ready``), by the load balancer's socket.

    ``balancer`` names a host of the inventory. Draining waits until the server has no sessions, at most
    ``settle``; sessions that are still open then are reported. It is refused where fewer than ``keep`` other
    servers would take the traffic. Readying waits as long for the balancer's own health check.
    """

    kind: ClassVar[str] = "pool-member"
    filled: ClassVar[tuple[str, ...]] = ("balancer", "backend", "server")
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=10.0, verify=5.0, undo=10.0)

    state: PoolState
    balancer: _Name = "{target.vars.lb_host}"
    backend: _Name = "{target.vars.pool}"
    server: _Name = "{target.name}"
    socket: AbsolutePath = "/run/haproxy/admin.sock"
    settle: Duration = 5.0
    keep: int = 1

    def title(self) -> str:
        """One line."""
        pool = "its pool" if "{" in self.backend else f"pool {self.backend}"
        on = "" if "{" in self.balancer else f" on {self.balancer}"
        if "{" in self.server:
            return f"{'leave' if self.state is PoolState.DRAIN else 'return to'} {pool}{on}"
        verb = "take {} out of" if self.state is PoolState.DRAIN else "put {} back into"
        return f"{verb.format(self.server)} {pool}{on}"

    @property
    def undoable(self) -> bool:
        """The state of before is enough to go back."""
        return True

    def observe(self, context: Context) -> State:
        """Whether the balancer sends it traffic, as an administrator set it; health is no fact to keep."""
        pool = _Pool(self, context)
        return {pool.key: {"admin": pool.member().admin}}

    def apply(self, context: Context) -> Result:
        """Set it and wait."""
        pool = _Pool(self, context)
        before = pool.member()
        if before.admin != self.state:
            pool.change(self.state)
        member = pool.wait(self.state)
        still = member.sessions and not member.takes_traffic
        rest = f"; {member.sessions} sessions still open" if still else ""
        return Result(
            changed=before.admin != self.state,
            summary=f"{pool.server} is {_WORDS[member.admin]}{rest}",
            data={"sessions": member.sessions},
        )

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Read again; a server put back must also be healthy for the balancer."""
        pool = _Pool(self, context)
        member = pool.wait(self.state)
        expected = "drain" if self.state is PoolState.DRAIN else "ready and healthy"
        health = "healthy" if member.running else "not healthy"
        return (
            CheckResult(
                title=f"{pool.server} in pool {pool.backend}",
                ok=_reached(member, self.state),
                expected=expected,
                actual=f"{member.admin} and {health}, {member.sessions} sessions",
            ),
        )

    def quiesce(self, context: Context) -> bool:
        """Also on the balancer nothing may come late."""
        balancer = _peer(context, rendered(context.target, self.balancer))
        return super().quiesce(context) and not connect(context, balancer).supersede()

    def probe(self, context: Context) -> Probe:
        """By state."""
        pool = _Pool(self, context)
        member = pool.member()
        evidence = f"the balancer says {member.admin}"
        if member.admin == self.state:
            return Probe(verdict=Verdict.APPLIED, evidence=evidence)
        untouched = fact_of(context.before, pool.key).get("admin") == member.admin
        return Probe(verdict=Verdict.NOT_APPLIED if untouched else Verdict.UNKNOWN, evidence=evidence)

    def undo(self, context: Context) -> Result:
        """Back to the state of before."""
        pool = _Pool(self, context)
        before = fact_of(context.before, pool.key).get("admin")
        if before is None:
            return Result(changed=False, summary="nothing is known to have been begun")
        if pool.member().admin == before:
            return Result(changed=False, summary=f"{pool.server} is {_WORDS[str(before)]}")
        try:
            pool.change(str(before))
        except _TooFew as error:
            # The way back may not be what takes the last server away, nor may it end here.
            return Result(changed=False, summary=f"left in the pool: {error.problem}")
        if before in (PoolState.DRAIN, PoolState.READY):
            pool.wait(PoolState(str(before)))
        return Result(summary=f"{pool.server} is {_WORDS[str(before)]} again")


class _TooFew(StepFailed):
    """Too few servers would be left."""


class _Pool:
    """One server, and the way to its balancer."""

    def __init__(self, step: PoolMember, context: Context) -> None:
        target = context.target
        self.balancer = rendered(target, step.balancer)
        self.backend = rendered(target, step.backend)
        self.server = rendered(target, step.server)
        self.key = pool_key(self.balancer, self.backend, self.server)
        self._step = step
        self._lock = context.clients.get(
            ("pool-lock", self.balancer, self.backend), threading.Lock, lambda _: None
        )
        self._admin = AdminSocket(connect(context, _peer(context, self.balancer)), step.socket)

    def member(self) -> Member:
        """This server as the balancer sees it now."""
        return self._find(self._admin.members(self.backend))

    def _find(self, members: dict[str, Member]) -> Member:
        if self.server not in members:
            raise StepFailed(
                f"{self.balancer}: backend {self.backend} has no server {self.server!r}",
                f"it has {', '.join(members)}; set server=… in the step",
            )
        return members[self.server]

    def change(self, state: str) -> None:
        """Set it; never so that too few servers are left."""
        if state == PoolState.READY:
            self._admin.set(self.backend, self.server, state)
            return
        # Two hosts of one wave must not each count on the other.
        with self._lock:
            before = self.member()
            self._spare(self._admin.members(self.backend))
            self._admin.set(self.backend, self.server, state)
            try:
                # Somebody else may have done the same at the same time.
                self._spare(self._admin.members(self.backend))
            except _TooFew:
                self._admin.set(self.backend, self.server, before.admin)
                raise

    def _spare(self, members: dict[str, Member]) -> None:
        others = [m.name for m in members.values() if m.takes_traffic and m.name != self.server]
        if len(others) < self._step.keep:
            raise _TooFew(
                f"{self.balancer}: without {self.server} only {len(others)} of {len(members)} servers would "
                f"take the traffic of {self.backend}, and {self._step.keep} must stay",
                "bring other servers back first, or use smaller waves",
            )

    def wait(self, state: PoolState) -> Member:
        """The server when it has got there, or when the time is over."""
        deadline = time.monotonic() + self._step.settle
        while True:
            member = self.member()
            there = _reached(member, state) and (state is PoolState.READY or member.sessions == 0)
            if there or time.monotonic() >= deadline:
                return member
            time.sleep(_POLL_SECONDS)


def _reached(member: Member, state: PoolState) -> bool:
    return member.takes_traffic if state is PoolState.READY else member.admin == "drain"


def _peer(context: Context, name: str) -> Target:
    if name == context.target.name:
        return context.target
    if name not in context.peers:
        raise StepFailed(
            f"{context.target.name}: its load balancer {name!r} is no host that the plan knows",
            'name it in the runbook: `peers = "…"` (a host pattern of the inventory)',
        )
    return context.peers[name]
