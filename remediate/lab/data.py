"""The data files that the lab puts into its hosts."""

from __future__ import annotations

import hashlib
from pathlib import Path

FILES = Path(__file__).parent / "files"


def digest(*parts: str | Path) -> str:
    """A short name for the content of ``parts``: texts, files, and folders with all that is in them."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            found.update(f"text {len(part)}\0{part}".encode())
            continue
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for file in files:
            content = file.read_bytes()
            name = file.relative_to(part) if part.is_dir() else file.name
            found.update(f"file {name} {file.stat().st_mode:o} {len(content)}\0".encode() + content)
    return found.hexdigest()[:16]


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write ``text`` so that nobody sees half of it, nor a secret with a wider mode; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.touch(mode)
    part.chmod(mode)
    part.write_text(text)
    return part.replace(path)
