"""Use case: read targets that something is wrong with, all at once, and put what was found on the ticket."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from remediate.adapters.clients import ClientPool
from remediate.adapters.diagnosis import host, other
from remediate.adapters.diagnosis.capture import Wanted, capture
from remediate.adapters.diagnosis.values import Collected, words
from remediate.errors import InputError
from remediate.inventory import Inventory
from remediate.model.step import Context
from remediate.model.target import Target
from remediate.report.diagnosis import DiagnosisReport, TargetRow, diagnosis_document
from remediate.report.render import render
from remediate.report.words import instant
from remediate.service.bundles import write_bundle
from remediate.service.contexts import Contexts
from remediate.service.folders import private
from remediate.service.project import Project, load_extensions
from remediate.service.runs import load_run
from remediate.service.symptoms import suggestions
from remediate.tickets.interface import Post, TicketDown

#: Seconds that one target may take, a packet capture apart.
PATIENCE = 120.0
#: A ticket system that takes attachments takes this much; a larger bundle stays here.
LARGEST = 6 << 20
_RUNS = 50
_TEXT = 6000


def diagnose(
    project: Project,
    pattern: str,
    *,
    ticket: str,
    inventory: Path | None = None,
    packets: Wanted | None = None,
    patience: float = PATIENCE,
    progress: Callable[[str], None] = lambda _: None,
) -> DiagnosisReport:
    """Read the targets that a pattern selects; changes nothing on them but for the file of a capture.

    Args:
        project: whose inventory, runbooks and ticket system.
        pattern: Ansible host pattern.
        ticket: where the bundle goes, as an internal entry.
        inventory: another one than the project's.
        packets: capture packets, too.
        patience: seconds for one target.
        progress: told what takes time.

    Raises:
        InputError, Refused: no such targets.
        TicketDown, TicketRefused: the ticket can't be read, or doesn't take the entry; the bundle is kept.
    """
    load_extensions()
    project.tickets.read(ticket)
    progress("reading the inventory")
    source = Inventory.load(inventory.absolute() if inventory else project.config.inventory, project.root)
    targets = project.reached(source.targets(source.select(pattern)))
    taken = project.clock()
    name = f"d-{datetime.fromtimestamp(taken, UTC):%Y%m%d-%H%M%S}-{os.urandom(2).hex()}"
    progress(f"reading {len(targets)} target{'s' if len(targets) > 1 else ''}")
    collected = _collect(project, targets, name, packets, patience)
    _earlier_runs(project, collected)
    found, note = suggestions(project, source, collected, ticket)
    report = DiagnosisReport(
        id=name,
        ticket=ticket,
        taken=instant(taken),
        targets=tuple(_row(project, c) for c in collected),
        suggestions=tuple(found),
        notes=(note,) if note else (),
    )
    folder = private(project.config.state / "diagnoses" / name)
    path = folder / f"{name}.tar.zst"
    page = render(diagnosis_document(report), "markdown")
    size = write_bundle(path, collected, {"summary.md": page}, project.scrub, taken)
    report = replace(report, bundle=str(path))
    _post(project, report, path if size <= LARGEST else None)
    return report


def _collect(
    project: Project, targets: Sequence[Target], name: str, packets: Wanted | None, patience: float
) -> list[Collected]:
    with TemporaryDirectory(prefix="remediate-diagnosis-") as folder, ClientPool() as clients:
        contexts = Contexts(
            run=name,
            clients=clients,
            secrets=project.credentials,
            artefacts=project.root,
            workspace=Path(folder),
            timeout=patience,
        )

        def one(target: Target) -> Collected:
            return read_target(contexts.make("diagnosis", target), packets, patience)

        with ThreadPoolExecutor(max(1, min(project.config.limits.parallel, len(targets)))) as pool:
            return list(pool.map(one, targets))


def read_target(context: Context, packets: Wanted | None, patience: float) -> Collected:
    """Everything that can be read of one target. Never raises an ordinary exception."""
    target = context.target
    found = Collected(target.name, time.monotonic() + patience)
    if other.is_virtual(target):
        other.collect_machine(context, found)
    try:
        if other.is_device(target):
            other.collect_device(context, found)
            return found
        host.collect(context, found)
    except Exception as error:  # whatever an adapter raises: it is this target's own trouble
        found.problem = words(error)
        return found
    if packets is not None:
        try:
            found.capture = capture(context, packets)
        except Exception as error:
            found.missing.append(f"packets: {words(error)}")
    return found


def _earlier_runs(project: Project, collected: Sequence[Collected]) -> None:
    """What this project did to each target lately, as its journal says."""
    if not project.config.journal_path.exists():
        return
    lines = list(_runs(project))
    for one in collected:
        own = [line for targets, line in lines if one.target in targets]
        one.add("changes", "runs.txt", lambda own=own: "".join(f"{line}\n" for line in own))  # type: ignore[misc]
        if own:
            one.findings.append(f"changed by a run of remediate: {own[-1]}")


def _runs(project: Project) -> Iterator[tuple[frozenset[str], str]]:
    for run in project.journal.runs()[-_RUNS:]:
        try:
            loaded = load_run(project, run)
        except InputError:
            continue
        at = instant(loaded.events[0].at)
        line = f"{at} {run} {loaded.plan.runbook.name} ticket {loaded.plan.ticket.id}: {loaded.status}"
        yield frozenset(t.name for t in loaded.plan.targets), line


def _row(project: Project, found: Collected) -> TargetRow:
    def clean(lines: Sequence[str]) -> tuple[str, ...]:
        return tuple(project.scrub(line) for line in lines)

    return TargetRow(
        name=found.target,
        problem=project.scrub(found.problem),
        findings=clean(found.findings),
        missing=clean(found.missing),
        parts=len(found.parts),
    )


def _post(project: Project, report: DiagnosisReport, bundle: Path | None) -> None:
    text = project.scrub(render(diagnosis_document(report), "text"))
    if len(text) > _TEXT:
        text = text[:_TEXT] + "\n[… the rest is in the bundle …]\n"
    if bundle is None:
        text += f"\nThe bundle is too large for the ticket. It lies at {report.bundle}.\n"
    try:
        project.tickets.post(report.ticket, Post(report.id, 1, text, attachments=(bundle,) if bundle else ()))
    except TicketDown as error:
        raise TicketDown(
            error.problem, f"see whether {report.id} stands on the ticket; else attach {report.bundle}"
        ) from None
