"""Where a backup is kept: contents under their own hashes, and one manifest that names them all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from remediate.errors import StepFailed
from remediate.model.base import sha256

FORMAT = "remediate.host-backup/1"
_MANIFEST = "manifest.json"
_ADVICE = "find out who changed it; restore it from a copy with the right hash, or restore by hand"


@dataclass(frozen=True, slots=True)
class Vault:
    """One target's backup by one step. Files are 0600 in directories 0700; nothing is changed in place."""

    folder: Path

    @classmethod
    def of(cls, workspace: Path, target: str) -> Vault:
        """The place for this target; its name may hold anything."""
        return cls(workspace / f"host-{quote(target, safe='')}")

    def begin(self) -> None:
        """Start anew: what an earlier attempt left is no backup."""
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise StepFailed(f"can't make {self.folder} for the backup: {error.strerror}") from None

    def put(self, content: bytes) -> str:
        """Keep these bytes, durable once all is sealed; returns their SHA-256, which is their name."""
        digest = sha256(content)
        if not (self.folder / digest).exists():
            self._write(digest, content)
        return digest

    def seal(self, manifest: dict[str, Any]) -> str:
        """Write the manifest, last of all; returns its SHA-256, to be remembered elsewhere."""
        data = json.dumps({"format": FORMAT, **manifest}, sort_keys=True, indent=1).encode()
        # The contents' names first: a manifest must never be there without what it names.
        self._sync()
        self._write(_MANIFEST, data)
        self._sync()
        return sha256(data)

    def sealed(self) -> bool:
        """Whether there is a whole backup."""
        return (self.folder / _MANIFEST).exists()

    def digest(self) -> str:
        """SHA-256 of the manifest as it is now."""
        return sha256(self._read(_MANIFEST))

    def open(self, digest: str) -> dict[str, Any]:
        """The manifest, if it is still the one with this SHA-256.

        Raises:
            StepFailed: it is missing, or was changed.
        """
        data = self._read(_MANIFEST)
        if sha256(data) != digest:
            raise StepFailed(
                f"the backup {self.folder} was changed after it was made; it is not used",
                _ADVICE,
            )
        try:
            manifest = json.loads(data)
        except (ValueError, RecursionError):
            manifest = None
        if not isinstance(manifest, dict):
            raise StepFailed(f"the backup {self.folder} has no manifest of ours", _ADVICE)
        return manifest

    def get(self, digest: str) -> bytes:
        """Bytes that were kept.

        Raises:
            StepFailed: they are missing, or were changed.
        """
        content = self._read(digest)
        if sha256(content) != digest:
            raise StepFailed(
                f"{self.folder / digest} was changed after the backup was made; it is not used",
                _ADVICE,
            )
        return content

    def discard(self) -> bool:
        """Delete everything; returns whether there was anything."""
        there = self.folder.exists()
        if there:
            shutil.rmtree(self.folder)
        return there

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise StepFailed(
                f"the backup can't be read: {self.folder / name}: {error.strerror}",
                "restore this directory from a copy, or restore the target by hand",
            ) from None

    def _write(self, name: str, content: bytes) -> None:
        """By a rename, after the bytes are on the disk. mkstemp makes files 0600."""
        with self._storing():
            handle, path = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(path).rename(self.folder / name)

    def _sync(self) -> None:
        """Make the names themselves durable."""
        with self._storing():
            above = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(above)
            finally:
                os.close(above)

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StepFailed(
                f"the backup can't be stored in {self.folder}: {error.strerror}",
                "make room, or mend the disk",
            ) from None
