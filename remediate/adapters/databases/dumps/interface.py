"""What a backup needs of a SQL database: a look at one instant, a way to load it, and a server to do so."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from remediate.adapters.databases.dumps.scratch import Recipe
from remediate.adapters.databases.endpoint import Endpoint
from remediate.adapters.databases.engine import Engine, Session
from remediate.errors import InputError


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt: its token, and when it must be over (of `time.monotonic`)."""

    token: str
    deadline: float

    @property
    def left(self) -> float:
        """Seconds that remain; never less than one, so that whoever starts fails by its own word."""
        return max(1.0, self.deadline - time.monotonic())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A database as it was at one instant, twice: a session that sees it, and the dump of it.

    The stream raises `StepFailed` at its end if the dump is not whole. The session is not for two threads.
    ``seen`` is called when it has seen everything: from then on it stands in nobody's way.
    """

    session: Session
    stream: Iterator[bytes]
    seen: Callable[[], None]


class Loader(Protocol):
    """Takes a dump piece by piece."""

    def write(self, data: bytes) -> int:
        """The next piece.

        Raises:
            StepFailed: it takes no more.
        """

    def finish(self) -> str:
        """There is no more; returns what was said on the way.

        Raises:
            StepFailed: it was not loaded.
        """


class Dumper(ABC):
    """One engine's programs."""

    engine: Engine
    suffix: str
    """What a file with such a dump ends with."""

    @abstractmethod
    def snapshot(
        self, endpoint: Endpoint, database: str, tables: Sequence[str] | None, job: Job
    ) -> AbstractContextManager[Snapshot]:
        """Look at the database (or some of its tables) as it is now, for as long as the block lasts.

        Raises:
            StepFailed: it can't be seen at one instant, or the program can't be started.
        """

    @abstractmethod
    def loading(self, endpoint: Endpoint, database: str, job: Job) -> AbstractContextManager[Loader]:
        """Loads what is written to it into this empty database."""

    @abstractmethod
    def replace(
        self,
        endpoint: Endpoint,
        database: str,
        tables: Sequence[str],
        parts: Mapping[str, Sequence[int]],
        pour: Callable[[Callable[[bytes], object]], None],
        job: Job,
    ) -> None:
        """Put these tables of a dump in the place of those that are there, and touch nothing else.

        Args:
            parts: what `parts` gave when the dump was made.
            pour: gives the whole dump, piece by piece, to the function that it is called with.
        """

    @abstractmethod
    def parts(self, session: Session) -> dict[str, list[int]]:
        """The catalogue's numbers of all that belongs to each table, where a dump names things by them."""

    @abstractmethod
    def owners(self, session: Session) -> dict[str, str]:
        """The table that each index, constraint and trigger belongs to, by its name in `Engine.schema`."""

    @abstractmethod
    def users(self, session: Session) -> list[str]:
        """Accounts that definitions of the database may name."""

    @abstractmethod
    def admit(self, session: Session, users: Sequence[str]) -> None:
        """Make these accounts in a private server, so that the definitions work there. None can log in."""

    @abstractmethod
    def attributes(self, session: Session) -> dict[str, str]:
        """How the session's database was made: encoding and collation."""

    @abstractmethod
    def create(self, session: Session, database: str, attributes: Mapping[str, str]) -> None:
        """Make an empty database that can take the dump of one with these attributes.

        Raises:
            StepFailed: it exists, or can't be made.
        """

    @abstractmethod
    def exists(self, session: Session, database: str) -> bool:
        """Whether the server has a database of this name."""

    @abstractmethod
    def versions(self, session: Session) -> dict[str, str]:
        """Of the server and of the programs here."""

    @property
    @abstractmethod
    def recipe(self) -> Recipe:
        """How a private server of this engine is made on this machine."""


def dumper_named(name: str) -> Dumper:
    """The dumper for the engine of this name.

    Raises:
        InputError: there is none.
    """
    from remediate.adapters.databases.dumps.mariadb import MariaDumper
    from remediate.adapters.databases.dumps.postgres import PostgresDumper

    known: dict[str, type[Dumper]] = {"mariadb": MariaDumper, "postgres": PostgresDumper}
    if name not in known:
        raise InputError(f"no dumps for the database engine {name!r}", f"known are {', '.join(known)}")
    return known[name]()
