"""Runs a runbook's own code, once, and remembers which of its lines yielded which step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydantic import ValidationError

from remediate.errors import InputError, RemediateError
from remediate.model.base import Frozen
from remediate.model.runbook import Runbook
from remediate.model.step import Step
from remediate.model.wording import wrong
from remediate.planning.load import Loaded, place


@dataclass(frozen=True, slots=True)
class Written:
    """The steps that a runbook yields for its inputs, each with its line (None: it returned a list)."""

    source: str
    steps: tuple[Step, ...]
    lines: tuple[int | None, ...]

    def where(self, number: int) -> str:
        """``FILE:LINE`` of the step with this number, from 1; of 0, the file."""
        line = self.lines[number - 1] if number else None
        return f"{self.source}:{line}" if line else self.source


def written(loaded: Loaded, runbook: Runbook, inputs: Frozen, project: Path) -> Written:
    """The steps of a runbook.

    Raises:
        InputError: its code raised something; the message has the line.
    """
    source = loaded.source.path
    path = str(project / source)
    steps: list[Step] = []
    lines: list[int | None] = []
    try:
        found = runbook.steps(inputs)
        for step in found:
            steps.append(step)
            lines.append(_line(found, path))
    except RemediateError:
        raise
    except (Exception, SystemExit) as error:  # the user's own code: whatever it raises is theirs to see
        where = place(project / source, error).replace(path, source)
        if isinstance(error, ValidationError):
            raise InputError(f"{where}: {wrong(error)}") from error
        raise InputError(f"{where}: {type(error).__name__}: {error}") from error
    return Written(source, tuple(steps), tuple(lines))


def _line(steps: Iterable[Step], path: str) -> int | None:
    """The line at which a generator waits, in the innermost one of this file."""
    line = None
    inner: object = steps
    while inner is not None:
        frame = getattr(inner, "gi_frame", None)
        if isinstance(frame, FrameType) and frame.f_code.co_filename == path:
            line = frame.f_lineno
        inner = getattr(inner, "gi_yieldfrom", None)
    return line
