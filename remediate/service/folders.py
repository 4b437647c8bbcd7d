"""Folders and files that only their owner may look into."""

from __future__ import annotations

from pathlib import Path


def private(folder: Path) -> Path:
    """The folder, made with all that is missing above it (``mkdir(parents=True)`` lets others into those)."""
    for path in reversed([folder, *folder.parents]):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.touch(mode=0o600)
    part.write_bytes(data)
    part.replace(path)
