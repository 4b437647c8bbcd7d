"""Text for people, out of what hosts say and files hold."""

from __future__ import annotations

import difflib

_NO_NEWLINE = "\n\\ No newline at end of file\n"
_LONGEST_DIFF = 64 << 10


def readable(content: bytes) -> str | None:
    """The content as text, or None if it is none."""
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def diff(path: str, old: bytes, new: bytes, digests: tuple[str, str]) -> str:
    """A unified diff, or for anything but text the two hashes; empty for equal contents."""
    if old == new:
        return ""
    before, after = readable(old), readable(new)
    if before is None or after is None:
        return f"binary {path}: sha256 {digests[0]} -> {digests[1]}\n"
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"{path} (now)", f"{path} (then)"
    )
    text = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    if len(text) > _LONGEST_DIFF:
        shown = text[: text.rfind("\n", 0, _LONGEST_DIFF) + 1]
        return shown + f"[… {len(text) - len(shown)} characters more …]\n"
    return text
