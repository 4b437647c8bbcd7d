"""Whether a database answers a query as expected."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from pydantic import Field, model_validator

from remediate.adapters.checks.bounds import Bounds
from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.databases import sqltext
from remediate.adapters.databases.engine import endpoint, engine_named
from remediate.adapters.databases.step import EngineName
from remediate.adapters.hosts.step import rendered
from remediate.errors import InputError
from remediate.model.base import Duration
from remediate.model.clip import clip
from remediate.model.step import Context
from remediate.model.target import Target

Value = bool | int | float | str | None
#: More rows than this are not fetched: an answer that nobody can look at is no answer.
MOST_ROWS = 1000
_LOCK_SECONDS = 2.0


class SqlQuery(Question):
    """Ask one SELECT in a read-only transaction, and compare its answer.

    ``expect`` and the bounds are for the single value of a single row; ``rows`` is the number of rows. Values
    that come from outside are named ``:name`` in the query and given by ``values``.
    """

    kind: ClassVar[str] = "sql-query"
    filled: ClassVar[tuple[str, ...]] = ("database",)

    engine: EngineName
    database: str = Field(min_length=1)
    query: str = Field(min_length=1)
    values: dict[str, Value] = Field(default_factory=dict)
    expect: bool | int | float | str | None = None
    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    rows: int | None = Field(default=None, ge=0, le=MOST_ROWS)
    timeout: Duration = Field(default=10.0, gt=0, le=300)

    @model_validator(mode="after")
    def _one_expectation(self) -> SqlQuery:
        if [self.expect is not None, self._bounds.given, self.rows is not None].count(True) != 1:
            raise ValueError("give one of expect, rows, and at_least with at_most")
        try:
            sqltext.expression(self.query, self.engine)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def _bounds(self) -> Bounds:
        return Bounds(at_least=self.at_least, at_most=self.at_most)

    def subject(self, target: Target) -> str:
        """The query."""
        return f"{target.render(self.database)}: {clip(' '.join(self.query.split()), 200)}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The value, its bounds, or the number of rows."""
        if self.rows is not None:
            return f"{self.rows} rows"
        return str(self._bounds) if self._bounds.given else str(self.expect)

    def look(self, context: Context) -> Finding:
        """Ask once."""
        driver = engine_named(self.engine)
        name = rendered(context.target, self.database)
        query, params = sqltext.bind(self.query, self.values, self.engine)
        if not params:
            query = query.replace("%%", "%")
        with driver.open(endpoint(context, self.engine), name) as session:
            driver.limit(session, _LOCK_SECONDS, self.timeout)
            session.do("START TRANSACTION READ ONLY")
            # As a part of another query it can be nothing but a query.
            found = session.rows(
                f"SELECT * FROM (\n{query}\n) AS answer LIMIT {MOST_ROWS + 1}",  # noqa: S608 - the author's own
                params,
            )
        if self.rows is not None:
            said = f"{len(found)} rows" if len(found) <= MOST_ROWS else f"over {MOST_ROWS} rows"
            return Finding(len(found) == self.rows, said)
        if len(found) != 1 or len(found[0]) != 1:
            shape = f"{len(found)} rows" if len(found) != 1 else f"{len(found[0])} columns"
            return Finding(False, f"{shape} where a single value should be")
        value = found[0][0]
        if value is None:
            return Finding(False, "NULL")
        return Finding(self._holds(value), clip(str(value), 500))

    def _holds(self, value: Any) -> bool:
        if self._bounds.given:
            number = _number(value)
            return number is not None and self._bounds.holds(float(number))
        expected, actual = _number(self.expect), _number(value)
        if expected is not None and actual is not None:
            return expected == actual
        return str(self.expect) == str(value)


def _number(value: Any) -> Decimal | None:
    """Exactly: 0.1 is the number that was written so, not the nearest double."""
    try:
        number = Decimal(int(value)) if isinstance(value, bool) else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
