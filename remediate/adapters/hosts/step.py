"""What the steps of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from remediate.adapters.hosts.attempts import quiet, tokens
from remediate.adapters.hosts.client import SDKS, HostClient, connect
from remediate.adapters.hosts.values import Outcome
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.clip import clip
from remediate.model.step import Context, Result, Step
from remediate.model.target import Target


class HostStep(Step):
    """A step whose commands run as jobs on the host, named by the attempt."""

    sdks: ClassVar[tuple[str, ...]] = SDKS

    def quiesce(self, context: Context) -> bool:
        """Whether no job of any attempt goes on."""
        return quiet(context)

    def release(self, context: Context) -> Result:
        """Remove the host's records of this step's jobs."""
        client = connect(context)
        gone = sum(client.forget(token) for token in tokens(context))
        return Result(changed=bool(gone), summary=f"{gone} job records removed")


def fact_of(state: State, key: str) -> dict[str, Any]:
    """One fact; the agent always answers with an object for what it was asked."""
    fact = state.get(key)
    return fact if isinstance(fact, dict) else {}


def look(client: HostClient, key: str) -> dict[str, Any]:
    """One fact, read now."""
    return fact_of(client.facts([key]), key)


def observed(context: Context, keys: Sequence[str]) -> State:
    """Facts by key. Steps that are observed in one look share what they read: each fact is read once."""
    if context.seen is None:
        return connect(context).facts(keys)
    if lacking := [key for key in keys if key not in context.seen]:
        context.seen.update(connect(context).facts(lacking))
    return {key: context.seen[key] for key in keys}


def just_seen(context: Context, key: str) -> dict[str, Any]:
    """One fact as it was observed just before this attempt; read now if it was not."""
    return fact_of(context.before, key) or look(connect(context), key)


def must(client: HostClient, outcome: Outcome, advice: str = "") -> Outcome:
    """The outcome, if the command succeeded.

    Raises:
        StepFailed: it did not; the message has what it said.
    """
    if not outcome.ok:
        what = " ".join(outcome.argv)
        raise StepFailed(f"{client.session.name}: {what} {outcome.ending}: {clip(outcome.said)}", advice)
    return outcome


def rendered(target: Target, text: str) -> str:
    """The text with the target's values filled in.

    Raises:
        StepFailed: the target lacks a variable; nothing was done.
    """
    try:
        return target.render(text)
    except KeyError as error:
        raise StepFailed(str(error).strip("'\""), "set it in the inventory, and plan again") from None
