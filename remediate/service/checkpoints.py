"""The journal's checkpoints for the ticket: at a run's start, after each wave, and at its end."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from remediate.approval.checkpoint import ENDING, Checkpoint, SignedCheckpoint
from remediate.approval.signers import run_keygen
from remediate.errors import InputError, RemediateError
from remediate.model.event import Event, GatePassed, RunFinished, RunStarted
from remediate.service.folders import private, write_private
from remediate.service.project import Project

#: Events that a checkpoint goes to the ticket with.
WITNESSED = (RunStarted, GatePassed, RunFinished)


def prepare(project: Project) -> None:
    """Before a run begins: is there a key that signs? The one beside the journal is made where it is missing.

    Raises:
        InputError: there is none, or it can't be used.
    """
    key = project.config.journal_key
    if project.config.audit.key is None and not key.exists():
        _make(key)
    try:
        SignedCheckpoint.sign(_TRIAL, key)
    except InputError as error:
        raise InputError(f"the journal's own key: {error.problem}", error.advice) from None


def checkpoint(project: Project, event: Event) -> Path:
    """The file of this event's checkpoint. It is signed once, so that a post that is tried again is the same.

    Raises:
        InputError: the key can't be used.
    """
    file = project.run_folder(event.run) / f"event-{event.number}{ENDING}"
    payload = Checkpoint.of(event, project.journal.name())
    with suppress(OSError, RemediateError):
        if SignedCheckpoint.parse(file.read_bytes()).payload == payload:
            return file
    write_private(file, SignedCheckpoint.sign(payload, project.config.journal_key).data)
    return file


def _make(key: Path) -> None:
    """A new pair, whole or not at all; of two processes that make one at the same time, one wins."""
    folder = private(key.parent)
    with tempfile.TemporaryDirectory(prefix=".key-", dir=folder) as draft:
        made = Path(draft) / "key"
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "remediate-journal", "-f", str(made)]
        done = run_keygen(argv)
        if done.returncode:
            raise InputError(f"{key} can't be made: {done.stderr.strip()}", "see to the disk and its rights")
        with suppress(FileExistsError):
            os.link(made, key)


_TRIAL = Checkpoint(
    journal="0" * 64, run="trial", number=1, seq=1, hash="0" * 64, at=datetime.fromtimestamp(0, UTC)
)
