"""Correct amounts of a payment table that were booked in the wrong unit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from remediate.authoring import DataFix, Risk, RiskLevel, Runbook, Sql, SqlQuery, Step, Waves


class FixRows(Runbook):
    """Divide the amounts of transfers that were booked in cents instead of whole units.

    Wrong are those with an id from ``first`` to ``last`` and an amount of ``limit`` or more. Afterwards no
    such transfer may be left, and the sum over all of these ids must be ``total``. What goes back on a
    failure: every amount that nobody has changed since.
    """

    class Inputs(Runbook.Inputs):
        first: Annotated[int, Field(ge=1, description="the first id that may be wrong")]
        last: Annotated[int, Field(ge=1, description="the last id that may be wrong")]
        limit: Annotated[Decimal, Field(gt=0, description="an amount that only a wrong transfer reaches")]
        expects: Annotated[int, Field(ge=1, description="how many transfers are wrong")]
        total: Annotated[Decimal, Field(description="the sum of these transfers once they are right")]
        divisor: Annotated[int, Field(ge=2, le=1000, description="what wrong amounts are divided by")] = 100
        engine: Literal["mariadb", "postgres"] = "mariadb"
        database: str = "payments"

    targets = "db"
    strategy = Waves(canary=1, then=1)
    risk = Risk(
        level=RiskLevel.MEDIUM,
        outage="the rows are locked for less than a second",
        data_loss="none: a rollback leaves rows that somebody changed since, and names them",
    )

    def steps(self, inputs: Inputs) -> Iterator[Step]:
        ids = {"first": inputs.first, "last": inputs.last}
        wrong = "id BETWEEN :first AND :last AND amount >= :limit"
        values = {**ids, "limit": str(inputs.limit), "divisor": inputs.divisor}
        yield DataFix(
            engine=inputs.engine,
            database=inputs.database,
            table="transfers",
            where=wrong,
            values=values,
            set={"amount": Sql("amount / :divisor")},
            expects=inputs.expects,
            verify=[
                SqlQuery(
                    engine=inputs.engine,
                    database=inputs.database,
                    query=f"SELECT id FROM transfers WHERE {wrong}",  # noqa: S608 - a constant
                    values=values,
                    rows=0,
                ),
                SqlQuery(
                    engine=inputs.engine,
                    database=inputs.database,
                    query="SELECT sum(amount) FROM transfers WHERE id BETWEEN :first AND :last",
                    values=ids,
                    expect=str(inputs.total),
                ),
            ],
        )
