"""Load tests: what they measured, and the thresholds that decide whether that is good enough."""

from __future__ import annotations

import math
import shutil
import tempfile
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from remediate.adapters.checks import programs
from remediate.adapters.checks.question import Finding, Question
from remediate.errors import InputError
from remediate.model.base import Duration, Frozen
from remediate.model.clip import clip
from remediate.model.inputs import ProjectPath
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 700


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out of a load test. Times in milliseconds, ``throughput`` in samples per second.

    A number that the program does not tell is NaN, and no threshold holds for it.

    Raises:
        ValueError: these numbers can't have been measured.
    """

    samples: int
    errors: int
    average_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float
    complaints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.average_ms, self.p95_ms, self.p99_ms, self.throughput)
        if not 0 <= self.errors <= self.samples or any(n < 0 or n == math.inf for n in numbers):
            raise ValueError(f"these numbers can't have been measured: {clip(str(self), _SHOWN)}")

    @property
    def errors_percent(self) -> float:
        """Failed samples of a hundred; NaN without a sample."""
        return 100.0 * self.errors / self.samples if self.samples else math.nan

    def __str__(self) -> str:
        return (
            f"{self.samples} samples, {self.errors_percent:.2f} % errors, average {self.average_ms:.0f} ms, "
            f"p95 {self.p95_ms:.0f} ms, p99 {self.p99_ms:.0f} ms, {self.throughput:.1f} per second"
        )


class Thresholds(Frozen):
    """What a load test must reach; None doesn't ask.

    Attributes:
        errors_percent: at most so many failed samples of a hundred.
        average_ms: response time at most, on average.
        p95_ms: response time at most, of 95 of 100 samples.
        p99_ms: likewise, of 99 of 100.
        throughput: at least so many samples per second.
        samples: at least so many samples: fewer prove nothing.
    """

    errors_percent: float = Field(default=0.0, ge=0, le=100)
    average_ms: float | None = Field(default=None, gt=0)
    p95_ms: float | None = Field(default=None, gt=0)
    p99_ms: float | None = Field(default=None, gt=0)
    throughput: float | None = Field(default=None, gt=0)
    samples: int = Field(default=1, ge=1)

    def __str__(self) -> str:
        words = [f"errors at most {self.errors_percent:g} %"]
        words += [f"{name} at most {limit:g} ms" for name, limit in self._times()]
        words += [f"at least {self.throughput:g} per second"] if self.throughput else []
        return ", ".join([*words, f"at least {self.samples} samples"])

    def _times(self) -> Iterator[tuple[str, float]]:
        named = {"average": self.average_ms, "p95": self.p95_ms, "p99": self.p99_ms}
        yield from ((name, limit) for name, limit in named.items() if limit is not None)

    def crossed(self, found: Measured) -> list[str]:
        """Every threshold that was not kept, in words."""
        if found.samples < self.samples:
            return [f"{found.samples} samples are fewer than {self.samples}"]
        seen = {"average": found.average_ms, "p95": found.p95_ms, "p99": found.p99_ms}
        # Written so that NaN, for which no comparison holds, crosses each of them.
        bad = [
            f"{name} {seen[name]:g} ms, not at most {limit:g}"
            for name, limit in self._times()
            if not seen[name] <= limit
        ]
        if not found.errors_percent <= self.errors_percent:
            bad.append(f"{found.errors_percent:.2f} % errors, not at most {self.errors_percent:g}")
        if self.throughput is not None and not found.throughput >= self.throughput:
            bad.append(f"{found.throughput:.1f} per second, not at least {self.throughput:g}")
        return bad


class LoadTest(Question):
    """A load test of the project, run on this machine against the target.

    The load is part of the plan: ``users`` (threads, virtual users) at the same time for ``duration``; after
    ``duration`` and ``start`` (what the program itself may take) it is ended, and has failed. It is asked
    once only, unless ``once=False``. ``helpers`` are further files of the project that it reads.
    """

    install: ClassVar[str]
    """The command that installs the program."""

    path: ProjectPath
    users: int = Field(default=1, ge=1, le=1000)
    duration: Duration = Field(default=10.0, gt=0, le=3600)
    start: Duration = 30.0
    thresholds: Thresholds = Thresholds()
    helpers: tuple[ProjectPath, ...] = ()
    program: str = ""
    once: bool = True

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The test and what it reads."""
        return tuple(map(Path, (self.path, *self.helpers)))

    def subject(self, target: Target) -> str:
        """The load."""
        return f"{self.path} against {target.name}, {self.users} users for {self.duration:g} s"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The thresholds."""
        return str(self.thresholds)

    @abstractmethod
    def arguments(self, context: Context, folder: Path) -> Sequence[str]:
        """The command, without the program. It writes what it measures below ``folder``.

        Raises:
            InputError: the file asks for more load than the plan says.
        """

    @abstractmethod
    def read(self, code: int, folder: Path) -> Measured:
        """What it wrote.

        Raises:
            InputError: there is nothing, or nothing that can be read; or it says itself that it failed.
        """

    def look(self, context: Context) -> Finding:
        """Run it once."""
        if not (context.artefacts / self.path).is_file():
            return Finding(False, f"there is no {self.path}")
        program = shutil.which(self.program or self.kind)
        if program is None:
            return Finding(False, f"{self.program or self.kind} is not installed; install it: {self.install}")
        with tempfile.TemporaryDirectory(prefix="remediate-") as name:
            folder = Path(name)
            argv = [program, *self.arguments(context, folder)]
            target = {"TARGET_NAME": context.target.name, "TARGET_ADDRESS": context.target.address}
            env = programs.environment({**target, "HOME": name})
            limit = self.duration + self.start
            ended = programs.run(argv, seconds=limit, cwd=context.artefacts, env=env, install=self.install)
            if ended.code is None:
                return Finding(False, f"not done within {limit:g} s")
            try:
                found = self.read(ended.code, folder)
            except Exception as error:  # the file holds whatever the program wrote
                why = error.problem if isinstance(error, InputError) else f"no results: {error}"
                return Finding(False, clip(f"{why} (exit code {ended.code}): {ended.said.strip()}", _SHOWN))
        return self._judge(found)

    def _judge(self, found: Measured) -> Finding:
        crossed = self.thresholds.crossed(found)
        words = "; ".join([*crossed, str(found), *(found.complaints if crossed else ())])
        return Finding(not crossed, clip(words, _SHOWN))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that so many of a hundred do not exceed (nearest rank); NaN of nothing."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
