"""What differs between two states of a target, in words: the message of a drift."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from remediate.model.base import State, canonical
from remediate.report.safe import safe

_MAX_LINES = 40
#: In characters; a difference is journaled, and told on the ticket.
_MAX_LENGTH = 8_000
_MAX_DIFF = 30
_VALUE = 80
#: difflib takes quadratic time; a longer text gets only its first difference shown.
_DIFFABLE = 2_000
_BARE = re.compile(r"[A-Za-z/][\w./:@+~-]*|\d[\w:+~-]*\.[\w.:+~-]*[\w+~-]", re.ASCII)
_WORDS = frozenset(("absent", "none", "true", "false", "null"))


class _Absent:
    """A fact that isn't there, which is not the same as null."""


_ABSENT: Final = _Absent()
_Side = JsonValue | _Absent


def difference(expected: State, actual: State) -> str:
    """One line for each fact that differs, sorted: ``key: before → after``; empty for equal states.

    Values are compared as the fingerprint sees them, so ``1``, ``1.0`` and ``true`` are different values.
    """
    found: list[str] = []
    more = 0
    room = _MAX_LENGTH
    for text in _differences("", dict(expected), dict(actual)):
        if len(found) < _MAX_LINES and (room > len(text) or not found):
            found.append(text)
            room -= len(text)
        else:
            more += 1
    if more:
        found.append(f"… {more:,} more differences")
    return "\n".join(found)


def _differences(path: str, old: _Side, new: _Side) -> Iterator[str]:
    if _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            name = safe(key, exact=True)
            yield from _differences(
                f"{path} {name}" if path else name, old.get(key, _ABSENT), new.get(key, _ABSENT)
            )
    elif isinstance(old, list) and isinstance(new, list):
        yield f"{path}: {_lists(old, new)}"
    elif isinstance(old, str) and isinstance(new, str) and ("\n" in old or "\n" in new):
        yield f"{path}:\n{_texts(old, new)}"
    else:
        yield f"{path}: {_pair(old, new)}"


def _same(old: _Side, new: _Side) -> bool:
    if isinstance(old, _Absent) or isinstance(new, _Absent):
        return old is new
    return _bytes(old) == _bytes(new)


def _bytes(value: JsonValue) -> bytes | str:
    try:
        return canonical(value)
    except ValueError:
        # A lone surrogate or NaN has no canonical bytes; a message about it is still owed.
        return repr(value)


def _pair(old: _Side, new: _Side) -> str:
    before, after = value_text(old), value_text(new)
    start = _common(before, after)
    if max(len(before), len(after)) > _VALUE and start > _VALUE // 2:
        before, after = (f"…{text[start - 10 :]}" for text in (before, after))
    return f"{_cut(before)} → {_cut(after)}"


def value_text(value: _Side) -> str:
    """A value on one line; a string without quotes only if it can't be taken for anything else."""
    if isinstance(value, _Absent):
        return "absent"
    if value is None:
        return "none"
    if isinstance(value, str) and _is_plain(value):
        return value
    return safe(json.dumps(value, ensure_ascii=False, sort_keys=True), 100_000, exact=True)


def _is_plain(text: str) -> bool:
    if text in _WORDS or not _BARE.fullmatch(text):
        return False
    try:
        float(text)
    except ValueError:
        return True
    return False


def brief(value: JsonValue) -> str:
    """A value on less than a line; of an object, each field in a few characters."""
    if not isinstance(value, dict):
        text = value_text(value)
    else:
        fields = ((safe(key, exact=True), value_text(item)) for key, item in sorted(value.items()))
        text = ", ".join(f"{key}={item if len(item) <= 20 else item[:16] + '…'}" for key, item in fields)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}…"


def _cut(text: str) -> str:
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}… ({len(text):,} characters)"


def _lists(old: list[JsonValue], new: list[JsonValue]) -> str:
    before, after = [value_text(v) for v in old], [value_text(v) for v in new]
    known_before, known_after = set(before), set(after)
    gone = [v for v in before if v not in known_after]
    come = [v for v in after if v not in known_before]
    if not gone and not come:
        return f"other order or number of the same items: {_pair(old, new)}"
    parts = [f"without {_few(gone)}"] * bool(gone) + [f"with {_few(come)}"] * bool(come)
    return " and ".join(parts)


def _few(values: list[str]) -> str:
    shown = ", ".join(_cut(value) for value in values[:5])
    return f"{shown} and {len(values) - 5:,} more" if len(values) > 5 else shown


def _texts(old: str, new: str) -> str:
    """The lines that differ, as a small unified diff, indented below its key."""
    before, after = old.split("\n"), new.split("\n")
    start = _common(before, after)
    if max(len(before), len(after)) - start > _DIFFABLE:
        lines = [f"@@ from line {start + 1} on @@"]
        lines += [f"-{line}" for line in before[start : start + 3]]
        lines += [f"+{line}" for line in after[start : start + 3]]
    else:
        # Without the common start, so that only what follows the first difference costs time.
        skip = max(start - 1, 0)
        lines = list(difflib.unified_diff(before[skip:], after[skip:], n=1, lineterm=""))[2:]
        lines = ["…" if line.startswith("@@") else line for line in lines]
        lines[0] = f"@@ from line {start + 1} on @@"
    if len(lines) > _MAX_DIFF:
        lines[_MAX_DIFF:] = [f"… {len(lines) - _MAX_DIFF:,} more lines"]
    return "\n".join(f"  {safe(line, 200, exact=True)}" for line in lines)


def _common(old: str | list[str], new: str | list[str]) -> int:
    """How many items both begin with."""
    for index, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            return index
    return min(len(old), len(new))
