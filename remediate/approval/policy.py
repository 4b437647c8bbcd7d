"""Whether what was signed is enough: how many different people, with which role, and not the runner's own.

A denial stops the plan until the same person approves it later. A revocation takes back that person's own
approval. What can't be read, or is a denial that can't be verified, stops the plan too: nobody knows what
it said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from remediate.approval.envelope import Decision, Evidence, Settlement, parse
from remediate.approval.signers import Signers
from remediate.approval.verifying import Approval, check_plan, known_person, verify
from remediate.config import Config
from remediate.config.sections import Rule
from remediate.errors import InputError, Refused, RemediateError, Waiting
from remediate.model.base import Frozen, sha256
from remediate.model.change import Instant
from remediate.model.plan import Plan


class Standing(Frozen):
    """How a plan stands with its approvers."""

    plan: str
    """Digest of the plan."""
    approved: bool
    approvals: tuple[Approval, ...] = ()
    """Those that count: one for each person."""
    missing: tuple[str, ...] = ()
    """What is still needed, in words."""
    blocked: tuple[str, ...] = ()
    """Why the plan may not run whatever else is signed: denials, an expired plan, unreadable envelopes."""
    refusals: tuple[str, ...] = ()
    """Envelopes that don't count, and why."""
    invalid: tuple[str, ...] = ()
    """Those of them that don't even verify: damaged, edited, expired, or about another plan."""
    expires: Instant | None = None
    """When the plan or the approvals that it needs run out; set if approved."""

    def require(self) -> None:
        """Raises `Refused` if the plan is blocked, `Waiting` if somebody has yet to approve.

        An approval that was given and does not verify is nothing to wait for: something was changed, or
        its time is over.
        """
        if self.blocked:
            raise Refused(
                "the plan is not approved: " + "; ".join(self.blocked),
                "settle that, or plan again",
                self.blocked + self.refusals,
            )
        if self.missing and self.invalid:
            raise Refused(
                "the plan's approval does not hold: " + "; ".join(self.invalid + self.missing),
                "find out what was changed, then have the plan approved again",
                self.invalid + self.missing,
            )
        if self.missing:
            raise Waiting("; ".join((*self.missing, *self.refusals)), "remediate approve FILE --key KEY")


def evaluate(
    plan: Plan,
    envelopes: Iterable[Evidence],
    config: Config,
    now: datetime,
    runner: Collection[str] = (),
    revocations: Iterable[Evidence] = (),
) -> Standing:
    """Whether the plan may run.

    Args:
        envelopes: what lies beside the plan (`read_envelopes`).
        now: the verifier's own clock.
        runner: all names that are known of who runs it (login, address); empty while nobody runs it yet.
        revocations: envelopes that the journal keeps of denials and revocations.

    Raises:
        Refused: the allowed signers can't be read.
    """
    verified, invalid, blocked = _verified(plan, chain(revocations, envelopes), config, now)
    rules = _rules(plan, config)
    excluded, unknown = _four_eyes(plan, runner, config)
    denials, approvals = _timeline(verified, {rule.role for _, rule in rules})
    blocked += [*unknown, *denials]
    if plan.expires <= now:
        blocked.append(f"the plan expired ({plan.expires:%Y-%m-%d %H:%M} UTC)")
    counted, others = _different_people(approvals, excluded, rules)
    missing = [text for what, rule in rules if (text := _missing(what, rule, counted, excluded, config))]
    approved = not blocked and not missing
    return Standing(
        plan=plan.digest,
        approved=approved,
        approvals=tuple(counted),
        missing=tuple(missing),
        blocked=tuple(blocked),
        refusals=(*invalid, *others),
        invalid=tuple(invalid),
        expires=min(plan.expires, *(_until(rule, counted) for _, rule in rules)) if approved else None,
    )


def recheck(standing: Standing, plan: Plan, now: datetime, revoked: Callable[[], bool]) -> None:
    """Before each dispatch: is the plan in memory still the approved one, in time, and not taken back?

    Cheap: one SHA-256 over the bytes in memory, no file, no process.

    Raises:
        Refused: it isn't.
    """
    reasons = []
    if not standing.approved or sha256(plan.data) != standing.plan:
        reasons.append("the plan in memory is not the one that was approved")
    if standing.expires is None or standing.expires <= now:
        reasons.append("the approval has expired")
    if revoked():
        reasons.append("an approver took the approval back")
    if reasons:
        raise Refused("; ".join(reasons), "have the plan approved again", tuple(reasons))


def settle(evidence: Evidence, settlement: Settlement, plan: Plan, config: Config, now: datetime) -> Approval:
    """A human's signed verdict about one attempt in doubt, checked to be about exactly this attempt.

    Raises:
        Refused: it is not, or the person may not decide.
    """
    approval = verify(evidence, plan, config, now)
    if approval.settles != settlement:
        raise Refused(f"{evidence.where}: settles another attempt, or says something else", "decide again")
    roles = config.approval.decide_roles
    if not set(approval.roles) & set(roles):
        raise Refused(
            f"{evidence.where}: {approval.person} has none of the roles {', '.join(roles)}",
            "ask somebody who has, or add the role in remediate.toml",
        )
    return approval


def _rules(plan: Plan, config: Config) -> list[tuple[str, Rule]]:
    policy = config.approval.policy
    rules: list[tuple[str, Rule]] = [(f"risk {plan.risk.level}", getattr(policy, plan.risk.level))]
    if plan.irreversible:
        rules.append(("a step that nothing can undo", policy.irreversible))
    return rules


def _verified(
    plan: Plan, evidence: Iterable[Evidence], config: Config, now: datetime
) -> tuple[list[Approval], list[str], list[str]]:
    """What verifies; what doesn't and is only not counted; what doesn't and stops the plan."""
    signers = Signers.load(config)
    seen: set[str] = set()
    nonces: set[str] = set()
    verified: list[Approval] = []
    refusals: list[str] = []
    blocked: list[str] = []
    for item in evidence:
        if (digest := sha256(item.data)) in seen:
            continue
        seen.add(digest)
        try:
            approval = verify(item, plan, config, now, signers)
        except Refused as error:
            (blocked if _may_be_denial(item, plan, config) else refusals).append(_words(error))
            continue
        if approval.nonce in nonces:
            refusals.append(f"{item.where}: its nonce was used before")
            continue
        nonces.add(approval.nonce)
        verified.append(approval)
    return verified, refusals, blocked


def _may_be_denial(item: Evidence, plan: Plan, config: Config) -> bool:
    """Whether this envelope, which doesn't verify, might be somebody's no to this plan."""
    try:
        envelope = parse(item)
    except Refused:
        return True
    try:
        check_plan(envelope, plan, item.where)
        known_person(envelope, config, item.where)
    except Refused:
        return False
    return envelope.payload.decision in (Decision.DENY, Decision.REVOKE)


def _words(error: RemediateError) -> str:
    return f"{error.problem} ({error.advice})" if error.advice else error.problem


def _four_eyes(plan: Plan, runner: Collection[str], config: Config) -> tuple[dict[str, str], list[str]]:
    """Who may not approve and why; and, in words, whose identity nobody knows.

    Author and runner have to be people that the project knows: otherwise one of them could be the approver
    under another login. A requester may be a stranger, a customer for instance; of several, each counts.
    """
    asked = {p for alias in plan.ticket.asked_by if (p := config.find_person(alias))}
    excluded: dict[str, str] = dict.fromkeys(sorted(asked), "asked for it on the ticket")
    unknown = []
    for aliases, what in (((plan.author,), "made the plan"), (tuple(sorted(runner)), "runs it")):
        people = {p for alias in aliases if (p := config.find_person(alias))}
        excluded |= dict.fromkeys(people, what)
        if aliases and not people:
            names = " / ".join(aliases)
            unknown.append(f"{names}, who {what}, is nobody in [people]: add it to the logins of that person")
    return excluded, unknown


def _timeline(verified: Sequence[Approval], roles: set[str]) -> tuple[list[str], list[Approval]]:
    """The denials that stand, in words, and the approvals that nobody took back."""
    noes = [a for a in verified if a.decision in (Decision.DENY, Decision.REVOKE)]
    taken_back = {a.person: max(n.issued for n in noes if n.person == a.person) for a in noes}
    approvals = [
        a
        for a in verified
        if a.decision is Decision.APPROVE and (a.person not in taken_back or a.issued > taken_back[a.person])
    ]
    denials = [
        f"{a.person} denied it ({a.issued:%Y-%m-%d %H:%M} UTC){f': {a.comment}' if a.comment else ''}"
        for a in noes
        if a.decision is Decision.DENY
        and roles & set(a.roles)
        and not any(b.person == a.person for b in approvals)
    ]
    return denials, approvals


def _different_people(
    approvals: Iterable[Approval], excluded: dict[str, str], rules: Sequence[tuple[str, Rule]]
) -> tuple[list[Approval], list[str]]:
    """One approval for each person and for each key, the one that lasts longest; and why not the others."""
    roles = {rule.role for _, rule in rules}
    counted: list[Approval] = []
    refusals = []
    for approval in sorted(approvals, key=lambda a: (-_end(a), a.where)):
        reason = ""
        if approval.person in excluded:
            reason = f"{approval.person} {excluded[approval.person]}, and so can't approve it"
        elif not roles & set(approval.roles):
            reason = f"{approval.person} doesn't have the role {' or '.join(sorted(roles))}"
        elif any(approval.person == other.person for other in counted):
            reason = f"{approval.person} counts once"
        elif any(approval.fingerprint == other.fingerprint for other in counted):
            reason = f"the key {approval.fingerprint} counts once"
        if reason:
            refusals.append(f"{approval.where}: {reason}")
        else:
            counted.append(approval)
    return counted, refusals


def _end(approval: Approval) -> float:
    if approval.expires is None:
        raise InputError(f"{approval.where}: an approval without an end")
    return approval.expires.timestamp()


def _with_role(rule: Rule, counted: Iterable[Approval]) -> list[Approval]:
    return [a for a in counted if rule.role in a.roles]


def _missing(
    what: str, rule: Rule, counted: Sequence[Approval], excluded: Collection[str], config: Config
) -> str:
    have = {a.person for a in _with_role(rule, counted)}
    if len(have) >= rule.approvers:
        return ""
    could = sorted(
        name
        for name, person in config.people.items()
        if rule.role in person.roles and name not in have and name not in excluded
    )
    more = rule.approvers - len(have)
    text = f"{what}: {more} more approval{'s' if more > 1 else ''} needed by the role {rule.role}"
    if len(could) < more:
        return f"{text}, but only {', '.join(could) or 'nobody'} could still give it"
    return f"{text} ({' or '.join(could)})"


def _until(rule: Rule, counted: Sequence[Approval]) -> datetime:
    """How long enough of the approvals last for this rule."""
    return sorted(_instants(_with_role(rule, counted)), reverse=True)[rule.approvers - 1]


def _instants(approvals: Iterable[Approval]) -> Iterator[datetime]:
    return (a.expires for a in approvals if a.expires is not None)
