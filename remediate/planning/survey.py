"""Reads the targets for a plan: the state that will be changed, and what the change would look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from remediate.errors import InputError, Refused, RemediateError
from remediate.model.base import State
from remediate.model.step import BatchStep, Context, Role
from remediate.model.target import Target
from remediate.planning.expand import Draft

#: Makes the context of one step (by its id) on one target.
Contexts = Callable[[str, Target], Context]

PREVIEW_LIMIT = 64 * 1024


@dataclass(slots=True)
class Survey:
    """By step id, then by target name."""

    observed: dict[str, dict[str, State]] = field(default_factory=dict)
    preview: dict[str, dict[str, str]] = field(default_factory=dict)


def survey(
    drafts: Sequence[Draft],
    targets: Sequence[Target],
    contexts: Contexts,
    parallel: int,
    progress: Callable[[str], None],
    where: Callable[[int], str],
) -> Survey:
    """Observe everything on every target, then ask for previews. Changes nothing.

    Args:
        where: the place of the step with this number in the runbook's source.

    Raises:
        Refused: a target can't be read; every such target is named.
        InputError: nothing would be observed on a target that is changed.
    """
    found = Survey({d.id: {} for d in drafts}, {d.id: {} for d in drafts})
    problems: list[str] = []

    def observe(target: Target) -> tuple[dict[str, State], str]:
        states: dict[str, State] = {}
        seen: State = {}
        for draft in drafts:
            if target.name not in draft.targets:
                continue
            try:
                states[draft.id] = draft.step.observe(replace(contexts(draft.id, target), seen=seen))
            except Exception as error:
                return states, named(target.name, words(error))
        return states, ""

    progress(f"reading {len(targets)} target{'s' if len(targets) > 1 else ''}")
    with ThreadPoolExecutor(max(1, min(parallel, len(targets)))) as pool:
        for target, (states, problem) in zip(targets, pool.map(observe, targets), strict=True):
            if problem:
                problems.append(problem)
            for step, state in states.items():
                found.observed[step][target.name] = state
        if problems:
            raise Refused(
                f"{len(problems)} of {len(targets)} targets can't be read, so nothing was planned:\n  "
                + "\n  ".join(problems[:20]),
                "mend the access, or leave them out with --limit",
                tuple(problems),
            )
        _something(drafts, targets, found, where)
        progress("asking what would change")
        for draft in drafts:
            _preview(draft, targets, contexts, pool, found)
    return found


def _something(
    drafts: Sequence[Draft], targets: Sequence[Target], found: Survey, where: Callable[[int], str]
) -> None:
    """A target without a single fact would end as *verified original*, whatever became of it."""
    for target in targets:
        own = [d for d in drafts if target.name in d.targets]
        blind = [d for d in own if d.step.role is Role.CHANGE and not d.step.irreversible]
        if blind and not any(found.observed[d.id][target.name] for d in own):
            first = blind[0]
            raise InputError(
                f"{where(first.number)}: {first.name()}: nothing is observed on {target.name}, so nothing "
                "could prove that a rollback put it back",
                "name what the step changes (touches=…, services=…, watch=…, or protect=[HostBackup(…)]), "
                'or say irreversible="why" (needs the higher approval)',
            )


def _preview(
    draft: Draft, targets: Sequence[Target], contexts: Contexts, pool: ThreadPoolExecutor, found: Survey
) -> None:
    chosen = [contexts(draft.id, t) for t in targets if t.name in set(draft.targets)]
    step = draft.step

    def one(context: Context) -> str:
        try:
            return step.preview(context)
        except Exception as error:
            return f"no preview: {words(error)}"

    if isinstance(step, BatchStep):
        try:
            texts = dict(step.preview_many(chosen))
        except Exception as error:
            texts = {c.target.name: f"no preview: {words(error)}" for c in chosen}
    else:
        texts = {c.target.name: text for c, text in zip(chosen, pool.map(one, chosen), strict=True)}
    found.preview[draft.id] = {name: text[:PREVIEW_LIMIT] for name, text in texts.items() if text}


def named(target: str, text: str) -> str:
    """The text with its target in front, once."""
    return text if text.startswith(f"{target}:") else f"{target}: {text}"


def words(error: Exception) -> str:
    """An error in one line."""
    text = error.problem if isinstance(error, RemediateError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
