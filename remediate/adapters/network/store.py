"""What a step keeps here for its own undo: small private files that outlive the process."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from remediate.errors import StepFailed
from remediate.model.step import Context


@dataclass(frozen=True, slots=True)
class Store:
    """A folder 0700 with files 0600, each written whole or not at all."""

    folder: Path

    @classmethod
    def of(cls, context: Context) -> Store:
        """The place of this step on this target."""
        return cls(context.workspace / f"device-{quote(context.target.name, safe='')}")

    def keep(self, name: str, text: str) -> None:
        """Write a file, durable when this returns.

        Raises:
            StepFailed: it can't be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(path).rename(self.folder / name)
        except OSError as error:
            raise StepFailed(f"can't keep {name} in {self.folder}: {error.strerror}", "make room") from None

    def get(self, name: str) -> str | None:
        """What was kept, or None."""
        try:
            return (self.folder / name).read_text()
        except FileNotFoundError:
            return None

    def discard(self) -> bool:
        """Delete everything; returns whether there was anything."""
        there = self.folder.exists()
        if there:
            shutil.rmtree(self.folder)
        return there
