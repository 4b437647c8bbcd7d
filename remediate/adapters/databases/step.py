"""What steps over SQL databases share: sessions, and making sure that earlier ones are dead."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal

from pydantic import Field

from remediate.adapters.databases.engine import Engine, Session, endpoint, engine_named
from remediate.adapters.databases.marks import Marks
from remediate.adapters.hosts.attempts import tokens
from remediate.adapters.hosts.step import rendered
from remediate.errors import InDoubt, StepFailed
from remediate.model.base import Duration
from remediate.model.step import Context, Result, Step

EngineName = Literal["mariadb", "postgres"]

#: How long a look at planning may make others wait, and take itself.
LOOK_LOCK, LOOK_SECONDS = 2.0, 30.0
_DEATH_SECONDS = 5.0
_POLL = 0.05


class DatabaseStep(Step):
    """A step over one database of the target's server. ``lock_wait`` is how long one of its statements may
    wait for a lock: everyone who comes after it waits as long."""

    filled: ClassVar[tuple[str, ...]] = ("database",)

    engine: EngineName
    database: str = Field(min_length=1)
    lock_wait: Duration = Field(default=5.0, gt=0, le=300)

    def name(self, context: Context) -> str:
        """The database, with the target's values filled in."""
        return rendered(context.target, self.database)

    @property
    def driver(self) -> Engine:
        """The engine."""
        return engine_named(self.engine)

    @contextmanager
    def looking(self, context: Context) -> Iterator[Session]:
        """A session that changes nothing, and so carries no name of an attempt."""
        with self.driver.open(endpoint(context, self.engine), self.name(context)) as session:
            self.driver.limit(session, LOOK_LOCK, LOOK_SECONDS)
            yield session

    @contextmanager
    def acting(self, context: Context) -> Iterator[Session]:
        """The attempt's own session; it gives up where the step's time would be over."""
        where = endpoint(context, self.engine)
        with self.driver.open(where, self.name(context), str(context.token)) as session:
            self.driver.limit(session, min(self.lock_wait, context.timeout), context.timeout)
            yield session

    def quiesce(self, context: Context) -> bool:
        """End every session of an earlier attempt that the server still has; what was open is rolled back."""
        driver, until = self.driver, time.monotonic() + _DEATH_SECONDS
        with driver.open(endpoint(context, self.engine), self.name(context)) as session:
            while left := [n for token in tokens(context) for n in driver.sessions(session, token)]:
                if time.monotonic() > until:
                    return False
                for number in left:
                    driver.end(session, number)
                time.sleep(_POLL)
        return True

    def release(self, context: Context) -> Result:
        """Remove this step's marks."""
        with self.acting(context) as session:
            there = Marks(self.driver, session, context).forget()
        return Result(changed=there, summary="the marks are removed" if there else "nothing was kept")


@contextmanager
def uncommitted() -> Iterator[None]:
    """Work before the COMMIT is sent: when the connection is lost, the server takes all of it back."""
    try:
        yield
    except InDoubt as error:
        raise StepFailed(f"{error.problem}; nothing was committed") from None
