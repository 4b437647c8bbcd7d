"""The envelope: one person's signed decision about one plan, as a JSON file beside the plan.

The signature is over the exact bytes of the payload *and* the exact bytes of the plan, each with its length
before it, so that no other pair of texts gives the same message (as in DSSE's pre-authentication encoding).
"""

from __future__ import annotations

import json
import os
import re
import stat
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints, ValidationError, model_validator

from remediate.approval import sshsig
from remediate.errors import Refused
from remediate.model.base import Frozen, canonical, sha256
from remediate.model.change import Instant
from remediate.model.step import Verdict
from remediate.model.wording import problems

FORMAT = "remediate.approval/1"
NAMESPACE = "remediate-plan@remediate"

#: No envelope is larger (bytes); a larger file is not read at all.
_LARGEST = 256 * 1024


class Decision(StrEnum):
    """What the signer says."""

    APPROVE = "approve"
    DENY = "deny"
    REVOKE = "revoke"
    DECIDE = "decide"


#: No blanks, commas or wildcards: ssh-keygen gives those a meaning of their own in the signers file.
Principal = Annotated[str, StringConstraints(pattern=r"^[^\s,*?!\"\x00-\x1f\x7f]{1,200}$")]


class Settlement(Frozen):
    """What a human found out about one attempt in doubt; that the undo of a step may overwrite what others
    changed since; or that a target is kept as it is (no step)."""

    run: str
    step: str = ""
    target: str
    attempt: int = 0
    verdict: Literal[Verdict.APPLIED, Verdict.NOT_APPLIED, "overwrite", "kept"]


class Payload(Frozen):
    """What is signed, beside the plan itself."""

    format: Literal["remediate.approval/1"] = "remediate.approval/1"
    namespace: Literal["remediate-plan@remediate"] = "remediate-plan@remediate"
    decision: Decision
    plan: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the plan's bytes."""
    plan_id: str
    plan_size: Annotated[int, Field(gt=0)]
    """Bytes."""
    principal: Principal
    issued: Instant
    expires: Instant | None = None
    """An approval and a verdict have an end; a denial and a revocation last."""
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    comment: Annotated[str, StringConstraints(max_length=4000)] = ""
    settles: Settlement | None = None

    @model_validator(mode="after")
    def _whole(self) -> Payload:
        ends = self.decision in (Decision.APPROVE, Decision.DECIDE)
        if ends != (self.expires is not None):
            raise ValueError(f"expires: {'missing' if ends else 'not for a denial or revocation'}")
        if self.expires is not None and self.expires <= self.issued:
            raise ValueError("expires: before it was issued")
        if (self.decision is Decision.DECIDE) != (self.settles is not None):
            raise ValueError("settles: for `decide`, and only there")
        return self

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes."""
        return canonical(self.model_dump(mode="json"))

    def message(self, plan: bytes) -> bytes:
        """What the signature is over: this payload and this plan, byte for byte."""
        return b"%s %d %s %d %s" % (FORMAT.encode(), len(self.data), self.data, len(plan), plan)


class Envelope(Frozen):
    """A payload and its armored signature."""

    payload: Payload
    signature: str

    @cached_property
    def data(self) -> bytes:
        """The canonical bytes: the file."""
        return canonical(self.model_dump(mode="json")) + b"\n"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of `data`, hex."""
        return sha256(self.data)

    @cached_property
    def sshsig(self) -> sshsig.SshSignature:
        """The signature, taken apart."""
        return sshsig.parse(self.signature)

    @classmethod
    def load(cls, path: Path) -> Envelope:
        """The envelope in this file; see `parse` for errors."""
        return parse(Evidence.read(path))

    def save(self, plan_file: Path) -> Path:
        """Write it beside the plan, under a name of its own, whole or not at all."""
        person = re.sub(r"[^A-Za-z0-9@._+-]", "_", self.payload.principal)
        name = f"{plan_file.name}.{self.payload.decision}-{person}-{self.payload.nonce[:8]}.json"
        path = plan_file.with_name(name)
        draft = plan_file.with_name(f".{name}.part")
        with draft.open("xb") as stream:
            stream.write(self.data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
        return path


class Evidence(NamedTuple):
    """Bytes that claim to be an envelope, and where they were found (a file, a journal record)."""

    where: str
    data: bytes

    @classmethod
    def read(cls, path: Path) -> Evidence:
        """The bytes of a file.

        Raises:
            Refused: it can't be read.
        """
        try:
            info = path.stat()
            if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
                raise Refused(f"{path}: not an envelope (no file, or too large)", f"remove {path}")
            return cls(str(path), path.read_bytes())
        except OSError as error:
            raise Refused(
                f"{path}: can't be read: {error.strerror}", f"make it readable, or remove {path}"
            ) from None


def parse(evidence: Evidence) -> Envelope:
    """The envelope in these bytes, if they are exactly the bytes that such an envelope has.

    Raises:
        Refused: names the place and the field.
    """
    where, data = evidence
    advice = f"remove {where}, and have the plan signed again with `remediate approve` or `deny`"
    try:
        json.loads(data)
        envelope = Envelope.model_validate_json(data)
    except ValidationError as error:
        raise Refused(f"{where}: {problems(error)[0]}", advice) from None
    except (ValueError, RecursionError):
        raise Refused(f"{where}: not an envelope (no JSON)", advice) from None
    if envelope.data != data:
        raise Refused(f"{where}: not in the form that was written (edited or damaged)", advice)
    try:
        signature = envelope.sshsig
    except ValueError as error:
        raise Refused(f"{where}: signature: {error}", advice) from None
    if signature.armored != envelope.signature:
        raise Refused(f"{where}: signature: not in the form that was written (edited or damaged)", advice)
    if signature.namespace != NAMESPACE:
        raise Refused(f"{where}: signature: made for {signature.namespace!r}, not for {NAMESPACE!r}", advice)
    return envelope


def find_envelopes(plan_file: Path) -> list[Path]:
    """All files beside the plan that are named like its envelopes, sorted by name."""
    kinds = "|".join(Decision)
    name = re.compile(rf"{re.escape(plan_file.name)}\.(?:{kinds})-.*\.json", re.DOTALL)
    return sorted(p for p in plan_file.absolute().parent.iterdir() if name.fullmatch(p.name))


def read_envelopes(plan_file: Path) -> tuple[Evidence, ...]:
    """The bytes of all files beside the plan that are named like its envelopes, sorted by name.

    Raises:
        Refused: one can't be read.
    """
    return tuple(Evidence.read(path) for path in find_envelopes(plan_file))
