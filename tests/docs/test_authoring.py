"""The guide for authors names all that they can import, with every field and the defaults that it states."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from remediate import authoring
from remediate.model.runbook import Runbook
from remediate.model.step import Check, Step
from tests.docs.blocks import DOCS, code, rows, section

PAGE = DOCS / "writing-runbooks.md"
TEXT = PAGE.read_text(encoding="utf-8")
CHECKS = {r[0].strip("`"): r for r in rows(section(PAGE, "Checks")) if len(r) == 3}


@pytest.mark.parametrize("name", authoring.__all__)
def test_every_name_is_explained(name: str) -> None:
    assert re.search(rf"`{name}\b", TEXT), name


def _models(base: type[BaseModel]) -> list[type[BaseModel]]:
    found = [getattr(authoring, name) for name in authoring.__all__]
    return [m for m in found if isinstance(m, type) and issubclass(m, base) and m is not base]


@pytest.mark.parametrize("step", _models(Step), ids=lambda m: m.__name__)
def test_every_field_of_a_step_is_explained(step: type[Step]) -> None:
    heading = next(h for h in re.findall(r"^#### (.+)$", TEXT, re.MULTILINE) if step.__name__ in h)
    words = {w for text in code(section(PAGE, heading)) for w in re.findall(r"\w+", text)}
    own = set(step.model_fields) - set(Step.model_fields)
    assert own <= words, own - words


@pytest.mark.parametrize("field", sorted(set(Step.model_fields)))
def test_fields_of_all_steps_are_explained(field: str) -> None:
    assert field in [r[0].strip("`") for r in rows(section(PAGE, "Steps"))]


@pytest.mark.parametrize("check", _models(Check), ids=lambda m: m.__name__)
def test_every_field_of_a_check_is_explained(check: type[Check]) -> None:
    _, _, fields = CHECKS[check.__name__]
    own = set(check.model_fields) - set(Check.model_fields)
    assert own <= set(code(fields)), own - set(code(fields))


@pytest.mark.parametrize("field", sorted(set(Check.model_fields)))
def test_fields_of_all_checks_are_explained(field: str) -> None:
    assert field in [r[0].strip("`") for r in rows(section(PAGE, "Checks"))]


def test_every_part_of_a_runbook_is_explained() -> None:
    parts = {name for name in vars(Runbook) if not name.startswith("_")} - {"name", "description"}
    explained = {c.partition("(")[0] for r in rows(section(PAGE, "The class")) for c in code(r[0])}
    assert parts <= explained, parts - explained


@pytest.mark.parametrize("field", list(authoring.Waves.model_fields))
def test_defaults_of_waves(field: str) -> None:
    default = next(r[1].strip("`") for r in rows(section(PAGE, "Waves")) if r[0] == f"`{field}`")
    value = eval(default, vars(authoring))  # noqa: S307 - our own page
    assert authoring.Waves.model_fields[field].default == value


def test_step_classes_are_those_of_the_code() -> None:
    letters: dict[str, str] = {}
    for letter, _, steps in rows(section(PAGE, "Step classes")):
        letters |= dict.fromkeys(code(steps), letter)
    for step in _models(Step):
        declared = step.__dict__.get("step_class")
        if isinstance(declared, str):
            assert letters[step.__name__] == declared
