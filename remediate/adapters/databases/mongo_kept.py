"""MongoDB's documents as they were and as they are to be, kept here before the first one is changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediate.adapters.databases.mongo import Document, MongoSession, exact
from remediate.adapters.databases.mongo_values import assignment, guard, same, shown
from remediate.errors import StepFailed
from remediate.model.base import sha256

FORMAT = "remediate.documents/1"
_ADVICE = "restore this file from a copy, or put the documents right by hand"


@dataclass(frozen=True, slots=True)
class Change:
    """One document: the touched top-level fields before and after; those that are missing have no key."""

    identity: Any
    old: Document
    new: Document

    def forward(self, fields: tuple[str, ...]) -> tuple[Document, Document]:
        """Query and update that make it new, if it is as it was."""
        return guard(self.identity, fields, self.old), assignment(fields, self.new)

    def backward(self, fields: tuple[str, ...]) -> tuple[Document, Document]:
        """Query and update that make it old, if it still is as it was left."""
        return guard(self.identity, fields, self.new), assignment(fields, self.old)


@dataclass(frozen=True, slots=True)
class KeptDocuments:
    """All documents that one attempt is about to change."""

    fields: tuple[str, ...]
    changes: tuple[Change, ...]

    def store(self, folder: Path, attempt: int) -> str:
        """Write it, 0600 and durable; returns its SHA-256.

        Raises:
            StepFailed: there is no room; nothing was changed.
        """
        import bson

        body = {
            "format": FORMAT,
            "fields": self.fields,
            "documents": [{"_id": c.identity, "old": c.old, "new": c.new} for c in self.changes],
        }
        data = bson.encode(body, codec_options=exact())
        path = _path(folder, attempt)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(above)
            finally:
                os.close(above)
        except OSError as error:
            raise StepFailed(
                f"the old values can't be kept in {path}: {error.strerror}", "make room"
            ) from None
        return sha256(data)

    @classmethod
    def load(cls, folder: Path, attempt: int, digest: str) -> KeptDocuments:
        """What was stored, if it is still that.

        Raises:
            StepFailed: it is missing, or was changed.
        """
        import bson

        path = _path(folder, attempt)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StepFailed(f"the old values can't be read: {path}: {error.strerror}", _ADVICE) from None
        if sha256(data) != digest:
            raise StepFailed(f"{path} was changed since; it is not used", _ADVICE)
        body = bson.decode(data, exact())
        changes = tuple(Change(one["_id"], one["old"], one["new"]) for one in body["documents"])
        return cls(tuple(body["fields"]), changes)


def discard(folder: Path) -> bool:
    """Delete what all attempts kept; whether there was anything."""
    there = list(folder.glob("documents-*.bson"))
    for path in there:
        path.unlink()
    return bool(there)


@dataclass(frozen=True, slots=True)
class Now:
    """How the documents of a change are at this moment."""

    new: list[Change]
    old: list[Change]
    other: list[str]
    """In words, those that are neither: somebody else has changed or deleted them."""


def now_of(session: MongoSession, collection: str, kept: KeptDocuments) -> Now:
    """Compare the documents of a change with what was kept of them."""
    query = {"_id": {"$in": [change.identity for change in kept.changes]}}
    found = session.find(collection, query, kept.fields, len(kept.changes))
    here = {repr(document.pop("_id")): document for document in found}
    now = Now([], [], [])
    for change in kept.changes:
        held = here.get(repr(change.identity))
        if held is None:
            now.other.append(f"{shown(change.identity, {})} is gone")
        elif same(held, change.new):
            now.new.append(change)
        elif same(held, change.old):
            now.old.append(change)
        else:
            now.other.append(shown(change.identity, held))
    return now


def _path(folder: Path, attempt: int) -> Path:
    return folder / f"documents-{attempt}.bson"
