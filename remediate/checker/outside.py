"""What others hold of a run: its ticket, and whoever knows the secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from remediate.model.event import BODY, RunFinished

if TYPE_CHECKING:
    from remediate.checker.record import Record


class Anchor(NamedTuple):
    """An event's place and hash, as a checkpoint on the ticket has them."""

    number: int
    seq: int
    hash: str


@dataclass(frozen=True)
class Outside:
    """What an auditor has beside the record. None and nothing: nobody asked."""

    told: tuple[int, ...] | None = None
    """The numbers in the ticket's entries, in the order of the ticket."""
    anchors: tuple[Anchor, ...] = ()
    """From checkpoints whose signatures hold."""
    witnessed: frozenset[str] = frozenset()
    """Kinds of the events that a checkpoint goes to the ticket with."""
    writings: Mapping[str, str] = field(default_factory=dict)
    """Texts that the run left, by where they are."""
    secret: Callable[[str], bool] = lambda _: False
    """Whether a text holds the value of a known secret."""


def told_once_in_order(record: Record) -> Iterator[str]:
    """V13: the ticket tells all that happened, once and in order; of a run that goes on, so far."""
    told = record.outside.told
    if told is None:
        return
    for before, after in pairwise(told):
        if after <= before:
            yield f"the ticket tells of event {after} after event {before}"
    if record.bodies and isinstance(record.bodies[-1], RunFinished):
        last, end = max(told, default=0), record.events[-1].number
        if last < end:
            yield f"the run ended with event {end}; its ticket tells up to event {last}"


def as_witnessed(record: Record) -> Iterator[str]:
    """V14: each record follows the one before it, and is the one that the ticket was told of."""
    for before, after in pairwise(record.events):
        if after.seq == before.seq + 1 and after.prev != before.hash:
            yield f"event {after.number} does not follow event {before.number}"
    told = max(record.outside.told or (), default=0)
    end = record.events[-1].number if record.events else 0
    if told > end:
        yield (
            f"its ticket tells of event {told}, the journal ends with {end}:"
            " its end was cut off, or an older copy was put in its place"
        )
    places = {event.number: (event.seq, event.hash) for event in record.events}
    for anchor in record.outside.anchors:
        if anchor.number <= end and places.get(anchor.number) != (anchor.seq, anchor.hash):
            yield (
                f"event {anchor.number} is not the one of which the ticket has a checkpoint:"
                " the record was rewritten, or is that of a copy which went on"
            )
    anchored = {anchor.number for anchor in record.outside.anchors}
    wanted = (e.number for e in record.events if e.body.kind in record.outside.witnessed)
    for number in wanted:
        if number <= told and number not in anchored:
            yield f"the ticket holds no checkpoint of event {number} that can be believed"


def no_secret(record: Record) -> Iterator[str]:
    """V15: no known secret stands in a record, nor in what the run wrote elsewhere."""
    secret = record.outside.secret
    for event in record.events:
        if secret(BODY.dump_json(event.body).decode()):
            yield f"event {event.number} ({event.body.kind}) holds a secret"
    for place, text in record.outside.writings.items():
        if secret(text):
            yield f"{place} holds a secret"
