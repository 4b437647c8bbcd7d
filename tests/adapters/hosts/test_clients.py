"""The pool of connections under threads."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from remediate.adapters.clients import ClientPool
from remediate.errors import StepFailed
from tests.adapters.hosts.pace import until


def _keep(_client: object) -> None:
    """Closing does nothing."""


def test_one_key_is_opened_once_however_many_ask() -> None:
    opened: list[int] = []

    def open_() -> object:
        opened.append(1)
        time.sleep(0.05)
        return object()

    with ClientPool() as pool, ThreadPoolExecutor(8) as threads:
        got = {id(client) for client in threads.map(lambda _: pool.get(("a",), open_, _keep), range(8))}
    assert len(got) == len(opened) == 1


def test_different_keys_open_at_the_same_time() -> None:
    together = threading.Barrier(4, timeout=5)
    with ClientPool() as pool, ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda n: pool.get((str(n),), together.wait, _keep), range(4)))
    assert sorted(opened) == [0, 1, 2, 3]


def test_what_failed_to_open_is_tried_again() -> None:
    tries: list[int] = []

    def open_() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise StepFailed("no")
        return "client"

    with ClientPool() as pool:
        with pytest.raises(StepFailed):
            pool.get(("a",), open_, _keep)
        assert pool.get(("a",), open_, _keep) == "client"


def test_drop_closes_and_forgets() -> None:
    closed: list[str] = []
    numbers = iter("12")
    with ClientPool() as pool:
        assert pool.get(("a",), lambda: next(numbers), closed.append) == "1"
        pool.drop(("a",))
        pool.drop(("a",))
        pool.drop(("unknown",))
        assert closed == ["1"]
        assert pool.get(("a",), lambda: next(numbers), closed.append) == "2"
    assert closed == ["1", "2"]


def test_one_that_can_not_be_closed_keeps_no_other_open() -> None:
    closed: list[str] = []

    def bad(_: str) -> None:
        raise OSError("stuck")

    with ClientPool() as pool:
        pool.get(("a",), lambda: "a", bad)
        pool.get(("b",), lambda: "b", closed.append)
    assert closed == ["b"]


def test_after_the_end_nothing_is_opened_and_nothing_stays() -> None:
    closed: list[str] = []
    pool = ClientPool()
    begun, go = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        go.wait(5)
        return "late"

    with ThreadPoolExecutor(2) as threads:
        late = threads.submit(pool.get, ("a",), slow, closed.append)
        begun.wait(5)
        ending = threads.submit(pool.close)
        until(lambda: pool._closed)
        go.set()
        with pytest.raises(StepFailed):
            late.result()
        ending.result()
    assert closed == ["late"]
    with pytest.raises(StepFailed):
        pool.get(("b",), lambda: "b", closed.append)


def test_a_fresh_pool_shares_nothing() -> None:
    with ClientPool() as pool:
        first = pool.get(("a",), object, _keep)
        with pool.fresh() as other:
            assert other.get(("a",), object, _keep) is not first
        assert pool.get(("a",), object, _keep) is first
