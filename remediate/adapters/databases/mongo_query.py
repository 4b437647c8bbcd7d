"""Whether as many documents match as expected."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, JsonValue, model_validator

from remediate.adapters.checks.bounds import Bounds
from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.databases.mongo import MongoSession, place
from remediate.adapters.databases.mongo_values import query_from
from remediate.adapters.hosts.step import rendered
from remediate.model.base import Duration, canonical
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target


class MongoQuery(Question):
    """Count the documents that ``filter`` (Extended JSON) matches: ``expect`` exactly, or within bounds."""

    kind: ClassVar[str] = "mongo-query"
    filled: ClassVar[tuple[str, ...]] = ("database",)

    database: str = Field(min_length=1)
    collection: str = Field(min_length=1)
    filter: dict[str, JsonValue] = Field(default_factory=dict)
    expect: int | None = Field(default=None, ge=0)
    at_least: int | None = Field(default=None, ge=0)
    at_most: int | None = Field(default=None, ge=0)
    timeout: Duration = Field(default=10.0, gt=0, le=300)

    @model_validator(mode="after")
    def _one_expectation(self) -> MongoQuery:
        if (self.expect is not None) == self._bounds.given:
            raise ValueError("give either expect, or at_least with at_most")
        query_from(self.filter)
        return self

    @property
    def _bounds(self) -> Bounds:
        return Bounds(at_least=self.at_least, at_most=self.at_most)

    def subject(self, target: Target) -> str:
        """The collection and the filter."""
        where = clip(canonical(self.filter).decode(), 200)
        return f"{target.render(self.database)}.{self.collection} where {where}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The number, or its bounds."""
        return f"{self._bounds if self._bounds.given else self.expect} documents"

    def look(self, context: Context) -> Finding:
        """Ask once. What an old secondary says is no answer."""
        name = rendered(context.target, self.database)
        with MongoSession(place(context), name, self.timeout, str(context.token)) as session:
            session.need_primary()
            count = session.count(self.collection, query_from(self.filter))
        ok = self._bounds.holds(count) if self._bounds.given else count == self.expect
        return Finding(ok, f"{count} documents")
