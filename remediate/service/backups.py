"""Use case: which large backups runs have kept, whether they are still good, and what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediate.adapters.backups import proof
from remediate.adapters.backups.elsewhere import unpack, write_out
from remediate.adapters.backups.manifest import Manifest, noted, read, vault_of
from remediate.adapters.backups.putback import Kept, kept_in
from remediate.adapters.backups.settings import BackupSettings
from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.dumps.interface import Dumper, Job, dumper_named
from remediate.adapters.databases.engine import endpoint
from remediate.errors import Exit, InputError, Refused, RemediateError
from remediate.model.base import duration_text
from remediate.model.step import Context, Token
from remediate.model.target import Target
from remediate.service.contexts import all_hosts
from remediate.service.project import Project
from remediate.service.runs import LoadedRun, load_run

_FREE = ("verified new", "rolled back")
_DATABASE = "database-backup"
_FILES = "file-backup"


@dataclass(frozen=True, slots=True)
class Found:
    """One backup that a run noted. ``status`` is its run's, ``age`` is in seconds."""

    run: str
    step: str
    target: str
    status: str
    locked: bool
    age: float
    expired: bool
    problem: str
    """Why its manifest can't be used; empty if it can."""
    manifest: Manifest | None
    context: Context

    @property
    def id(self) -> str:
        """As the run noted it."""
        return str(self.context.data["backup"])

    @property
    def free(self) -> bool:
        """Whether no run needs it any more."""
        return self.status in _FREE and not self.locked

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        manifest = self.manifest
        return {
            "id": self.id,
            "run": self.run,
            "step": self.step,
            "target": self.target,
            "run_status": self.status,
            "age": self.age,
            "expired": self.expired,
            "problem": self.problem,
            "manifest": None if manifest is None else manifest.model_dump(mode="json", exclude={"data"}),
        }


def kept(project: Project, clients: ClientPool | None = None) -> list[Found]:
    """All backups of all runs that can be read, the oldest first. What was deleted is left out."""
    locked = {(held.run, held.target) for held in project.journal.locks()}
    pool = clients or ClientPool()
    found = []
    for name in project.journal.runs():
        # What of a run can't be read, `remediate runs` says.
        with suppress(RemediateError):
            run = load_run(project, name)
            found += [_found(project, run, context, locked) for context in _contexts(project, run, pool)]
    return [one for one in found if vault_of(one.context).folder.exists()]


def _contexts(project: Project, run: LoadedRun, clients: ClientPool) -> Iterator[Context]:
    hosts: dict[str, Target] = all_hosts(run.plan)
    for (index, target), cell in sorted(run.state.cells.items()):
        if {"backup", "manifest"} <= set(cell.data):
            step = run.plan.steps[index].id
            yield Context(
                target=hosts[target],
                token=Token(run.run, step, cell.attempt),
                clients=clients,
                secrets=project.credentials,
                artefacts=project.root,
                workspace=project.config.state / "runs" / run.run / "work" / step / target,
                timeout=project.config.limits.step_timeout,
                data=cell.data,
                peers=hosts,
            )


def _found(project: Project, run: LoadedRun, context: Context, locked: set[tuple[str, str]]) -> Found:
    manifest, problem = None, ""
    try:
        manifest = read(vault_of(context), str(context.data["manifest"]))
    except RemediateError as error:
        problem = error.problem
    now = project.clock()
    return Found(
        run=run.run,
        step=context.token.step,
        target=context.target.name,
        status=run.status,
        locked=(run.run, context.target.name) in locked,
        age=round(max(0.0, now - manifest.taken), 1) if manifest else 0.0,
        expired=manifest is not None and now > manifest.keep_until,
        problem=problem,
        manifest=manifest,
        context=context,
    )


def words(one: Found) -> tuple[str, ...]:
    """One line of the list: id, what, target, run, its status, level, size, age, kept for."""
    manifest = one.manifest
    if manifest is None:
        return (one.id, f"unusable: {one.problem}", one.target, one.run, one.status, "", "", "", "")
    left = manifest.keep_until - manifest.taken - one.age
    return (
        one.id,
        manifest.what,
        one.target,
        one.run,
        one.status,
        manifest.level.value,
        f"{manifest.stored.size / (1 << 20):,.1f} MiB",
        duration_text(round(one.age)),
        "expired" if one.expired else duration_text(round(left)),
    )


@contextmanager
def chosen(project: Project, id_: str) -> Iterator[Found]:
    """The backup whose id begins like this, with connections that are closed at the end.

    Raises:
        InputError: there is none, or there are several.
        StepFailed: its manifest can't be used.
    """
    with ClientPool() as clients:
        found = [one for one in kept(project, clients) if one.id.startswith(id_)]
        if len(found) != 1:
            how = "several backups begin" if found else "no backup begins"
            raise InputError(f"{how} with {id_!r}", "`remediate backups` lists them")
        yield found[0]


def verify(one: Found, scratch: bool) -> str:
    """Hash it again, and restore it to a private server if wanted; says what was proved.

    Raises:
        StepFailed: it is not what was stored.
    """
    manifest = noted(one.context)
    said = f"{manifest.stored.file} has the noted hash"
    if not scratch:
        return said
    dumper, backup, identity = _opened(one, manifest)
    with proof.scratch(one.context, dumper, backup.database, None) as copy:
        seconds = _load(one, dumper, backup, copy, identity)
    return f"{said}; restored in {seconds:.1f} s, and all is as it was noted"


def restore(one: Found, into: str) -> str:
    """Restore it elsewhere; says what was done.

    A database goes into a new one of the server that it comes from, files into a new directory of this
    machine, and what a command printed into a new file.

    Raises:
        Refused: there is something of that name already.
        StepFailed: it can't be restored, or is not as noted; nothing is left of it.
    """
    manifest = noted(one.context)
    if manifest.kind == _DATABASE:
        return _restore_database(one, manifest, into)
    put = unpack if manifest.kind == _FILES else write_out
    put(vault_of(one.context).folder, manifest.stored, Path(into).absolute(), _identity(one))
    return f"restored {manifest.what} of {manifest.taken_at} UTC into {Path(into).absolute()} of this machine"


def _restore_database(one: Found, manifest: Manifest, into: str) -> str:
    dumper, backup, identity = _opened(one, manifest)
    place = endpoint(one.context, dumper.engine.name)
    with dumper.engine.open(place, "") as session:
        if dumper.exists(session, into):
            raise Refused(f"{one.target} has a database {into} already", "choose a name that is free")
    try:
        seconds = _load(one, dumper, backup, proof.Copy(place, into, private=False), identity)
    except BaseException:
        with suppress(RemediateError), dumper.engine.open(place, "") as session:
            dumper.engine.drop(session, into)
        raise
    return (
        f"restored {manifest.what} of {manifest.taken_at} UTC into {into} of {one.target} in {seconds:.1f} s"
    )


def _opened(one: Found, manifest: Manifest) -> tuple[Dumper, Kept, str]:
    if manifest.kind != _DATABASE:
        raise InputError(f"backup {one.id} is of the kind {manifest.kind}, not of a database")
    backup = kept_in(vault_of(one.context).folder, manifest)
    return dumper_named(str(manifest.data["engine"])), backup, _identity(one)


def _identity(one: Found) -> str:
    reference = BackupSettings.of(one.context.target).identity
    return one.context.secrets.resolve(reference) if reference else ""


def _load(one: Found, dumper: Dumper, backup: Kept, copy: proof.Copy, identity: str) -> float:
    job = Job(str(one.context.token), time.monotonic() + one.context.timeout)
    seconds = proof.load(dumper, copy, backup.origin, backup.folder, backup.stored, identity, job)
    source = proof.Source(copy.place, copy.database, backup.tables, tuple(backup.content.answers))
    proof.compare(dumper, copy, backup.content, source)
    return seconds


def expired(project: Project) -> list[Found]:
    """Those that may be deleted: their time is over, their run has ended, and their target is not held."""
    return [one for one in kept(project) if one.expired and one.free]


def delete(project: Project, chosen_ones: Sequence[Found]) -> list[tuple[Found, bool, str]]:
    """Delete these; each with whether that succeeded, and what became of it.

    A run that was taken up again since they were chosen keeps its own.
    """
    still = {one.id for one in expired(project)}
    return [(one, *_delete(one, one.id in still)) for one in chosen_ones]


def _delete(one: Found, still: bool) -> tuple[bool, str]:
    if not still:
        return False, f"run {one.run} needs it again"
    folder: Path = vault_of(one.context).folder
    try:
        vault_of(one.context).discard()
    except OSError as error:
        return False, f"{folder} can't be deleted: {error.strerror}"
    return True, "deleted"


def exit_code(done: Sequence[tuple[Found, bool, str]]) -> Exit:
    """Of a deletion."""
    return Exit.VERIFIED_NEW if all(ok for _, ok, _ in done) else Exit.NEEDS_HUMAN
