"""Things that happen one after the other, however slow the machine is: no test guesses how long one takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

LONG = 30.0


def until(condition: Callable[[], bool], seconds: float = LONG) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


@contextmanager
def once(condition: Callable[[], bool], act: Callable[[], object]) -> Iterator[None]:
    """Meanwhile, as soon as the condition is true, act. The test fails if it never came true."""
    came: list[bool] = []

    def wait() -> None:
        try:
            until(condition)
            came.append(True)
        finally:
            # Whoever waits for it must not wait for ever.
            act()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    assert came, "what the test waits for never began"


@dataclass(frozen=True)
class Held:
    """A shell command of this machine that marks that it runs, and goes on only when it is let go."""

    folder: Path

    def argv(self, then: str, before: str = "true") -> tuple[str, ...]:
        """``before``, the mark, the wait, ``then``."""
        wait = f"touch {self.folder}/begun; while [ ! -e {self.folder}/go ]; do sleep 0.02; done"
        return ("sh", "-c", f"{before}; {wait}; {then}")

    def begun(self) -> bool:
        """Whether it got as far as the wait."""
        return (self.folder / "begun").exists()

    def let_go(self) -> None:
        """It goes on."""
        (self.folder / "go").touch()
