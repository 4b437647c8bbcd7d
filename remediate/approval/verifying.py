"""Checks one envelope against one plan: is it whole, about this plan, in time, and by whom it says?"""

from __future__ import annotations

from datetime import datetime, timedelta

from remediate.approval.envelope import Decision, Envelope, Evidence, Settlement, parse
from remediate.approval.signers import Signers
from remediate.config import Config
from remediate.errors import Refused
from remediate.model.base import Frozen
from remediate.model.change import Instant
from remediate.model.plan import Plan

#: How far the signer's clock may be ahead of the verifier's.
SKEW = timedelta(minutes=5)


class Approval(Frozen):
    """A verified decision of one person. ``expires`` is when it stops to count here; None: never."""

    where: str
    envelope: str
    """SHA-256 of the envelope."""
    decision: Decision
    person: str
    roles: tuple[str, ...]
    principal: str
    fingerprint: str
    """Of the key, as ssh-keygen writes it (``SHA256:...``)."""
    issued: Instant
    expires: Instant | None
    nonce: str
    comment: str = ""
    settles: Settlement | None = None


def longest_life(plan: Plan, config: Config, issued: datetime) -> datetime:
    """The last instant that an approval issued then may count: the project's ``expiry``, or, if that is
    later, the end of the window that the approver read in the plan.
    """
    end = issued + timedelta(seconds=config.approval.expiry)
    return max(end, plan.window.end) if plan.window else end


def verify(
    evidence: Evidence, plan: Plan, config: Config, now: datetime, signers: Signers | None = None
) -> Approval:
    """Who decided what.

    Args:
        now: the verifier's own, trusted clock. No time from the envelope is believed further than it
            restricts its own signer.
        signers: those of the project, if they were read already.

    Raises:
        Refused: for anything that is not exactly right.
    """
    envelope = parse(evidence)
    check_plan(envelope, plan, evidence.where)
    expires = _check_time(envelope, plan, config, now, evidence.where)
    person = known_person(envelope, config, evidence.where)
    try:
        fingerprint = _check_signature(envelope, plan, config, now, signers or Signers.load(config), person)
    except Refused as error:
        raise Refused(f"{evidence.where}: {error.problem}", error.advice) from None
    payload = envelope.payload
    return Approval(
        where=evidence.where,
        envelope=envelope.digest,
        decision=payload.decision,
        person=person,
        roles=config.people[person].roles,
        principal=payload.principal,
        fingerprint=fingerprint,
        issued=payload.issued,
        expires=expires,
        nonce=payload.nonce,
        comment=payload.comment,
        settles=payload.settles,
    )


def check_plan(envelope: Envelope, plan: Plan, where: str) -> None:
    """Raises `Refused` unless the envelope is about exactly this plan."""
    payload = envelope.payload
    if (payload.plan, payload.plan_size, payload.plan_id) != (plan.digest, len(plan.data), plan.id):
        if payload.plan_id == plan.id:
            raise Refused(
                f"{where}: the plan was changed after it was signed ({payload.plan[:12]}…, now"
                f" {plan.digest[:12]}…)",
                "find out who changed it, and plan again",
            )
        raise Refused(
            f"{where}: is about another plan ({payload.plan_id}, {payload.plan[:12]}…), not about {plan.id}"
            f" ({plan.digest[:12]}…)",
            "have this plan approved",
        )


def known_person(envelope: Envelope, config: Config, where: str) -> str:
    """The person behind the principal; `Refused` if it is nobody's."""
    principal = envelope.payload.principal
    for name, person in config.people.items():
        if principal in person.principals:
            return name
    raise Refused(
        f"{where}: {principal} is a principal of nobody in [people]",
        f'add principals = ["{principal}"] to the person in remediate.toml, if you know them',
    )


def _check_time(envelope: Envelope, plan: Plan, config: Config, now: datetime, where: str) -> datetime | None:
    payload = envelope.payload
    if payload.issued > now + SKEW:
        raise Refused(
            f"{where}: issued in the future ({payload.issued:%Y-%m-%d %H:%M} UTC)", "set the clocks right"
        )
    if payload.expires is None:
        return None
    expires = min(payload.expires, longest_life(plan, config, payload.issued))
    if expires <= now:
        raise Refused(f"{where}: expired ({expires:%Y-%m-%d %H:%M} UTC)", "have the plan approved again")
    return expires


def _check_signature(
    envelope: Envelope, plan: Plan, config: Config, now: datetime, signers: Signers, person: str
) -> str:
    signature = envelope.sshsig
    message = envelope.payload.message(plan.data)
    fingerprint = signers.verify(message, signature, envelope.payload.principal, now)
    others = signers.people_of(signature.public_key, config)
    if "-cert-" in signature.key_type:
        named = signers.principals_in_certificate(message, signature, now)
        others |= {n for n, p in config.people.items() if set(named) & set(p.principals)}
    if others - {person}:
        raise Refused(
            f"the key {fingerprint} may sign for {', '.join(sorted(others | {person}))}: who signed?",
            f"give everybody a key of their own in {signers.path}",
        )
    return fingerprint
