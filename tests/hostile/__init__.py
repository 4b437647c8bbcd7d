"""Hostile input of every kind ends in a clear refusal: no traceback, no waiting for ever, nothing changed.

The gate tries the same bounded examples every time; ``REMEDIATE_THOROUGH=1`` twenty times as many, new ones.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from remediate.errors import RemediateError

THOROUGH = os.environ.get("REMEDIATE_THOROUGH") == "1"
#: Of what a person is told (characters), and for one example (seconds of this process).
LONGEST = 4000
SECONDS = 5.0

Test = TypeVar("Test", bound=Callable[..., None])


def hostile(what: str, examples: int, promise: str) -> Callable[[Test], Test]:
    """So many examples; when all of them held, a row of docs/reliability.md says so.

    Args:
        what: the input, as the page names it.
        examples: of the gate.
        promise: what was seen to hold.
    """
    bounds = settings(
        max_examples=examples * (20 if THOROUGH else 1),
        derandomize=not THOROUGH,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    return lambda test: pytest.mark.hostile(what, examples, promise)(bounds(test))


@contextmanager
def clear_refusal(*allowed: type[Exception]) -> Iterator[None]:
    """The block works, or is refused by one of these errors, in few words and in little time."""
    began = time.process_time()
    try:
        yield
    except RemediateError as error:
        concise(error, kinds=allowed)
    assert time.process_time() - began < SECONDS


def concise(error: Exception, begins: str = "", kinds: tuple[type[Exception], ...] = ()) -> None:
    """It is one of ours, and says something, where it is, and not too much."""
    assert isinstance(error, kinds or (RemediateError,)), repr(error)
    problem = error.problem if isinstance(error, RemediateError) else str(error)
    assert problem.strip()
    assert problem.startswith(begins)
    assert len(str(error)) <= LONGEST
