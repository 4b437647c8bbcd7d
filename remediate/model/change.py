"""Nouns of the change process: tickets, priorities, windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer, model_validator

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
    priority: Priority = Priority.NORMAL
    system: str = "file"


class Window(Frozen):
    """A maintenance window: forward steps run inside it only. ``end`` is exclusive."""

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.start >= self.end:
            raise ValueError("the window ends before it starts")
        return self
