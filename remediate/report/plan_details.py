"""The evidence below a plan's page: differences, state before, files, and how to approve."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from remediate.model.base import canonical
from remediate.model.plan import Plan
from remediate.model.step import Role
from remediate.report.compare import brief
from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Code,
    Diff,
    Heading,
    Notice,
    Paragraph,
    Severity,
    Style,
    Table,
    table,
)
from remediate.report.plan_steps import where
from remediate.report.words import count, grouped, names

_MAX_DIFFS = 60
_MAX_FACTS = 40
_MAX_ARTEFACTS = 30


def diffs(plan: Plan) -> Iterator[Block]:
    """Each different preview once, with its targets; and what has none."""
    yield Heading("Differences, as read while planning")
    shown = 0
    for number, step in enumerate(plan.steps, 1):
        same = grouped((text, name) for name, text in step.preview.items() if text.strip())
        for text, members in same.items():
            shown += 1
            if shown <= _MAX_DIFFS:
                yield Diff(text, tuple(members), f"Step {number}: {step.title}")
    if shown > _MAX_DIFFS:
        hidden = count(shown - _MAX_DIFFS, "more difference")
        yield Notice(Severity.WARNING, f"{hidden} of this plan are not shown here; the plan file holds them")
    without = [
        f"Step {number}, “{step.title}”, on {names(missing)}"
        for number, step in enumerate(plan.steps, 1)
        if step.role is Role.CHANGE
        and (missing := [name for name in step.targets if not step.preview.get(name, "").strip()])
    ]
    if without:
        yield Paragraph("No difference could be shown beforehand, or there is none, for:")
        yield Bullets(tuple(without))


def observed(plan: Plan) -> Iterator[Block]:
    """The state that the approver approves to change."""
    same = grouped(
        ((key, canonical(value)), (target.name, value))
        for target in plan.targets
        for key, value in plan.original(target.name).items()
    )
    if not same:
        return
    yield Heading("State before, as read while planning")
    yield Paragraph("If any of this has changed by the time of the run, the run stops.")
    rows: list[list[str | Cell]] = [
        [where(plan, [name for name, _ in found]), key, Cell(brief(found[0][1]), Style.CODE)]
        for (key, _), found in sorted(same.items())
    ]
    yield _capped(["On", "Fact", "Value"], rows, _MAX_FACTS, "more facts in the plan file")


def artefacts(plan: Plan) -> Iterator[Block]:
    """Every file that the run executes or copies."""
    yield Heading("Files that are run or copied")
    files = [plan.runbook.source, *(a for a in plan.artefacts if a != plan.runbook.source)]
    rows: list[list[str | Cell]] = [
        [a.path, f"{a.size:,}", Cell(f"{a.sha256[:16]}…", Style.CODE)] for a in files
    ]
    yield _capped(
        ["File", "Bytes", "SHA-256 begins with"], rows, _MAX_ARTEFACTS, "more files in the plan file"
    )


def _capped(columns: list[str], rows: list[list[str | Cell]], most: int, more: str) -> Table:
    if len(rows) > most:
        rest = Cell(f"… {len(rows) - most:,} {more}", Style.DIM)
        rows = [*rows[:most], [rest, *[""] * (len(columns) - 1)]]
    return table(columns, rows)


def approval(plan: Plan, file: str) -> Iterator[Block]:
    """The command lines."""
    name = shlex.quote(file)
    yield Heading("To approve")
    yield Paragraph(
        f"The first command must print {plan.digest}: then the file is the one described here. Sign it with"
        " a key that the policy knows. Neither author, requester nor whoever runs it may approve."
    )
    yield Code(
        f"remediate show {name} --digest\n"
        f"remediate approve {name} --key ~/.ssh/id_ed25519\n"
        f"remediate deny {name} --key ~/.ssh/id_ed25519 --comment 'why not'\n",
        "sh",
    )
