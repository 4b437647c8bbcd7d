"""Threads that work beside the deciding one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from remediate.engine.port import Job

T = TypeVar("T")

#: A stretch of an action. True when the action is over; False when it waits, and is resumed later.
Stretch = Callable[[], bool]


class Pool(Protocol):
    """Runs actions."""

    def start(self, work: Stretch) -> None:
        """Begin an action, now or when others are over."""

    def resume(self, work: Stretch) -> None:
        """Go on with an action that waited."""

    def each(self, work: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]:
        """Run it over jobs, results in order."""


class ThreadPool:
    """``parallel`` actions at once, those that wait included, and as many reads within batches.

    A thread that is woken wakes at most one more. Work that keeps the interpreter busy is so done by few
    threads, which don't take its lock from each other; once one waits for a target, the next goes on.
    """

    def __init__(self, parallel: int) -> None:
        self._lock = threading.Lock()
        self._fresh: deque[Stretch] = deque()
        self._resumed: deque[Stretch] = deque()
        self._parallel = self._free = parallel
        self._closing = False
        self._bell = threading.Lock()
        """Who has nothing to do waits to acquire it; who rings releases it."""
        self._bell.acquire()
        self._ringing = False
        self._threads = [
            threading.Thread(target=self._loop, name=f"action-{n}", daemon=True) for n in range(parallel)
        ]
        for thread in self._threads:
            thread.start()
        self._reads = ThreadPoolExecutor(parallel, thread_name_prefix="read")

    def start(self, work: Stretch) -> None:
        """See `Pool.start`."""
        with self._lock:
            self._fresh.append(work)
            self._ring()

    def resume(self, work: Stretch) -> None:
        """See `Pool.resume`."""
        with self._lock:
            self._resumed.append(work)
            self._ring()

    def each(self, work: Callable[[Job], T], jobs: Sequence[Job]) -> list[T]:
        """See `Pool.each`."""
        return [work(jobs[0])] if len(jobs) == 1 else list(self._reads.map(work, jobs))

    def close(self) -> None:
        """Wait for actions that have begun, forget those that have not, then stop the threads."""
        with self._lock:
            self._closing = True
            self._fresh.clear()
            self._ring()
        for thread in self._threads:
            thread.join()
        self._reads.shutdown(wait=True, cancel_futures=True)

    def _loop(self) -> None:
        over = woken = False
        while True:
            work = self._next(over=over, woken=woken)
            over = woken = False
            if work is not None:
                over = work()
            elif self._finished:
                return
            else:
                self._bell.acquire()
                woken = True

    def _next(self, *, over: bool, woken: bool) -> Stretch | None:
        with self._lock:
            self._free += over
            if woken:
                self._ringing = False
            found = None
            if self._resumed:
                found = self._resumed.popleft()
            elif self._fresh and self._free:
                self._free -= 1
                found = self._fresh.popleft()
            if self._resumed or (self._fresh and self._free) or self._finished:
                self._ring()
            return found

    def _ring(self) -> None:
        """Wake one thread that has nothing to do, or the next that would wait. Call with the lock."""
        if not self._ringing:
            self._ringing = True
            self._bell.release()

    @property
    def _finished(self) -> bool:
        return self._closing and self._free == self._parallel
