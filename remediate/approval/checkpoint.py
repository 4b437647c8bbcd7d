"""A signed statement of the journal about itself: this was my record of that number, at that time.

It is left on the ticket, where whoever can rewrite the journal can't reach it: an audit compares. Like an
approval it is signed in the SSH signature format, under a namespace of its own, so that neither can pass for
the other.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from remediate.approval import sshsig
from remediate.approval.signers import Signers
from remediate.approval.signing import signature_over
from remediate.errors import Refused
from remediate.model.base import Frozen, canonical
from remediate.model.change import Instant
from remediate.model.event import Event
from remediate.model.wording import problems

NAMESPACE = "remediate-checkpoint@remediate"
#: Whom the journal's key stands for in an allowed signers file.
PRINCIPAL = "remediate-journal"
#: How the names of files that hold one end.
ENDING = ".checkpoint.json"

_Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Checkpoint(Frozen):
    """What is signed: one event's place in the journal, and the hash that covers all records up to it."""

    format: Literal["remediate.checkpoint/1"] = "remediate.checkpoint/1"
    journal: _Digest
    """The hash of the journal's first record: its name, wherever its file lies."""
    run: str
    number: Annotated[int, Field(gt=0)]
    seq: Annotated[int, Field(gt=0)]
    hash: _Digest
    at: Instant

    @classmethod
    def of(cls, event: Event, journal: str) -> Checkpoint:
        """Of this event."""
        at = datetime.fromtimestamp(event.at, UTC)
        return cls(journal=journal, run=event.run, number=event.number, seq=event.seq, hash=event.hash, at=at)

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes, which are signed."""
        return canonical(self.model_dump(mode="json"))


class SignedCheckpoint(Frozen):
    """A checkpoint and its armored signature: the file on the ticket."""

    payload: Checkpoint
    signature: str

    @classmethod
    def sign(cls, payload: Checkpoint, key: Path) -> SignedCheckpoint:
        """Signed by this key.

        Raises:
            InputError: the key can't be used.
        """
        return cls(payload=payload, signature=signature_over(payload.data, key, NAMESPACE))

    @classmethod
    def parse(cls, data: bytes) -> SignedCheckpoint:
        """The checkpoint in these bytes.

        Raises:
            Refused: it is none, or not in the form that was written.
        """
        try:
            json.loads(data)
            found = cls.model_validate_json(data)
            whole = found.data == data and found.sshsig.armored == found.signature
        except ValidationError as error:
            raise Refused(f"not a checkpoint: {problems(error)[0]}", _ADVICE) from None
        except (ValueError, RecursionError):
            raise Refused("not a checkpoint", _ADVICE) from None
        if not whole:
            raise Refused("not in the form that was written (edited or damaged)", _ADVICE)
        return found

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes: the file."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    @cached_property
    def sshsig(self) -> sshsig.SshSignature:
        """The signature, taken apart."""
        return sshsig.parse(self.signature)

    @property
    def key(self) -> str:
        """The public key that it names, as in an allowed signers file."""
        return f"{self.sshsig.key_type} {base64.b64encode(self.sshsig.public_key).decode()}"

    def verify(self, signers: Signers) -> None:
        """Raises `Refused` unless one of these signers signed exactly this, valid at its own time."""
        signers.verify(self.payload.data, self.sshsig, PRINCIPAL, self.payload.at, NAMESPACE)


def only(key: str) -> Signers:
    """Signers among whom is this key alone."""
    return Signers(Path("the checkpoint"), f"{PRINCIPAL} {key}\n".encode())


_ADVICE = "compare the ticket with a copy of its system's own"
