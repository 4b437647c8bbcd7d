"""What all benchmarks share: interleaved measurements, a line about the machine, a verdict per target."""

from __future__ import annotations

import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

Figures = dict[str, list[float]]


def interleaved(rounds: int, subjects: Mapping[str, Callable[[], float]]) -> Figures:
    """Seconds by subject: A B A B, not A A B B, so that a busy minute of the machine hits all of them."""
    found: Figures = {name: [] for name in subjects}
    for number in range(1, rounds + 1):
        for name, measure in subjects.items():
            found[name].append(measure())
        shown = ", ".join(f"{name} {seconds[-1]:.2f}" for name, seconds in found.items())
        print(f"round {number} of {rounds}: {shown} s", flush=True)
    return found


def command(argv: Sequence[str | Path], log: Path, **environment: str) -> float:
    """Seconds that a program takes; what it prints goes to ``log``.

    Raises:
        SystemExit: it failed; the message ends with what it said.
    """
    env = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", **environment}
    began = time.perf_counter()
    with log.open("wb") as output:
        done = subprocess.run(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            check=False,
        )
    took = time.perf_counter() - began
    if done.returncode:
        said = log.read_text(errors="replace")[-2000:]
        raise SystemExit(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{said}")
    return took


def machine() -> str:
    """One line: what was measured on, when, and how busy it was with other things."""
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    python = platform.python_version()
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {cores} cores, {_processor()}, Python {python}, load {load:.1f}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


@dataclass
class Verdicts:
    """Collects what was asked for and what was measured; `end` leaves with exit code 1 if anything failed."""

    failed: list[str] = field(default_factory=list)

    def at_most(self, what: str, value: float, limit: float, unit: str = "x") -> None:
        """Ask that a value is no higher than ``limit``."""
        self._note(f"{what}: {value:,.2f} {unit}, at most {limit:,g}", value <= limit)

    def at_least(self, what: str, value: float, limit: float, unit: str = "x") -> None:
        """Ask that a value is no lower than ``limit``."""
        self._note(f"{what}: {value:,.2f} {unit}, at least {limit:,g}", value >= limit)

    def _note(self, text: str, ok: bool) -> None:
        print(f"{'PASS' if ok else 'FAIL'}  {text}")
        if not ok:
            self.failed.append(text)

    def end(self) -> None:
        """Leave the program."""
        sys.exit(1 if self.failed else 0)


def medians(figures: Figures) -> dict[str, float]:
    """Prints and returns the median by subject, with the extremes."""
    found = {}
    for name, values in figures.items():
        found[name] = statistics.median(values)
        print(
            f"{name}: median {found[name]:.3f} s ({min(values):.3f} to {max(values):.3f}, {len(values)} runs)"
        )
    return found


@contextmanager
def ended_in_order() -> Iterator[None]:
    """A termination from outside ends the block as Ctrl-C does, so that it clears up behind itself."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    kept = {s: signal.signal(s, leave) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
