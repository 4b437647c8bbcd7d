"""Asking until it is right."""

from __future__ import annotations

from typing import ClassVar

import pytest

from remediate.adapters.checks import ask
from remediate.model.step import Check, CheckResult, Context
from remediate.model.target import Target
from tests.adapters.hosts.world import World


class Scripted(Check):
    """Gives one answer after the other: text is right, None is wrong, an exception is raised."""

    kind: ClassVar[str] = "test-scripted"
    script: ClassVar[list[str | Exception | None]] = []

    def title(self, target: Target) -> str:
        return f"scripted on {target.name}"

    def run(self, context: Context) -> CheckResult:
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return CheckResult(title="t", ok=answer is not None, expected="e", actual=answer or "")


class Clock:
    """Time that passes only by sleeping, and a little by looking."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        self.now += 0.01
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


Script = list[str | Exception | None]


def asked(world: World, script: Script, **fields: object) -> tuple[CheckResult, list[float]]:
    clock = Clock()
    Scripted.script[:] = script
    result = ask(Scripted.model_validate(fields), world.context(), clock, clock.sleep)
    return result, clock.slept


def test_a_right_answer_is_taken_at_once(world: World) -> None:
    result, slept = asked(world, ["fine"], within="30s")
    assert (result.ok, slept) == (True, [])
    assert 0 < result.seconds < 0.1


def test_a_wrong_answer_is_asked_again_until_it_is_right(world: World) -> None:
    result, slept = asked(world, [None, ValueError("x"), "fine"], within="30s", every="2s")
    assert (result.ok, slept) == (True, [2.0, 2.0])
    assert 4 < result.seconds < 4.2


def test_the_time_is_kept(world: World) -> None:
    result, slept = asked(world, [None] * 10, within="5s", every="2s")
    assert not result.ok
    assert sum(slept) <= 5


def test_without_a_time_it_is_asked_once(world: World) -> None:
    result, slept = asked(world, [None])
    assert (result.ok, slept) == (False, [])


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("x"), OSError(5, "bad")])
def test_an_exception_is_a_failed_check(world: World, error: Exception) -> None:
    result, _ = asked(world, [error])
    assert not result.ok
    assert result.title == "scripted on here"
    assert "no answer" in result.actual


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_answer_proves_nothing(world: World, empty: str) -> None:
    Scripted.script[:] = []
    result, _ = asked(world, [empty or " "])
    assert not result.ok
    assert "proves nothing" in result.actual
