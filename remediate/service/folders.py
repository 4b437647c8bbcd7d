"""Folders that only their owner may look into."""

from __future__ import annotations

from pathlib import Path


def private(folder: Path) -> Path:
    """The folder, made with all that is missing above it (``mkdir(parents=True)`` lets others into those)."""
    for path in reversed([folder, *folder.parents]):
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)
    return folder
