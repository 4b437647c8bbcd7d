"""A copy of the source, and a process that tries tests in it: once as it is, once without a guard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.mutations.guard import Guard

_ROOT = Path(__file__).parents[2]
_PARTS = ("remediate", "tests", "pyproject.toml", "ansible.cfg")
#: Any instant that no file of the copy has: what was compiled of the file counts no more.
_ANOTHER_TIME = (1_000_000_000, 1_000_000_000)


class Tried(NamedTuple):
    """What became of some tests."""

    passed: set[str]
    """The tests that passed, with and without their parameters."""
    failed: list[str]
    """Those that did not, likewise."""
    failures: list[str]
    """Types of the exceptions that its body ended with, or the judgement after it."""
    broken: list[str]
    """What failed outside of its body: an import, a fixture."""
    imported: dict[str, str]
    """The product's modules that it used, and the file of each."""
    log: str


class Copy:
    """A folder with the whole source, and a server that forks a process for each trial."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in _PARTS:
            part = _ROOT / name
            if part.is_dir():
                shutil.copytree(part, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            else:
                shutil.copy2(part, folder / name)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "REMEDIATE_"))}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.mutations.server"],
            cwd=folder,
            # Without plugins that are installed: ours would be loaded before pytest can rewrite it.
            env={**clean, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        # What it loads is loaded before anything is changed.
        self._answer()

    def close(self) -> None:
        """End the server."""
        self._server.communicate()

    def as_it_is(self, tests: Iterable[str]) -> Tried:
        """These tests over the untouched copy, in one process."""
        return self._try(tests, "", untouched=True)

    def without(self, guard: Guard) -> Tried:
        """The test over the copy without this guard.

        Raises:
            ValueError: the guard doesn't stand in its file exactly once.
        """
        path = self._folder / "remediate" / guard.file
        text = path.read_text()
        if text.count(guard.old) != 1:
            raise ValueError(f"{guard.file} holds this {text.count(guard.old)} times: {guard.old!r}")
        before = path.stat()
        path.write_text(text.replace(guard.old, guard.new))
        os.utime(path, _ANOTHER_TIME)
        try:
            return self._try([guard.test], guard.module, untouched=False)
        finally:
            path.write_text(text)
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def _try(self, tests: Iterable[str], module: str, *, untouched: bool) -> Tried:
        names = [f"tests/{test}" for test in tests]
        question = {"tests": names, "module": module, "untouched": untouched}
        if self._server.stdin is None:
            raise AssertionError("the server can't be asked")
        self._server.stdin.write(json.dumps(question) + "\n")
        self._server.stdin.flush()
        said = self._answer()
        answer = Tried(**said | {"passed": set(said["passed"])})
        strange = [p for p in answer.imported.values() if not p.startswith(f"{self._folder}/")]
        if strange:
            raise AssertionError(f"not from the copy: {strange}")
        return answer

    def _answer(self) -> dict[str, Any]:
        if self._server.stdout is None:
            raise AssertionError("the server can't answer")
        said: dict[str, Any] = json.loads(self._server.stdout.readline())
        return said
