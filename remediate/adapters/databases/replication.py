"""Whether replicas keep up."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from remediate.adapters.checks.question import Finding, Question
from remediate.adapters.databases.engine import endpoint, engine_named
from remediate.adapters.databases.step import EngineName
from remediate.model.base import Duration
from remediate.model.step import Context
from remediate.model.target import Target

_SECONDS = 10.0


class ReplicationLag(Question):
    """Each replication stream of the target runs, and is no more than this behind.

    On a replica it is the stream that it receives; on a PostgreSQL primary, those that it sends. A MariaDB
    primary does not know how far its replicas are: ask the replicas. Fewer streams than ``at_least`` fail.
    """

    kind: ClassVar[str] = "replication-lag"

    engine: EngineName
    at_most: Duration = 10.0
    at_least: int = Field(default=1, ge=1)

    def subject(self, target: Target) -> str:
        """The server."""
        return f"replication of {self.engine} on {target.name}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """The lag, and how many."""
        return f"{self.at_least} or more streams, at most {self.at_most:g} s behind"

    def look(self, context: Context) -> Finding:
        """Ask once."""
        driver = engine_named(self.engine)
        with driver.open(endpoint(context, self.engine), "") as session:
            driver.limit(session, _SECONDS, _SECONDS)
            found = driver.replicas(session)
        if not found:
            return Finding(False, "no replica")
        ok = len(found) >= self.at_least and all(r.lag is not None and r.lag <= self.at_most for r in found)
        said = [
            f"{r.name}: " + (f"{r.state}, lag not known" if r.lag is None else f"{r.lag:.1f} s behind")
            for r in found
        ]
        return Finding(ok, "; ".join(said))
