"""Nouns of the change process: tickets, priorities, windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from remediate.model.base import Frozen


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


#: An aware instant, kept and written in UTC.
Instant = Annotated[
    AwareDatetime,
    AfterValidator(_utc),
    PlainSerializer(lambda v: v.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str),
]


class Priority(StrEnum):
    """How urgent a ticket is; it sets how often the customer hears of progress."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def progress_every(self) -> timedelta:
        """The longest silence that the customer has to bear while a run goes on."""
        return timedelta(minutes=30) if self is Priority.URGENT else timedelta(hours=2)


class Ticket(Frozen):
    """The ticket as it was when the plan was made."""

    id: str
    subject: str = ""
    requester: str | None = None
    """Who asked for it, as people read it."""
    requesters: tuple[str, ...] = ()
    """Every name that the ticket system knows of everybody who asked; none of them may approve."""
    priority: Priority = Priority.NORMAL
    system: str = "file"

    @property
    def asked_by(self) -> tuple[str, ...]:
        """All names of all who asked for it."""
        return tuple(dict.fromkeys(name for name in (self.requester, *self.requesters) if name))

    @model_serializer(mode="wrap")
    def _without_nothing(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Where the one name says it all, a plan has the bytes that it always had.
        found: dict[str, Any] = handler(self)
        return {key: value for key, value in found.items() if key != "requesters" or value}


class Window(Frozen):
    """A maintenance window: forward steps run inside it only. ``end`` is exclusive."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.start >= self.end:
            raise ValueError("the window ends before it starts")
        return self
