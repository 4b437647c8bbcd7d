"""A report says how a run ended and how that is known, at every moment of the run."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from remediate.model.event import (
    Body,
    Event,
    Final,
    Intent,
    Outcome,
    RollbackStarted,
    RunFinished,
    RunTaken,
    Settled,
    Verb,
    Verified,
)
from remediate.model.step import CheckResult, Result, Status
from remediate.report.document import Document, Notice, Severity
from remediate.report.history import history
from remediate.report.render import Format, render
from remediate.report.run import run_document
from tests.report import runs
from tests.report.hostile import FORBIDDEN
from tests.report.samples import NASTY, events, plan
from tests.report.test_plan import big_plan


def page(document: Document) -> str:
    """The page with each run of blanks as one."""
    return " ".join(render(document, Format.MARKDOWN).split())


def headline(document: Document) -> tuple[Severity, str]:
    """The first block."""
    first = document.blocks[0]
    assert isinstance(first, Notice)
    return first.level, first.text


@pytest.mark.parametrize(
    ("made", "level", "text"),
    [
        (runs.good, Severity.SUCCESS, "4 targets verified new."),
        (runs.rolled_back, Severity.WARNING, "4 targets rolled back and verified original."),
        (
            runs.needs_human,
            Severity.DANGER,
            "1 target under way, 1 target needs a human, 1 target not begun,"
            " 1 target verified original (never touched). The run is not finished.",
        ),
        (
            runs.decided,
            Severity.WARNING,
            "1 target under way, 1 target being rolled back, 1 target not begun,"
            " 1 target verified original (never touched). The run is not finished.",
        ),
        (list, Severity.INFO, "4 targets not begun. The run is not finished."),
    ],
)
def test_headlines(made: Callable[[], list[Event]], level: Severity, text: str) -> None:
    assert headline(run_document(plan(), made())) == (level, text)


@pytest.mark.parametrize("made", [runs.good, runs.rolled_back, runs.needs_human, runs.decided])
def test_a_report_can_be_made_after_every_event(made: Callable[[], list[Event]]) -> None:
    whole = made()
    for length in range(len(whole) + 1):
        document = run_document(plan(), whole[:length])
        level, text = headline(document)
        finished = any(isinstance(event.body, RunFinished) for event in whole[:length])
        assert ("not finished" not in text) == finished
        assert level is not Severity.SUCCESS or finished
        assert render(document, Format.TEXT)


@pytest.mark.parametrize(
    "wanted",
    [
        "**Approved by:** anna",
        "**Run by:** jo@ops1, remediate 0.1.0",
        "**Started:** 2026-03-01 02:00:04 UTC",
        "**Finished:** 2026-03-01 02:05:21 UTC",
        "**Exit code:** 4",
        "| web3 | **verified original** | 2 of 3, 1 undone | **upgrade shop to 1.1-1: GET",
        "| 02:02:49 | upgrade shop to 1.1-1 | web2, web4 | 43 s | done and verified |",
        "| 02:02:49 | upgrade shop to 1.1-1 | web3 | 48 s | **verification failed** |",
        "| 02:03:41 | undo of “take a snapshot of the virtual machine” | web2, web3, web4 | 49 s | undone |",
        "| 200 | **500** | web3 |",
        "| 200 | 200 | web1, web2, web4 |",
        "2 facts read back over a fresh session, as they were before the run",
        "nothing else went forward",
        "anna | approved the plan (counted at the start)",
        "**Hash of the last:** `" + f"{48:064x}" + "`",
    ],
)
def test_the_page_of_a_rollback_says(wanted: str) -> None:
    assert wanted in page(run_document(plan(), runs.rolled_back()))


@pytest.mark.parametrize(
    "wanted",
    [
        "web2: nobody knows whether it was applied",
        "remediate decide r-1a2b restart web2 applied --key",
        "taken up by jo@ops2",
        "maria | asked for: abort |",
        "`package:shop version: 1.0-1 → 1.0-2`",
        "| web2 | restart shop.service: nobody can tell | `no route to host` |",
        "| web2 | undo of “take a snapshot of the virtual machine”: not begun | `file:/etc/x: absent → 1` |",
        "| web2 | could not be read back | `no route to host` |",
        "acceptance: GET",
    ],
)
def test_the_page_of_a_run_in_doubt_says(wanted: str) -> None:
    assert wanted in page(run_document(plan(), runs.needs_human()))


def test_a_decision_settles_the_doubt() -> None:
    text = page(run_document(plan(), runs.decided()))
    assert "anna | restart shop.service on web2: it was applied (signed)" in text
    assert "remediate decide" not in text


def test_a_step_that_worked_at_the_second_try_is_no_failure() -> None:
    failed = Result(status=Status.FAILED, summary="lock held")
    bodies: list[tuple[float, Body]] = [runs.started()]
    for number, result in enumerate((failed, Result()), 1):
        intent = Intent(verb=Verb.APPLY, step="patch", target="web1", attempt=number)
        outcome = Outcome(verb=Verb.APPLY, step="patch", target="web1", attempt=number, result=result)
        bodies += [(10 * number, intent), (10 * number + 5, outcome)]
    bodies += [
        (30, Verified(step="patch", target="web1", attempt=2, results=())),
        (31, Settled(target="web1", final=Final.NEW)),
    ]
    text = page(run_document(plan(), events(*bodies)))
    assert "| web1 | verified new | 1 of 3 | |" in text
    assert "upgrade shop to 1.1-1, attempt 2" in text
    assert "**failed: lock held**" in text


def test_the_report_of_another_plan_says_so() -> None:
    document = run_document(plan(author="somebody else"), runs.good())
    assert headline(document) == (
        Severity.DANGER,
        "This is the report of another plan's run: the digests differ.",
    )


def test_a_run_over_midnight_shows_dates() -> None:
    bodies = [(event.at - runs.good()[0].at + 4, event.body) for event in runs.good()]
    bodies[-1] = (23 * 3600.0, bodies[-1][1])
    text = page(run_document(plan(), events(*bodies)))
    assert "from 2026-03-01 to 2026-03-02" in text
    assert "| 2026-03-01 02:00:06 UTC | take a snapshot" in text
    assert "**Finished:** **2026-03-02 01:00:00 UTC, after the window**" in text


def test_taking_a_run_up_again_reopens_what_needed_a_human() -> None:
    bodies: list[tuple[float, Body]] = [
        runs.started(),
        (10, RollbackStarted(targets=("web1",), reason="x", stop=True)),
        (11, Settled(target="web1", final=Final.HUMAN)),
        (12, Settled(target="web2", final=Final.ORIGINAL)),
        (13, RunFinished(exit_code=5, summary="")),
    ]
    assert history(events(*bodies)).finished is not None
    bodies.append((14, RunTaken(runner="jo", tool_version="0")))
    seen = history(events(*bodies))
    assert seen.finished is None
    assert list(seen.endings) == ["web2"]


def test_hostile_evidence_does_no_harm() -> None:
    text = NASTY.encode(errors="replace").decode()
    check = CheckResult(title=text, ok=False, expected=text, actual=text)
    bodies: list[tuple[float, Body]] = [
        runs.started(),
        (5, Intent(verb=Verb.APPLY, step=text, target=text, attempt=1)),
        (6, Verified(step="patch", target="web1", attempt=1, results=(check,))),
        (7, RollbackStarted(targets=(text,), reason=text, stop=True)),
        (8, Settled(target=text, final=Final.HUMAN, evidence=text)),
    ]
    for format_ in Format:
        assert not FORBIDDEN.search(render(run_document(plan(), events(*bodies)), format_))


def test_a_run_of_a_thousand_targets_is_quick() -> None:
    made = big_plan(1000)
    names = list(made.by_name)
    whole = [
        runs.started(),
        *runs.step(5, "snapshot", names, 9),
        *runs.step(20, "patch", names, 9, *runs.GOOD),
    ]
    began = time.process_time()
    text = render(run_document(made, events(*whole)), Format.TEXT)
    assert time.process_time() - began < 5
    assert "and 244 more" in text
