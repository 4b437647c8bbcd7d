"""The File step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.file import File
from remediate.adapters.hosts.keys import file_key
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.step import Verdict
from tests.adapters.hosts.world import World


def test_apply_confirm_and_again(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    step = File(path=str(path), content="a = 1\n", mode="0600")
    before = step.observe(world.context())
    assert before == {file_key(str(path)): {"kind": "absent"}}
    assert step.probe(world.context(before=before)).verdict is Verdict.NOT_APPLIED
    assert step.apply(world.context()).changed
    assert path.read_text() == "a = 1\n"
    assert [check.ok for check in step.confirm(world.context())] == [True]
    assert step.probe(world.context(before=before)).verdict is Verdict.APPLIED
    again = step.apply(world.context())
    assert (again.changed, again.summary) == (False, f"{path} was right")


def test_confirm_and_probe_see_what_somebody_else_wrote(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("old")
    step = File(path=str(path), content="new")
    before = step.observe(world.context())
    step.apply(world.context())
    path.write_text("third")
    (check,) = step.confirm(world.context())
    assert not check.ok
    assert "sha256 is" in check.actual
    assert step.probe(world.context(before=before)).verdict is Verdict.PARTIAL


def test_one_look_reads_a_fact_once(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("old")
    step, backup = File(path=str(path), content="new"), HostBackup(files=(str(path),))
    seen: State = {}
    first = backup.observe(replace(world.context(), seen=seen))
    path.write_text("somebody else's")
    assert step.observe(replace(world.context(), seen=seen)) == first
    assert step.observe(replace(world.context(), seen={})) == step.observe(world.context()) != first


def test_what_changed_since_it_was_observed_fails_the_verification(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("new")
    step = File(path=str(path), content="new")
    context = world.context(before=step.observe(world.context()))
    path.write_text("third")
    assert not step.apply(context).changed
    assert [check.ok for check in step.confirm(context)] == [False]


def test_preview_is_a_diff(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("one\ntwo\n")
    text = File(path=str(path), content="one\nthree", owner="daemon", mode="0600").preview(world.context())
    assert "-two\n+three\n\\ No newline at end of file\n" in text
    assert f"owner of {path}: root -> daemon\n" in text
    assert f"mode of {path}: 0644 -> 0600\n" in text
    assert path.read_text() == "one\ntwo\n"
    assert File(path=str(path), content="one\ntwo\n").preview(world.context()) == ""
    path.write_bytes(b"\0\1")
    assert File(path=str(path), content="x").preview(world.context()).startswith("binary ")


def test_a_source_file_of_the_project(world: World, tmp_path: Path) -> None:
    (tmp_path / "project" / "files").mkdir()
    (tmp_path / "project" / "files" / "logo").write_bytes(b"\x89PNG\0")
    step = File(path=str(tmp_path / "logo"), source="files/logo")
    assert step.artefacts(tmp_path / "project") == (Path("files/logo"),)
    step.apply(world.context())
    assert (tmp_path / "logo").read_bytes() == b"\x89PNG\0"


def test_a_template_gets_vars_and_the_target(world: World, tmp_path: Path) -> None:
    template = tmp_path / "project" / "app.j2"
    template.write_text(
        "{{ target.name }} {{ target.address }} {{ port }}\n{% for x in more %}{{ x }};{% endfor %}\n"
    )
    step = File(path=str(tmp_path / "out"), template="app.j2", vars={"port": 80, "more": ["a", "b"]})
    step.apply(world.context())
    assert (tmp_path / "out").read_text() == "here 127.0.0.1 80\na;b;\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("line\n{% if %}", r"app\.j2:2"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ target.vars.nothing.deep }}", "no attribute 'nothing'"),
    ],
)
def test_a_template_that_can_not_be_rendered_shows_while_planning(
    world: World, tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "project" / "app.j2").write_text(text)
    step = File(path=str(tmp_path / "out"), template="app.j2")
    for act in (step.observe, step.apply):
        with pytest.raises(StepFailed, match=why):
            act(world.context())
    assert not (tmp_path / "out").exists()


def test_values_are_not_templates(world: World, tmp_path: Path) -> None:
    (tmp_path / "project" / "app.j2").write_text("{{ value }}")
    step = File(path=str(tmp_path / "out"), template="app.j2", vars={"value": "{{ 7*7 }}"})
    step.apply(world.context())
    assert (tmp_path / "out").read_text() == "{{ 7*7 }}"


def test_refused_content_fails_the_step_and_changes_nothing(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    path.write_text("old")
    step = File(path=str(path), content="new", validated_by=("grep", "old", "{file}"))
    with pytest.raises(StepFailed, match="was refused by grep"):
        step.apply(world.context())
    assert path.read_text() == "old"


def test_it_is_protected_with_its_unit(tmp_path: Path) -> None:
    step = File(path="/etc/app.conf", content="", restart="app")
    assert step.protection() == (HostBackup(files=("/etc/app.conf",), services=("app",)),)
    assert step.title() == "write /etc/app.conf, then restart app"


@pytest.mark.parametrize(
    "fields",
    [
        {"path": "/x"},
        {"path": "/x", "content": "", "source": "a"},
        {"path": "/x", "content": "", "vars": {"a": 1}},
        {"path": "/x", "content": "", "reload": "a", "restart": "a"},
        {"path": "x", "content": ""},
        {"path": "/x", "content": "", "mode": "644"},
        {"path": "/x", "source": "../secret"},
        {"path": "/x", "content": "", "unknown": 1},
    ],
)
def test_nonsense_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        File.model_validate(fields)


def test_undo_by_its_backup(world: World, tmp_path: Path) -> None:
    path = tmp_path / "app.conf"
    step = File(path=str(path), content="new")
    (backup,) = step.protection()
    data = backup.apply(world.context("backup")).data
    step.apply(world.context())
    assert path.exists()
    backup.undo(world.context("backup", data=data))
    assert not path.exists()
