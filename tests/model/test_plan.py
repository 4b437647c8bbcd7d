"""A plan has one byte form, and what isn't exactly that is refused."""

from __future__ import annotations

import json

import pytest

import remediate
from remediate.errors import InputError, Refused
from remediate.model.base import canonical
from remediate.model.plan import parse_plan
from tests.engine.sim import make_plan


def test_a_plan_reads_back_as_itself() -> None:
    plan = make_plan().model_copy(update={"tool_version": remediate.__version__})
    again = parse_plan(plan.data)
    assert again == plan
    assert again.digest == plan.digest


@pytest.mark.parametrize("version", [remediate.__version__, "0.0.9"])
def test_another_spelling_of_the_same_plan_is_refused(version: str) -> None:
    plan = make_plan().model_copy(update={"tool_version": version})
    raw = json.loads(plan.data)
    for text in (
        json.dumps(raw),
        json.dumps(raw, indent=1),
        plan.data.decode().rstrip("\n"),
        plan.data.decode() + " ",
        plan.data.decode().replace('"author":"alice"', '"author":"alice","author":"alice"'),
    ):
        with pytest.raises((Refused, InputError)):
            parse_plan(text.encode())


def test_a_plan_of_this_version_without_a_field_is_refused() -> None:
    plan = make_plan().model_copy(update={"tool_version": remediate.__version__})
    raw = json.loads(plan.data)
    del raw["peers"]
    with pytest.raises(Refused):
        parse_plan(canonical(raw) + b"\n")


def test_a_plan_of_an_earlier_version_keeps_its_bytes() -> None:
    """Its runs can be read for ever, although later versions write more fields."""
    raw = json.loads(make_plan().model_copy(update={"tool_version": "0.0.9"}).data)
    del raw["peers"]
    data = canonical(raw) + b"\n"
    plan = parse_plan(data)
    assert plan.data == data
    assert plan.peers == ()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a plan"),
        (b"\xff\xfe", "not a plan"),
        (b"[]", "plan"),
        (b'{"format":"remediate.plan/9"}', "remediate.plan/1"),
        (b"[" * 5000, "not a plan"),
    ],
)
def test_what_is_no_plan_is_named_as_such(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_plan(data, "fix.plan.json")
