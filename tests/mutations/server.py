"""Runs tests in processes forked from this one, in which much is loaded already.

A line of JSON in names tests and the module that lacks a guard; a line out tells what became of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.mutations import loading

#: What most tests load anyhow; a fork has it already.
_LIBRARIES = """
asyncio cryptography.hazmat.primitives.asymmetric.ed25519 email.message icalendar jinja2
multiprocessing pydantic recurring_ical_events rich.console sqlite3 yaml
""".split()
_SECONDS = 60.0
_OPTIONS = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
_HERE = Path(__file__).parent / "__init__.py"


class _Watcher:
    """A plugin that keeps what pytest finds."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: list[str] = []
        self.failures: list[str] = []
        self.broken: list[str] = []

    def pytest_exception_interact(
        self, call: pytest.CallInfo[None], report: pytest.TestReport | pytest.CollectReport
    ) -> None:
        """Of each failure."""
        name = type(call.excinfo.value).__name__ if call.excinfo else "unknown"
        (self.failures if report.when in ("call", "teardown") else self.broken).append(name)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of each phase of each test."""
        name = report.nodeid.partition("[")[0]
        if not report.passed:
            self.failed += [name, report.nodeid]
        elif report.when == "call":
            self.passed += [name, report.nodeid]


def _run(tests: list[str], module: str, untouched: bool) -> dict[str, object]:
    """In the forked process. What is compiled of a source without a guard is not kept."""
    sys.dont_write_bytecode = not untouched
    if module:
        loading.forget(module)
    watcher = _Watcher()
    with tempfile.TemporaryDirectory() as folder:
        base = str(Path(folder) / "base")
        more = [] if untouched else ["-x"]
        pytest.main([*_OPTIONS, *more, "--tb=short", "--basetemp", base, *tests], plugins=[watcher])
    loaded = {name: m.__file__ for name, m in sys.modules.items() if name.startswith("remediate.")}
    return {
        "passed": watcher.passed,
        "failed": watcher.failed,
        "failures": watcher.failures,
        "broken": watcher.broken,
        "imported": loaded,
    }


@contextlib.contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """What is printed goes into a file."""
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        yield


def _child(question: dict[str, Any], folder: Path) -> None:
    os.setpgid(0, 0)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS * (1 if question["module"] else 10))
    with _quiet(folder / "log"):
        answer = _run(**question)
        sys.stdout.flush()
    (folder / "answer").write_text(json.dumps(answer))


def _ask(question: dict[str, Any]) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = os.fork()
        if not child:
            code = 1
            try:
                _child(question, folder)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.waitpid(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        path = folder / "answer"
        none = {"passed": [], "failed": [], "failures": [], "broken": ["no answer"], "imported": {}}
        answer = json.loads(path.read_text()) if path.exists() else none
        return {**answer, "log": (folder / "log").read_text(errors="replace")[-4000:]}


def main() -> None:
    """Say that all is loaded; then answer until nobody asks any more."""
    for name in _LIBRARIES:
        import_module(name)
    loading.load()
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        pytest.main([*_OPTIONS, "--collect-only", str(_HERE)])
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_ask(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
