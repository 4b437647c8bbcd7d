"""The pool's threads: as many actions at once as it may have, none lost, none begun after its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from remediate.engine.pool import Stretch, ThreadPool

LONG = 20.0


@contextmanager
def pool(parallel: int) -> Iterator[ThreadPool]:
    made = ThreadPool(parallel)
    yield made
    # Not after a failure: what still waits would never end.
    made.close()


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_all_threads_work_when_each_waits_for_its_target() -> None:
    together = threading.Barrier(8)

    def meet() -> bool:
        together.wait(LONG)
        return True

    with pool(8) as threads:
        for _ in range(8):
            threads.start(meet)
        until(lambda: together.n_waiting == 0 and threads._free == 8)


def test_no_more_actions_at_once_than_it_may_have_even_while_they_wait() -> None:
    begun: list[int] = []
    ended: list[int] = []

    def first(number: int) -> Stretch:
        def work() -> bool:
            begun.append(number)
            return False

        return work

    def last(number: int) -> Stretch:
        def work() -> bool:
            ended.append(number)
            return True

        return work

    with pool(3) as threads:
        for number in range(10):
            threads.start(first(number))
        until(lambda: len(begun) == 3)
        time.sleep(0.05)
        for number in range(10):
            assert begun == list(range(number + 3))[:10]
            threads.resume(last(number))
            until(lambda: len(begun) == min(10, number + 4) and len(ended) == number + 1)  # noqa: B023
    assert ended == list(range(10))


def test_close_waits_for_what_has_begun_and_forgets_the_rest() -> None:
    seen: list[str] = []
    waits = threading.Event()
    threads = ThreadPool(1)

    def begin() -> bool:
        seen.append("begun")
        waits.set()
        return False

    def end() -> bool:
        seen.append("ended")
        return True

    def never() -> bool:
        seen.append("never")
        return True

    threads.start(begin)
    threads.start(never)
    assert waits.wait(LONG)
    closing = threading.Thread(target=threads.close)
    closing.start()
    time.sleep(0.05)
    assert closing.is_alive()
    threads.resume(end)
    closing.join(LONG)
    assert not closing.is_alive()
    assert seen == ["begun", "ended"]


def test_a_storm_of_short_actions_loses_none() -> None:
    count = 20_000
    ended = 0
    guard = threading.Lock()

    def last() -> bool:
        nonlocal ended
        with guard:
            ended += 1
        return True

    with pool(16) as threads:

        def first() -> bool:
            threads.resume(last)
            return False

        for _ in range(count):
            threads.start(first)
        until(lambda: ended == count)
