"""A proof of a rollback as a document, and one case as a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from remediate.model.base import duration_text
from remediate.model.proof import Case, CaseResult, Ending, Moment, Proof
from remediate.report.document import (
    Block,
    Bullets,
    Cell,
    Document,
    Heading,
    Notice,
    Severity,
    Style,
    facts,
    table,
)
from remediate.report.words import count

_STYLES = {
    Ending.RESTORED: Style.GOOD,
    Ending.NOT_RESTORED: Style.BAD,
    Ending.IRREVERSIBLE: Style.WARN,
    Ending.NOT_BROKEN: Style.BAD,
}
_MOMENTS = {
    Moment.BEFORE: "fails before its effect",
    Moment.DURING: "is cut off, its answer is lost",
    Moment.AFTER: "is done, its verification fails",
    Moment.FINISHED: "is over, then taken back",
}


def case_name(case: Case) -> str:
    """``s01-module, after``: short, and the same each time."""
    return f"{case.step or 'run'}, {case.moment}"


def case_line(result: CaseResult) -> str:
    """One case in one line."""
    case = result.case
    text = f"{case_name(case)}: {case.title} {_MOMENTS[case.moment]} on {case.target}: {result.ending}"
    return f"{text}: {summary(result)}" if result.ending is not Ending.RESTORED else text


def summary(result: CaseResult) -> str:
    """What is to be said of a case that did not end well."""
    if result.differences:
        most = "; ".join(map(str, result.differences[:5]))
        more = len(result.differences) - 5
        return f"{most}; and {more} more" if more > 0 else most
    return result.why


def proof_document(proof: Proof) -> Document:
    """The whole proof."""
    return Document(f"Proof of the rollback of {proof.runbook}", tuple(_blocks(proof)))


def _blocks(proof: Proof) -> Iterator[Block]:
    yield _verdict(proof)
    yield facts(
        ("runbook", proof.runbook),
        ("inputs", ", ".join(f"{k}={v}" for k, v in proof.inputs.items())),
        ("targets", ", ".join(proof.targets)),
        (
            "compared",
            f"files in {', '.join(proof.watched)}; packages; units; and what the plan's steps reach",
        ),
        ("took", duration_text(round(sum(r.seconds for r in proof.results)))),
    )
    if proof.results:
        yield table(("step", "what", "moment", "target", "result", "seconds"), map(_row, proof.results))
    for result in proof.results:
        if result.ending is not Ending.RESTORED:
            yield Heading(case_name(result.case))
            yield Bullets(tuple(map(str, result.differences)) or (result.why,))


def _row(result: CaseResult) -> tuple[str | Cell, ...]:
    case, ending = result.case, result.ending
    shown = Cell(str(ending), _STYLES[ending])
    return (case.step, case.title, str(case.moment), case.target, shown, f"{result.seconds:.1f}")


def verdict(proof: Proof) -> str:
    """All of it in one sentence."""
    counts = Counter(str(r.ending) for r in proof.results)
    text = f"{count(len(proof.results), 'case')}: " + ", ".join(f"{n} {e}" for e, n in counts.items())
    if proof.left_out:
        text += f"; {proof.left_out} left out"
    return f"{text} ({proof.stopped})" if proof.stopped else text


def _verdict(proof: Proof) -> Notice:
    level = Severity.SUCCESS if proof.restored else Severity.DANGER
    return Notice(level, verdict(proof))
