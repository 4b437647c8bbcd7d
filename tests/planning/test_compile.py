"""What a plan must hold: facts that a rollback is compared with, and whose each estimate is."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from remediate.errors import InputError
from remediate.model.plan import PlannedStep
from remediate.model.step import Estimate
from tests.planning.world import FIRST, World

LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.targets = tuple(t.model_copy(update={"vars": LOCAL}) for t in made.targets)
    return made


BLIND = 'RunCommand(argv=["true"], undo_with=["true"]{more})'


@pytest.mark.parametrize(
    "steps",
    [
        ["yield " + BLIND.format(more="")],
        ["yield " + BLIND.format(more=""), 'yield RunCommand(argv=["true"], irreversible="x")'],
        ["yield " + BLIND.format(more=""), 'yield File(path="/tmp/x", content="x", on="web2")'],
        ["yield " + BLIND.format(more=', on="web1"'), 'yield Verify([Tcp("a", 80)])'],
    ],
)
def test_a_change_of_which_nothing_is_observed_is_refused(steps: list[str], world: World) -> None:
    with pytest.raises(InputError) as refused:
        world.plan(*steps)
    assert refused.value.problem == (
        f"runbooks/oops.py:{FIRST}: step 1 (run true): nothing is observed on web1, so nothing could "
        "prove that a rollback put it back"
    )
    for word in ("touches=", "watch=", "protect=", "irreversible="):
        assert word in refused.value.advice


@pytest.mark.parametrize(
    "steps",
    [
        ["yield " + BLIND.format(more=', touches=["/tmp/x"]')],
        ["yield " + BLIND.format(more=', creates="/tmp/x"')],
        ["yield " + BLIND.format(more=', protect=[HostBackup(files=["/tmp/x"])]')],
        ["yield " + BLIND.format(more=""), 'yield File(path="/tmp/x", content="x")'],
        ['yield RunCommand(argv=["true"], irreversible="x")'],
        ['yield Verify([Tcp("a", 80)])'],
    ],
)
def test_one_fact_or_no_promise_is_enough(steps: list[str], world: World) -> None:
    assert world.plan(*steps).steps


def _known(estimate: Estimate | None, _runbook: str, _step: PlannedStep) -> Estimate | None:
    return estimate


def test_an_estimate_says_where_it_comes_from(world: World) -> None:
    verify = 'yield Verify([Tcp("a", 80)]{more})'
    own = 'estimate=Estimate(apply="2m", source="default")'
    for more, history, source in (
        ("", None, "default"),
        ("", Estimate(source="3 earlier"), "3 earlier"),
        (f", {own}", None, "author"),
        (', estimate={"apply": 120}', Estimate(source="3 earlier"), "author"),
    ):
        world.history = partial(_known, history)
        step = world.plan(verify.format(more=more)).steps[0]
        assert step.estimate.source == source
        assert step.estimate.apply == (120 if source == "author" else step.estimate.apply)
