"""What a change manager reads before signing: nothing that matters is missing or cut without a word."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given

from remediate.engine.forward import undo_seconds
from remediate.engine.state import RunState
from remediate.model.plan import Artefact, Plan, PlannedCheck, PlannedWave, RunbookRef
from remediate.model.runbook import Scope
from remediate.model.step import StepClass
from remediate.model.target import Target
from remediate.report.document import Diff, Document, Notice, Severity
from remediate.report.plan import plan_document
from remediate.report.plan_steps import budget
from remediate.report.render import Format, render
from tests.report.hostile import FORBIDDEN, often, texts
from tests.report.samples import START, plan, risky_plan


def page(made: Plan) -> str:
    """The plan's page with each run of blanks as one."""
    return " ".join(render(plan_document(made), Format.MARKDOWN).split())


def notices(document: Document) -> list[tuple[Severity, str]]:
    """All notices."""
    return [(block.level, block.text) for block in document.blocks if isinstance(block, Notice)]


@pytest.mark.parametrize(
    "wanted",
    [
        plan().digest,
        "1042 · Shop answers 500 under load · urgent",
        "**Requested by:** olaf",
        "maria, 2026-02-28 18:00 UTC",
        "**Valid until:** 2026-03-01 18:00 UTC",
        "2026-03-01 02:00 UTC to 2026-03-01 04:00 UTC (2 h)",
        "5 min to the end, 4 min to undo it all again",
        "a start by 2026-03-01 03:50 UTC leaves time for the whole rollback",
        "**medium**",
        "each host leaves the pool for under 30 s",
        "2 changes on 4 targets in 2 waves, from the inventory inventories/lab, limited to web.",
        "| 1 | web1 (10.77.0.11) | 60 s |",
        "| 2 | web2 (10.77.0.12), web3 (10.77.0.13), web4 (10.77.0.14) | none |",
        "take a snapshot of the virtual machine | all 4 | backup level B1, stored and hashed |",
        "| backup 1 | the state is read; repeatable | 45 s, verify 30 s, undo 60 s |",
        "**a person decides**",
        "GET http\\://10.77.0.11:8080/healthz answers 200 (web1, and likewise on 3 more)",
        'elsewhere {"argv": \\["dpkg-query", "-W", "shop"\\], "equals": "1.1-1"}',
        "Everything that this run changed is undone, earlier waves too.",
        "The first target that fails stops the run.",
        "is restored and takes back steps 2, 3 (60 s)",
        "Undoing everything is expected to take 4 min",
        "Step 3, “restart shop.service”, on web1, web2, web3, web4",
        "| all 4 | package:shop | `status=installed, version=1.0-1` |",
        "| playbooks/patch_package.yml | 842 | `abababababababab…` |",
        "remediate approve p-7f3a.plan.json --key ~/.ssh/id_ed25519",
    ],
)
def test_the_page_says(wanted: str) -> None:
    assert wanted in page(plan())


def test_one_difference_is_shown_once_with_its_targets() -> None:
    diffs = [block for block in plan_document(plan()).blocks if isinstance(block, Diff)]
    assert [diff.targets for diff in diffs] == [("web1", "web2", "web3"), ("web4",)]


def test_what_is_irreversible_is_said_first_and_in_red() -> None:
    document = plan_document(risky_plan())
    first = document.blocks[0]
    assert isinstance(first, Notice)
    assert first.level is Severity.DANGER
    assert first.text == "Step 3, “restart shop.service”, can't be undone: sessions in memory are lost"
    assert "**nothing: irreversible**" in page(risky_plan())
    assert "can't be undone. sessions in memory are lost" in page(risky_plan())


def test_a_window_that_is_too_short_is_a_warning() -> None:
    assert notices(plan_document(risky_plan()))[1][0] is Severity.WARNING
    assert "before the window opens" in page(risky_plan())
    assert not notices(plan_document(plan()))


def test_no_window_is_said() -> None:
    assert "none: it may be run at any time until it expires" in page(plan(window=None))


def test_nothing_to_do_is_a_danger_not_a_success() -> None:
    made = plan(targets=(), waves=(), steps=())
    assert (Severity.DANGER, "This plan has no targets or no steps; it can't be run.") in notices(
        plan_document(made)
    )


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        (Scope.TARGET, "Targets that are finished stay new"),
        (Scope.WAVE, "Every target of the current wave is undone"),
        (Scope.RUN, "Everything that this run changed is undone"),
    ],
)
def test_the_scope_of_a_rollback_is_said(scope: Scope, words: str) -> None:
    text = page(plan(rollback=scope, failure_budget=1))
    assert words in text
    assert "The run goes on while at most 1 target failed; one more stops it." in text


@pytest.mark.parametrize("scope", Scope)
def test_the_rollback_time_is_the_engines(scope: Scope) -> None:
    made = plan(rollback=scope)
    state = RunState.new(made)
    state.wave = len(made.waves) - 1
    state.begun = {(wave, step) for wave in range(len(made.waves)) for step in range(3)}
    assert budget(made).undo == undo_seconds(state, 2)


def test_forward_time_adds_waves_and_soak() -> None:
    assert budget(plan()).forward == 2 * (25 + 5 + 45 + 30 + 5 + 10) + 60
    assert budget(plan()).last_start(START + timedelta(hours=2)) == START + timedelta(hours=2, seconds=-550)


def test_a_check_of_a_missing_package_does_not_hide_the_page() -> None:
    broken = PlannedCheck(kind="report-sample-http", params={"nonsense": 1})
    text = page(plan(acceptance=(broken,)))
    assert 'report-sample-http {"nonsense": 1}' in text
    assert "To approve" in text


def test_a_file_name_is_quoted_for_the_shell() -> None:
    text = render(plan_document(plan(), "my plan; rm -rf.json"), Format.TEXT)
    assert "remediate approve 'my plan; rm -rf.json' --key" in text


def test_a_step_class_and_backup_level_each_have_words() -> None:
    steps = [plan().steps[1].model_copy(update={"step_class": c, "id": c.value}) for c in StepClass]
    text = page(plan(steps=tuple(steps)))
    for words in ("its mark is looked up", "the state is read", "it reverts by itself", "a person decides"):
        assert words in text


def big_plan(number: int) -> Plan:
    """As many targets as given, each with a difference of its own."""
    targets = tuple(Target(name=f"host{n:04d}", address=f"10.0.{n // 256}.{n % 256}") for n in range(number))
    names = tuple(target.name for target in targets)
    steps = [step.model_copy(update={"targets": names}) for step in plan().steps]
    steps[1] = steps[1].model_copy(
        update={
            "observed": {name: {"file:/etc/shop": {"sha256": name * 8}} for name in names},
            "preview": {name: f"--- a\n+++ b\n@@ -1 +1 @@\n-{name}\n+new\n" for name in names},
        }
    )
    waves = tuple(PlannedWave(targets=names[i : i + 250]) for i in range(0, number, 250))
    artefacts = tuple(Artefact(path=f"files/{n}", sha256="ab" * 32, size=n) for n in range(number))
    return plan(targets=targets, waves=waves, steps=tuple(steps), artefacts=artefacts)


@pytest.mark.parametrize("format_", Format)
def test_a_plan_for_a_thousand_targets_is_quick_and_says_what_it_leaves_out(format_: Format) -> None:
    made = big_plan(1000)
    began = time.process_time()
    text = render(plan_document(made), format_)
    assert time.process_time() - began < 5
    assert len(text) < 400_000
    for words in ("940 more differences", "960 more facts", "971 more files", "and 210 more"):
        assert words in text


@often
@given(texts)
def test_a_hostile_plan_is_shown_without_harm(text: str) -> None:
    clean = text.encode(errors="replace").decode()
    made = plan(
        author=clean,
        inputs={clean or "x": clean},
        runbook=RunbookRef(name=clean, source=plan().runbook.source, description=clean),
        limit=clean,
    )
    for format_ in Format:
        assert not FORBIDDEN.search(render(plan_document(made, clean), format_))
