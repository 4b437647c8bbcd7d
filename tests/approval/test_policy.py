"""Who may approve what, how many are needed, and what takes an approval back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from remediate.approval.envelope import Decision, Evidence, Settlement
from remediate.approval.policy import evaluate, recheck, settle
from remediate.errors import Refused, Waiting
from remediate.model.change import Ticket, Window
from remediate.model.runbook import RiskLevel
from remediate.model.step import Verdict
from tests.approval.world import NOW, SETTINGS, World, irreversible_step, keygen, make_key, make_plan, risky

LATER = timedelta(minutes=10)


def test_one_approval_is_enough_for_medium_risk(world: World) -> None:
    standing = world.evaluate(world.sign("ann", comment="read it"), runner={"dan"})
    assert standing.approved
    assert [a.person for a in standing.approvals] == ["ann"]
    assert standing.expires == NOW + timedelta(hours=24)
    standing.require()


def test_without_approval_it_says_who_could_give_it(world: World) -> None:
    standing = world.evaluate()
    assert not standing.approved
    assert standing.missing == (
        "risk medium: 1 more approval needed by the role change-manager (ann or bob or cat)",
    )
    with pytest.raises(Waiting, match="ann or bob or cat"):
        standing.require()


@pytest.mark.parametrize(
    "plan", [make_plan(risk=risky(RiskLevel.HIGH)), make_plan(steps=(irreversible_step(),))]
)
def test_two_people_for_high_risk_and_for_the_irreversible(world: World, plan: object) -> None:
    one, two = world.sign("ann", plan=plan), world.sign("bob", plan=plan, expires_in=3600)
    assert not world.evaluate(one, plan=plan).approved
    standing = world.evaluate(one, two, plan=plan)
    assert standing.approved
    assert standing.expires == NOW + timedelta(hours=1)


def test_one_person_counts_once_whatever_the_number_of_keys(world: World) -> None:
    world.allow("ann@laptop", make_key(world.root / "second"))
    plan = make_plan(risk=risky(RiskLevel.HIGH))
    standing = world.evaluate(world.sign("ann", plan=plan), world.sign("second", plan=plan), plan=plan)
    assert not standing.approved
    assert any("ann counts once" in r for r in standing.refusals)


def test_a_replayed_envelope_counts_once(world: World) -> None:
    plan = make_plan(risk=risky(RiskLevel.HIGH))
    envelope = world.sign("ann", plan=plan)
    assert not world.evaluate(envelope, envelope, plan=plan).approved


def test_one_nonce_counts_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    plan = make_plan(risk=risky(RiskLevel.HIGH))
    standing = world.evaluate(world.sign("ann", plan=plan), world.sign("bob", plan=plan), plan=plan)
    assert not standing.approved
    assert "its nonce was used before" in standing.refusals[0]


def test_one_key_counts_once_although_a_certificate_gives_it_to_another(world: World) -> None:
    authority = make_key(world.root / "ca")
    world.allow("*@example.org", authority, "cert-authority")
    keygen("-q", "-s", str(authority), "-I", "x", "-n", "bob@example.org", str(world.root / "ann.pub"))
    now = datetime.now(UTC)
    plan = make_plan(risk=risky(RiskLevel.HIGH), expires=now + timedelta(days=1))
    one = world.sign("ann", plan=plan, now=now)
    two = world.sign("ann-cert.pub", plan=plan, principal="bob@example.org", now=now)
    standing = world.evaluate(one, two, plan=plan, now=now)
    assert not standing.approved
    assert "counts once" in standing.refusals[0]
    assert [a.person for a in standing.approvals] == ["ann"]


@pytest.mark.parametrize(
    ("plan", "runner", "why"),
    [
        (make_plan(author="A.Smith@Example.org"), {"dan"}, "ann made the plan"),
        (make_plan(author="ann"), {"dan"}, "ann made the plan"),
        (
            make_plan(ticket=Ticket(id="1", requester="Ann S. <a.smith@example.org>")),
            {"dan"},
            "ann asked for it",
        ),
        (
            make_plan(ticket=Ticket(id="1", requester="eve@x", requesters=("eve@x", "eve", "ANN"))),
            {"dan"},
            "ann asked for it",
        ),
        (make_plan(), {"ann@laptop", "host-17"}, "ann runs it"),
        (make_plan(), {"ANN"}, "ann runs it"),
    ],
)
def test_four_eyes_under_any_alias(world: World, plan: object, runner: set[str], why: str) -> None:
    standing = world.evaluate(world.sign("ann", plan=plan), plan=plan, runner=runner)
    assert not standing.approved
    assert any(why in r for r in standing.refusals)
    assert world.evaluate(world.sign("bob", plan=plan), plan=plan, runner=runner).approved


@pytest.mark.parametrize(
    ("plan", "runner"), [(make_plan(author="nobody"), {"dan"}), (make_plan(), {"nobody", "u17"})]
)
def test_an_unknown_author_or_runner_could_be_the_approver(
    world: World, plan: object, runner: set[str]
) -> None:
    standing = world.evaluate(world.sign("ann", plan=plan), plan=plan, runner=runner)
    assert not standing.approved
    assert "is nobody in [people]" in standing.blocked[0]


def test_the_role_is_needed(world: World) -> None:
    standing = world.evaluate(world.sign("dan", plan=make_plan(author="cat")), plan=make_plan(author="cat"))
    assert any("dan doesn't have the role change-manager" in r for r in standing.refusals)
    assert not standing.approved


def test_a_denial_stops_the_plan_until_its_author_approves_later(world: World) -> None:
    yes, no = world.sign("ann"), world.sign("bob", Decision.DENY, comment="not on a Friday")
    standing = world.evaluate(yes, no)
    assert not standing.approved
    assert "bob denied it" in standing.blocked[0]
    assert "not on a Friday" in standing.blocked[0]
    with pytest.raises(Refused):
        standing.require()
    after = NOW + LATER
    assert not world.evaluate(yes, no, world.sign("cat", now=after), now=after).approved
    assert world.evaluate(yes, no, world.sign("bob", now=after), now=after).approved


def test_an_earlier_or_simultaneous_approval_does_not_lift_a_denial(world: World) -> None:
    assert not world.evaluate(world.sign("ann"), world.sign("ann", Decision.DENY)).approved
    assert not world.evaluate(
        world.sign("ann", Decision.DENY, now=NOW + LATER), world.sign("ann"), now=NOW + LATER
    ).approved


def test_a_revocation_takes_back_only_ones_own(world: World) -> None:
    yes, other = world.sign("ann"), world.sign("bob")
    back = world.sign("ann", Decision.REVOKE, now=NOW + LATER)
    assert not world.evaluate(yes, back, now=NOW + LATER).approved
    assert world.evaluate(yes, other, back, now=NOW + LATER).approved
    again = world.sign("ann", now=NOW + 2 * LATER)
    assert world.evaluate(yes, back, again, now=NOW + 2 * LATER).approved


def test_a_revocation_at_the_same_instant_wins(world: World) -> None:
    assert not world.evaluate(world.sign("ann"), world.sign("ann", Decision.REVOKE)).approved


def test_a_denial_in_the_journal_counts_although_its_file_is_gone(world: World) -> None:
    no = Evidence("journal 12", world.sign("bob", Decision.DENY).data)
    assert not world.evaluate(world.sign("ann"), revocations=[no]).approved


def test_a_denial_without_the_role_does_not_stop_the_plan(world: World) -> None:
    assert world.evaluate(world.sign("ann"), world.sign("dan", Decision.DENY)).approved


def test_a_denial_outlives_its_key(world: World) -> None:
    no = world.sign("bob", Decision.DENY)
    yes = world.sign("ann")
    world.signers = [line for line in world.signers if not line.startswith("bob")]
    world.write_signers()
    standing = world.evaluate(yes, no)
    assert not standing.approved
    assert "bob@example.org" in standing.blocked[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"inventory": "elsewhere"}, "the plan was changed after it was signed"),
        ({"id": "p-2"}, "another plan"),
    ],
)
def test_an_approval_that_does_not_hold_is_refused_not_waited_for(
    world: World, change: dict[str, str], why: str
) -> None:
    standing = world.evaluate(world.sign("ann"), plan=make_plan(**change))
    assert why in standing.invalid[0]
    with pytest.raises(Refused, match=why):
        standing.require()
    again = make_plan(**change)
    assert world.evaluate(world.sign("ann"), world.sign("bob", plan=again), plan=again).approved


def test_a_valid_approval_that_does_not_count_is_waited_for(world: World) -> None:
    plan = make_plan(author="ann")
    with pytest.raises(Waiting, match="ann made the plan"):
        world.evaluate(world.sign("ann", plan=plan), plan=plan).require()


def test_a_denial_of_another_plan_is_none_of_this(world: World) -> None:
    standing = world.evaluate(world.sign("ann"), world.sign("bob", Decision.DENY, plan=make_plan(id="old")))
    assert standing.approved
    assert "another plan" in standing.refusals[0]


def test_an_unreadable_envelope_stops_the_plan_and_is_named(world: World) -> None:
    standing = evaluate(
        world.plan,
        [Evidence("a.json", world.sign("ann").data), Evidence("x.json", b"{}")],
        world.config,
        NOW,
    )
    assert not standing.approved
    assert standing.blocked[0].startswith("x.json: payload: is missing")


def test_an_expired_approval_does_not_count(world: World) -> None:
    envelope = world.sign("ann", expires_in=600)
    assert world.evaluate(envelope, now=NOW + timedelta(seconds=599)).approved
    assert not world.evaluate(envelope, now=NOW + timedelta(seconds=600)).approved


def test_an_expired_plan_is_blocked(world: World) -> None:
    plan = make_plan(expires=NOW + timedelta(hours=1))
    envelope = world.sign("ann", plan=plan)
    assert world.evaluate(envelope, plan=plan).expires == plan.expires
    (why,) = world.evaluate(envelope, plan=plan, now=NOW + timedelta(hours=1)).blocked or [""]
    assert "expired" in why


def test_an_approval_may_last_until_the_end_of_the_window(world: World) -> None:
    window = Window(start=NOW + timedelta(days=2), end=NOW + timedelta(days=2, hours=4))
    plan = make_plan(window=window)
    envelope = world.sign("ann", plan=plan)
    assert envelope.payload.expires == window.end
    assert world.evaluate(envelope, plan=plan, now=window.end - LATER).approved


def test_the_project_may_shorten_what_was_signed_for_longer(world: World) -> None:
    envelope = world.sign("ann")
    world.settings(SETTINGS + '[approval]\nexpiry = "1h"\n')
    assert world.evaluate(envelope).expires == NOW + timedelta(hours=1)
    assert not world.evaluate(envelope, now=NOW + timedelta(hours=2)).approved


def test_too_few_people_is_said(world: World) -> None:
    world.settings(SETTINGS + "[approval.policy.high]\napprovers = 4\n")
    plan = make_plan(risk=risky(RiskLevel.HIGH))
    assert "only ann, bob, cat could still give it" in world.evaluate(plan=plan).missing[0]


def test_recheck(world: World) -> None:
    standing = world.evaluate(world.sign("ann"))
    recheck(standing, world.plan, NOW, lambda: False)
    assert standing.expires
    for plan, now, revoked, why in [
        (make_plan(id="p-2"), NOW, False, "not the one that was approved"),
        (world.plan, standing.expires, False, "expired"),
        (world.plan, NOW, True, "took the approval back"),
    ]:
        with pytest.raises(Refused, match=why):
            recheck(standing, plan, now, lambda revoked=revoked: revoked)  # type: ignore[misc]
    with pytest.raises(Refused):
        recheck(world.evaluate(), world.plan, NOW, lambda: False)


def test_a_plan_that_lost_its_approval_is_refused_at_each_step(world: World) -> None:
    standing = world.evaluate(world.sign("ann")).model_copy(update={"approved": False})
    with pytest.raises(Refused, match="not the one that was approved"):
        recheck(standing, world.plan, NOW, lambda: False)


def test_a_verdict_is_bound_to_its_attempt(world: World) -> None:
    settlement = Settlement(run="r-1", step="s1", target="web1", attempt=1, verdict=Verdict.APPLIED)
    envelope = world.sign("dan", Decision.DECIDE, settles=settlement)
    evidence = Evidence("d.json", envelope.data)
    assert settle(evidence, settlement, world.plan, world.config, NOW).person == "dan"
    for other in [
        settlement.model_copy(update={"attempt": 2}),
        settlement.model_copy(update={"verdict": Verdict.NOT_APPLIED}),
    ]:
        with pytest.raises(Refused, match="another attempt"):
            settle(evidence, other, world.plan, world.config, NOW)
    assert not world.evaluate(envelope).approved
    world.settings(SETTINGS + '[approval]\ndecide_roles = ["change-manager"]\n')
    with pytest.raises(Refused, match="none of the roles"):
        settle(evidence, settlement, world.plan, world.config, NOW)
