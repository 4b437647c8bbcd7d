"""Rows as they were and as they were left, kept here before the change is committed."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from remediate.errors import StepFailed
from remediate.model.base import canonical, sha256

FORMAT = "remediate.rows/1"

#: Values as exact text (see `engine.Column`); None is NULL.
Values = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its primary key, and the kept columns before and after; None after it was deleted."""

    key: Values
    old: Values
    new: Values | None


@dataclass(frozen=True, slots=True)
class Kept:
    """All rows that one attempt changed."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def store(self, folder: Path, attempt: int) -> str:
        """Write it, 0600 and durable; returns its SHA-256.

        Raises:
            StepFailed: there is no room; nothing was committed.
        """
        body = {
            "format": FORMAT,
            "table": self.table,
            "key": self.key,
            "columns": self.columns,
            "rows": [[row.key, row.old, row.new] for row in self.rows],
        }
        data = canonical(body)
        path = _path(folder, attempt)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _sync(folder)
        except OSError as error:
            raise StepFailed(f"the old rows can't be kept in {path}: {error.strerror}", "make room") from None
        return sha256(data)

    @classmethod
    def load(cls, folder: Path, attempt: int, digest: str) -> Kept:
        """What was stored, if it is still that.

        Raises:
            StepFailed: it is missing, or was changed.
        """
        path = _path(folder, attempt)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StepFailed(f"the old rows can't be read: {path}: {error.strerror}", _ADVICE) from None
        if sha256(data) != digest:
            raise StepFailed(f"{path} was changed after the rows were; it is not used", _ADVICE)
        body = json.loads(data)
        rows = tuple(Row(tuple(k), tuple(o), None if n is None else tuple(n)) for k, o, n in body["rows"])
        return cls(body["table"], tuple(body["key"]), tuple(body["columns"]), rows)

    def keys(self) -> set[Values]:
        """All primary keys."""
        return {row.key for row in self.rows}


def discard(folder: Path) -> bool:
    """Delete what all attempts kept; whether there was anything."""
    there = list(folder.glob("rows-*.json"))
    for path in there:
        path.unlink()
    return bool(there)


def secret(column: str) -> bool:
    """Whether a column of this name holds what nobody should read."""
    return any(word in column.lower() for word in _SECRET)


def named(columns: Sequence[str], values: Values) -> str:
    """``id=1 state='wrong'``, with hostile characters escaped and secrets and great lengths left out."""
    return " ".join(f"{c}={_shown(c, v)}" for c, v in zip(columns, values, strict=True))


_ADVICE = "restore this file from a copy, or put the rows right by hand"
_LONGEST = 80
_SECRET = (
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private",
    "hash",
)


def _shown(column: str, value: str | None) -> str:
    if value is None:
        return "NULL"
    if secret(column):
        return "(hidden)"
    text = ascii(value) if not value.isprintable() else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(value)} characters)"


def _path(folder: Path, attempt: int) -> Path:
    return folder / f"rows-{attempt}.json"


def _sync(folder: Path) -> None:
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(above)
    finally:
        os.close(above)
