"""A step of which nobody but a person can tell whether it was done."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from remediate.errors import InDoubt
from remediate.model.base import State
from remediate.model.step import Context, Probe, Result, Step, Verdict


class Knock(Step):
    """Leave a file, and get no answer."""

    kind: ClassVar[str] = "golden-knock"
    path: str

    def title(self) -> str:
        return f"knock at {self.path}"

    @property
    def undoable(self) -> bool:
        return True

    def observe(self, context: Context) -> State:
        return {f"knock:{self.path}": Path(self.path).exists()}

    def apply(self, context: Context) -> Result:
        Path(self.path).touch()
        raise InDoubt("nobody answered")

    def probe(self, context: Context) -> Probe:
        return Probe(verdict=Verdict.UNKNOWN, evidence="nobody answers")

    def undo(self, context: Context) -> Result:
        Path(self.path).unlink(missing_ok=True)
        return Result(summary="as if nobody had knocked")
