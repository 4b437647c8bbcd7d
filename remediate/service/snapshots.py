"""Use case: which snapshots of ours are left in the vCenters of the inventory, and their deletion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from remediate.adapters.clients import ClientPool
from remediate.adapters.vmware.access import Access, access
from remediate.adapters.vmware.client import session
from remediate.adapters.vmware.values import Snapshot
from remediate.errors import Exit, InputError, Refused, RemediateError
from remediate.inventory import Inventory
from remediate.model.base import duration_text
from remediate.model.step import Status
from remediate.service.project import Project
from remediate.service.runs import load_run

RETENTION = 72 * 3600.0
_UNKNOWN = "unknown here"
_FREE = ("verified new", "rolled back")


@dataclass(frozen=True, slots=True)
class Left:
    """One snapshot that a run left. ``age`` in seconds; ``size`` in bytes, None if vCenter doesn't tell."""

    vcenter: str
    machine: str
    name: str
    run: str
    status: str
    """Of its run: finished ones are *verified new* or *rolled back*."""
    created: str
    age: float
    size: int | None
    overdue: bool
    orphaned: bool
    machine_moref: str
    snapshot: Snapshot

    @property
    def free(self) -> bool:
        """Whether no run needs it any more, as this project's journal knows."""
        return self.status in _FREE

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {k: v for k, v in asdict(self).items() if k not in ("machine_moref", "snapshot")}


def left(project: Project, retention: float = RETENTION) -> list[Left]:
    """All of them, the oldest first.

    Args:
        retention: seconds after which one is overdue.

    Raises:
        InputError: no host of the inventory has a vCenter.
        StepFailed: a vCenter can't be read.
    """
    from remediate.adapters.vmware.retained import retained

    now = project.clock()
    statuses = _Statuses(project)
    found = []
    with _vcenters(project) as (pool, ways):
        for way in ways:
            for one in retained(session(way, pool, project.credentials)):
                created = one.snapshot.created.astimezone(UTC)
                age = max(0.0, now - created.timestamp())
                status = statuses.of(one.owner.run)
                overdue = age > retention
                found.append(
                    Left(
                        vcenter=way.name,
                        machine=one.machine,
                        name=one.snapshot.name,
                        run=one.owner.run,
                        status=status,
                        created=f"{created:%Y-%m-%d %H:%M:%S}",
                        age=round(age, 1),
                        size=one.size,
                        overdue=overdue,
                        orphaned=status == _UNKNOWN or (overdue and status in _FREE),
                        machine_moref=one.moref,
                        snapshot=one.snapshot,
                    )
                )
    return sorted(found, key=lambda s: (s.created, s.name))


def choose(project: Project, run: str | None, retention: float = RETENTION) -> list[Left]:
    """Which ones may be deleted: those of one run, or (without a run) all overdue ones of finished runs.

    Another project's snapshots are unknown here; they are chosen only by the full id of their run.

    Raises:
        Refused: the run is not finished, or a target of it needs a human.
    """
    every = left(project, retention)
    if run is None:
        return [s for s in every if s.overdue and s.free]
    chosen = [s for s in every if s.run == run] or [s for s in every if s.run == _full(project, run)]
    if held := [s for s in chosen if not s.free and s.status != _UNKNOWN]:
        raise Refused(
            f"run {held[0].run} is not finished ({held[0].status}), so its snapshots are its way back",
            f"`remediate status {held[0].run}` says what it waits for",
        )
    return chosen


def delete(project: Project, chosen: Sequence[Left]) -> list[tuple[Left, bool, str]]:
    """Delete these; each with whether that succeeded, and what became of it.

    A run that was taken up again since they were chosen keeps its own.
    """
    from remediate.adapters.vmware.remove import remove

    statuses = _Statuses(project)
    done: list[tuple[Left, bool, str]] = []
    with _vcenters(project) as (pool, ways):
        for way in ways:
            mine = [s for s in chosen if s.vcenter == way.name]
            kept = [s for s in mine if statuses.of(s.run) != s.status]
            done += [(s, False, f"run {s.run} goes on") for s in kept]
            gone = {s.snapshot.moref: s for s in mine if s not in kept}
            if not gone:
                continue
            vcenter = session(way, pool, project.credentials)
            results = remove(vcenter, {m: (s.machine_moref, s.snapshot) for m, s in gone.items()})
            done += [(gone[m], r.status is Status.OK, r.summary) for m, r in results.items()]
    return done


def exit_code(done: Sequence[tuple[Left, bool, str]]) -> Exit:
    """Of a deletion."""
    return Exit.VERIFIED_NEW if all(ok for _, ok, _ in done) else Exit.NEEDS_HUMAN


def words(one: Left) -> tuple[str, ...]:
    """One line of the list: machine, run, its status, age, size, verdict."""
    size = "" if one.size is None else f"{one.size / (1 << 20):,.0f} MiB"
    verdict = ", ".join(w for w, yes in (("overdue", one.overdue), ("orphaned", one.orphaned)) if yes)
    return (one.machine, one.run, one.status, duration_text(round(one.age)), size, verdict)


class _Statuses:
    """What this project's journal says of runs, each asked once."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known = set(project.journal.runs())
        self._found: dict[str, str] = {}

    def of(self, run: str) -> str:
        if run not in self._known:
            return _UNKNOWN
        if run not in self._found:
            try:
                self._found[run] = load_run(self._project, run).status
            except RemediateError as error:
                self._found[run] = f"unreadable: {error.problem}"
        return self._found[run]


def _full(project: Project, run: str) -> str:
    try:
        return project.find_run(run)
    except InputError:
        return run


@contextmanager
def _vcenters(project: Project) -> Iterator[tuple[ClientPool, list[Access]]]:
    """Connections, and each vCenter that hosts of the inventory name."""
    inventory = Inventory.load(project.config.inventory, project.root)
    hosts = [t for t in inventory.hosts.values() if "vcenter_hostname" in t.vars]
    if not hosts:
        raise InputError(
            f"no host of {inventory.path} has the variable vcenter_hostname",
            "docs/vmware.md tells which variables a virtual machine needs",
        )
    # Two users of one vCenter see the same snapshots: one of them is enough.
    ways = {(way := access(t)).name: way for t in reversed(hosts)}
    with ClientPool() as pool:
        yield pool, list(ways.values())
