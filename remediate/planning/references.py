"""Proves, before anybody approves, that every ``{target.…}`` of a plan means something on every target."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from remediate.errors import InputError
from remediate.model.base import Frozen
from remediate.model.step import Check, Step
from remediate.model.target import Target
from remediate.planning.expand import Draft

#: Whatever looks as if it were meant to refer to the target; ${target} is a shell's.
_MEANT = re.compile(r"\{\s*target\s*\.[^{}]*\}|(?<!\$)\{target\}")
_VARIABLE = re.compile(r"\{target\.vars\.\w+\}")
_FIELDS = ("{target.name}", "{target.address}", "{target.port}", "{target.user}", "{target.vars.NAME}")
_SHOWN = 5


def prove(
    drafts: Iterable[Draft],
    acceptance: Iterable[Check],
    targets: Sequence[Target],
    where: Callable[[int], str],
) -> None:
    """Fill in every text of every step and check for every target that it is for. Touches no target.

    Args:
        where: the place of the step with this number in the runbook's source; 0 is the runbook itself.

    Raises:
        InputError: a reference is misspelt, or targets lack what it refers to. The message names the step or
            check, its field, and the targets.
    """
    for draft in drafts:
        step, chosen = draft.step, [t for t in targets if t.name in set(draft.targets)]
        place = f"{where(draft.number)}: {draft.name()}"
        _texts(step, chosen, place)
        for check in step.verify:
            _check(check, chosen, place)
    for check in acceptance:
        _check(check, targets, f"{where(0)}: acceptance")


def _check(check: Check, targets: Sequence[Target], place: str) -> None:
    _texts(check, targets, place)
    place = f"{place}: {type(check).__name__}"
    for target in targets:
        try:
            title = check.title(target)
        except Exception as error:  # a check of anybody's: whatever it raises is for the author to see
            text = str(error).strip("'\"") or type(error).__name__
            raise InputError(f"{place}: no title for {target.name}: {text}") from error
        if found := _MEANT.search(title):
            raise InputError(
                f"{place}: {found[0]} is not filled in here: {title!r} ({target.name})",
                "write out what differs, or ask with another check",
            )


def _texts(noun: Step | Check, targets: Sequence[Target], place: str) -> None:
    for field in noun.filled:
        for text in _strings(getattr(noun, field)):
            for reference in dict.fromkeys(_MEANT.findall(text)):
                _resolve(reference, targets, f"{place}: {type(noun).__name__}.{field}")


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, Frozen):
        yield from _strings(value.model_dump())


def _resolve(reference: str, targets: Sequence[Target], place: str) -> None:
    lacking = []
    for target in targets:
        try:
            filled = target.render(reference)
        except KeyError:
            lacking.append(target.name)
            continue
        if filled == reference:
            close = difflib.get_close_matches(reference, _FIELDS, 1)
            raise InputError(
                f"{place}: {reference} means nothing ({_some([t.name for t in targets])})",
                f"did you mean {close[0]}?" if close else f"there is {', '.join(_FIELDS)}",
            )
        if reference == "{target.user}" and target.user is None:
            lacking.append(target.name)
    if lacking:
        what = "variable" if _VARIABLE.fullmatch(reference) else "value"
        raise InputError(
            f"{place}: no {what} for {reference} on {_some(lacking)}",
            "set it in the inventory, or leave these targets out (on=…, --limit)",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
