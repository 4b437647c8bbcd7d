"""The RunCommand step: once, and decidable afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from remediate.adapters.hosts.attempts import note_start
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.command import RunCommand
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import StepClass, Verdict
from tests.adapters.hosts.pace import Held, once, until
from tests.adapters.hosts.world import World


def shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def test_apply_and_undo(world: World, tmp_path: Path) -> None:
    mark = str(tmp_path / "mark")
    step = RunCommand(argv=("touch", mark), undo_with=("rm", "-f", mark))
    assert step.undoable
    assert step.protection() == ()
    assert step.apply(world.context()).changed
    assert Path(mark).exists()
    for _ in range(2):
        step.undo(world.context())
        assert not Path(mark).exists()


def test_words_are_filled_in_and_other_braces_stay(world: World) -> None:
    step = RunCommand(argv=("echo", "{target.name}", "${HOME}", "{x}"))
    assert step.apply(world.context()).detail == "here ${HOME} {x}"


def test_a_missing_variable_fails_before_anything_is_done(world: World) -> None:
    step = RunCommand(argv=("echo", "{target.vars.nothing}"))
    with pytest.raises(StepFailed, match="no variable 'nothing'"):
        step.apply(world.context())
    assert step.probe(world.context()).verdict is Verdict.NOT_APPLIED


def test_a_bad_end_is_a_failed_step_that_says_why(world: World) -> None:
    with pytest.raises(StepFailed, match="exit code 3: out of cheese"):
        RunCommand(argv=shell("echo out of cheese >&2; exit 3")).apply(world.context())


def test_it_is_skipped_when_it_was_done(world: World, tmp_path: Path) -> None:
    path = tmp_path / "made"
    step = RunCommand(argv=("false",), creates=str(path))
    with pytest.raises(StepFailed):
        step.apply(world.context())
    path.touch()
    assert step.apply(world.context()).summary == f"not run: {path} is there"
    step = RunCommand(argv=("false",), unless=("true",))
    assert step.apply(world.context()).summary == "not run: true succeeds"


@pytest.mark.parametrize(("pattern", "changed"), [(None, True), ("^done", True), ("nothing", False)])
def test_changed_when(world: World, pattern: str | None, changed: bool) -> None:
    step = RunCommand(argv=("echo", "done"), changed_when=pattern)
    assert step.apply(world.context()).changed is changed


def test_the_class_depends_on_what_the_author_promises() -> None:
    assert RunCommand(argv=("x",)).step_class is StepClass.OPAQUE
    assert RunCommand(argv=("x",), idempotent=True).step_class is StepClass.STATE_BASED
    assert RunCommand(argv=("x",), creates="/x").step_class is StepClass.STATE_BASED
    assert RunCommand(argv=("x",), unless=("y",)).step_class is StepClass.STATE_BASED


def test_what_it_touches_is_observed_and_protected(world: World, tmp_path: Path) -> None:
    step = RunCommand(argv=("true",), touches=(str(tmp_path / "a"),), creates=str(tmp_path / "b"))
    assert list(step.observe(world.context())) == [f"file:{tmp_path}/a", f"file:{tmp_path}/b"]
    assert step.protection() == (HostBackup(files=(str(tmp_path / "a"),)),)
    assert RunCommand(argv=("true",)).observe(world.context()) == {}
    assert RunCommand(argv=("true",)).protection() == ()


def test_in_doubt_it_can_be_decided(world: World, tmp_path: Path) -> None:
    held = Held(tmp_path)
    step = RunCommand(argv=held.argv("exit 4"))
    context = world.context()
    with pytest.raises(InDoubt), once(held.begun, world.client().session._pipe.close):
        step.apply(context)
    assert not step.quiesce(context)
    assert step.probe(context).verdict is Verdict.RUNNING
    held.let_go()
    until(lambda: step.quiesce(context))
    found = step.probe(context)
    assert (found.verdict, "exit code 4" in found.evidence) == (Verdict.PARTIAL, True)


def test_one_that_ended_well_was_applied(world: World) -> None:
    step = RunCommand(argv=("true",))
    step.apply(world.context())
    assert step.probe(world.context()).verdict is Verdict.APPLIED


def test_one_that_was_never_begun_was_not_applied(world: World) -> None:
    step = RunCommand(argv=("true",))
    context = world.context()
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    note_start(context, world.client(), str(context.token))
    assert step.probe(context).verdict is Verdict.NOT_APPLIED


def test_after_a_boot_nobody_knows(world: World) -> None:
    step = RunCommand(argv=("true",))
    context = world.context()
    note_start(context, world.client(), str(context.token))
    for note in context.workspace.glob("started-*"):
        note.write_text("an earlier boot")
    assert step.probe(context).verdict is Verdict.UNKNOWN


def test_release_removes_the_records(world: World) -> None:
    step = RunCommand(argv=("true",))
    step.apply(world.context())
    assert step.release(world.context()).changed
    assert not step.release(world.context()).changed


@pytest.mark.parametrize(
    "fields", [{"argv": ()}, {"argv": ("x",), "changed_when": "("}, {"argv": ("x",), "undo_with": ()}]
)
def test_nonsense_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        RunCommand.model_validate(fields)
