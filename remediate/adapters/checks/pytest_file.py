"""Functional regression tests of the project, run against the target."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from remediate.adapters.checks import programs
from remediate.adapters.checks.question import Finding, Question
from remediate.model.base import Duration
from remediate.model.clip import clip
from remediate.model.inputs import ProjectPath
from remediate.model.step import Context
from remediate.model.target import Target

_SHOWN = 1500


@dataclass(frozen=True, slots=True)
class Counts:
    """What a JUnit report says."""

    tests: int
    failed: int
    skipped: int
    messages: tuple[str, ...] = ()

    @property
    def passed(self) -> int:
        """Tests that ran and were right."""
        return self.tests - self.failed - self.skipped


class PytestFile(Question):
    """Every test in this pytest file passes, and at least one ran.

    The tests run on this machine, in a process of their own, with TARGET_NAME and TARGET_ADDRESS in the
    environment. The file and ``helpers`` (conftest.py, data) are part of the plan; nothing else is there.
    """

    kind: ClassVar[str] = "pytest"

    path: ProjectPath
    helpers: tuple[ProjectPath, ...] = ()
    timeout: Duration = 300.0

    def __init__(self, path: str = "", **fields: Any) -> None:
        super().__init__(**{"path": path, **fields})

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The tests and what they use."""
        return tuple(map(Path, (self.path, *self.helpers)))

    def subject(self, target: Target) -> str:
        """The file, against the target."""
        return f"{self.path} against {target.name}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """All pass."""
        return "all tests pass, and at least one runs"

    def look(self, context: Context) -> Finding:
        """Run them and read the report."""
        if not (context.artefacts / self.path).is_file():
            return Finding(False, f"there is no {self.path}")
        with tempfile.TemporaryDirectory(prefix="remediate-") as folder:
            report = Path(folder) / "report.xml"
            ended = self._run(context, report)
            if ended.code is None:
                return Finding(False, f"not done within {self.timeout:g} s")
            if not report.exists():
                said = clip(ended.said, _SHOWN)
                return Finding(False, f"pytest ended with {ended.code} and no report: {said}")
            counts = read_report(report.read_text(errors="replace"))
        return judge(ended.code, counts)

    def _run(self, context: Context, report: Path) -> programs.Ended:
        target = context.target
        environment = programs.environment(
            {
                "TARGET_NAME": target.name,
                "TARGET_ADDRESS": target.address,
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": str(report.parent),
            }
        )
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
        # The user's own pytest settings may not decide what counts as passed.
        argv += ["-c", os.devnull, f"--rootdir={context.artefacts}", f"--junitxml={report}", self.path]
        return programs.run(argv, seconds=self.timeout, cwd=context.artefacts, env=environment)


def read_report(text: str) -> Counts:
    """Counts over all test suites of a JUnit report, and the first lines of what failed."""
    root = ElementTree.fromstring(text)  # noqa: S314 - pytest wrote it, just now
    cases = list(root.iter("testcase"))
    bad = [(case, child) for case in cases for child in case if child.tag in ("failure", "error")]
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    messages = [f"{case.get('name')}: {_reason(child)}" for case, child in bad]
    return Counts(len(cases), len({id(case) for case, _ in bad}), skipped, tuple(messages))


def _reason(child: ElementTree.Element) -> str:
    """A failure has its message; an error's says only where, so the last line that pytest marked."""
    marked = [line[1:].strip() for line in (child.text or "").splitlines() if line.startswith("E ")]
    return marked[-1] if child.tag == "error" and marked else (child.get("message") or "").strip()


def judge(code: int, counts: Counts) -> Finding:
    """Whether exit code and report together say that something ran and all was right."""
    summary = f"{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped"
    if counts.messages:
        return Finding(False, clip("; ".join([summary, *counts.messages]), _SHOWN))
    if counts.passed < 1:
        return Finding(False, f"{summary}: nothing was tested")
    return Finding(code == 0, summary if code == 0 else f"{summary}, but pytest ended with {code}")
