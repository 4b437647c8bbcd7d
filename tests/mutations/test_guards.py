"""Each guard is taken out of a copy of the source, and then the test that is named beside it has to fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, cast

import pytest

from tests.mutations.copy import Copy, Tried
from tests.mutations.guard import Guard
from tests.mutations.guards import GUARDS
from tests.reliability import record

_COPIES = 2
#: An end by one of these tells of a text that fits no more, not of a promise that was broken.
_MERE_DAMAGE = {
    "AttributeError", "ImportError", "IndentationError", "IndexError", "KeyError", "ModuleNotFoundError",
    "NameError", "SyntaxError", "TypeError", "UnboundLocalError", "ValidationError",
}  # fmt: skip


class Trials(NamedTuple):
    """What became of all tests with all guards in place, and of each guard's test without it."""

    passed: set[str]
    log: str
    without: dict[Guard, Future[Tried]]


@pytest.fixture(scope="module")
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    """All guards that this session asks for, tried in two copies side by side."""
    asked: list[Guard] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_without_it_a_test_fails:
            asked.append(cast(Guard, item.callspec.params["guard"]))
    folder = tmp_path_factory.mktemp("mutations")
    copies = [Copy(folder / str(number)) for number in range(_COPIES)]
    free: SimpleQueue[Copy] = SimpleQueue()

    def without(guard: Guard) -> Tried:
        copy = free.get()
        try:
            return copy.without(guard)
        finally:
            free.put(copy)

    with ThreadPoolExecutor(_COPIES) as pool:
        names = sorted({guard.test for guard in asked})
        shares = [names[number::_COPIES] for number in range(_COPIES)]
        whole = list(pool.map(Copy.as_it_is, copies, shares))
        for copy in copies:
            free.put(copy)
        passed = {name for tried in whole for name in tried.passed} - {n for t in whole for n in t.failed}
        log = "\n".join(tried.log for tried in whole)
        yield Trials(passed, log, {guard: pool.submit(without, guard) for guard in asked})
        pool.shutdown(cancel_futures=True)
    for copy in copies:
        copy.close()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_without_it_a_test_fails(guard: Guard, trials: Trials) -> None:
    assert f"tests/{guard.test}" in trials.passed, trials.log
    without = trials.without[guard].result()
    assert guard.module in without.imported, f"{guard.test} does not use {guard.file}: {without.log}"
    assert without.broken == [], without.log
    assert without.failures, f"{guard.test} passes without it"
    assert not _MERE_DAMAGE.intersection(without.failures), without.log
    record("mutations", guard.promise, guard.guard, guard.test)


def test_each_promise_has_guards() -> None:
    promises = Counter(guard.promise for guard in GUARDS)
    assert set(promises) == {f"V{number}" for number in range(1, 16)} | {"L1"}


def test_each_guard_is_told_once() -> None:
    assert [text for text, count in Counter(g.name for g in GUARDS).items() if count > 1] == []
    assert [
        text for text, count in Counter((g.file, g.old, g.new) for g in GUARDS).items() if count > 1
    ] == []


def test_a_test_that_fails_anyhow_or_never_is_told(tmp_path: Path) -> None:
    """What this file relies on: a fault of the copy is seen, and so is a guard that no test misses."""
    copy = Copy(tmp_path / "copy")
    guard = GUARDS[0]._replace(old="import", new="impart")
    with pytest.raises(ValueError, match="holds this"):
        copy.without(guard)
    first = 'raise StepFailed("fork") from None\n'
    damaged = Guard(
        "V1", "none", "engine/failure.py", '"""What an exception', first + '"""What', GUARDS[0].test
    )
    assert copy.without(damaged).broken
    idle = Guard("V1", "none", "engine/failure.py", "What an exception", "What any exception", GUARDS[0].test)
    assert copy.without(idle).passed
    copy.close()
