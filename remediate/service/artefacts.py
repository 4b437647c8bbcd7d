"""Copies of what a plan executes, made and checked against the plan's digests, so that what was approved
is what runs even if somebody edits the project meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from remediate.errors import Refused
from remediate.model.base import sha256
from remediate.model.plan import Artefact, Plan
from remediate.service.folders import private


def changed(artefacts: Iterable[Artefact], folder: Path) -> list[str]:
    """Which artefacts differ from the plan, in words; empty when all are as planned."""
    found: list[str] = []
    for artefact in artefacts:
        try:
            data = (folder / artefact.path).read_bytes()
        except OSError as error:
            found.append(f"{artefact.path}: {error.strerror} (it was there when the plan was made)")
            continue
        if sha256(data) != artefact.sha256:
            found.append(f"{artefact.path} changed since the plan was made")
    return found


def copy(plan: Plan, project: Path, folder: Path) -> None:
    """Copy every artefact below ``folder``, mode 0600, checking each byte that is written.

    Raises:
        Refused: one differs from the plan. A copy that is there already is checked, not made again.
    """
    for artefact in plan.artefacts:
        target = folder / artefact.path
        source = target if target.exists() else project / artefact.path
        try:
            data = source.read_bytes()
        except OSError as error:
            raise Refused(f"{artefact.path}: {error.strerror}", "plan again") from None
        if sha256(data) != artefact.sha256:
            raise Refused(
                f"{artefact.path} changed since the plan was made", "plan again, and have it approved"
            )
        if source is not target:
            _write(target, data)


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all: a half-written copy would be refused for ever."""
    private(path.parent)
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
