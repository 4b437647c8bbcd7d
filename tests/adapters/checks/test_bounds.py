"""Numbers and the bounds that they lie within."""

from __future__ import annotations

import math

import pytest

from remediate.adapters.checks.bounds import Bounds


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_lies_within_no_bounds(value: float) -> None:
    assert not Bounds().holds(value)
    assert not Bounds(at_least=0).holds(value)
    assert not Bounds(at_most=0).holds(value)


def test_both_bounds_belong_to_it() -> None:
    bounds = Bounds(at_least=1, at_most=2)
    assert [bounds.holds(value) for value in (0.9, 1, 2, 2.1)] == [False, True, True, False]
