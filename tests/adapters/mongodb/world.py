"""Steps over a private server: contexts of one run, and documents whose values are hard to keep."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bson
import pymongo
from bson.raw_bson import RawBSONDocument
from pydantic import JsonValue

from remediate.adapters.clients import ClientPool
from remediate.adapters.databases.mongo import exact
from remediate.adapters.databases.mongo_update import MongoUpdate
from remediate.model.step import Context, Token
from remediate.model.target import Target
from tests.adapters.databases.servers import PrivateSecrets

#: Breaks whatever puts it into JavaScript, a terminal, or a line.
HOSTILE = "'; db.dropDatabase(); // $where \u202e\x1b[31m \n \U0001f600"
#: One value of each type that is hard to keep, of those that the lab's server can store and compare.
HARD: dict[str, Any] = {
    "long": bson.Int64(1),
    "double": 1.0,
    "decimal": bson.Decimal128("1.10"),
    "far": bson.DatetimeMS(253402300800000),
    "old uuid": bson.Binary(bytes(range(16)), 3),
    "bytes": b"\x00\xff",
    "id": bson.ObjectId("0123456789abcdef01234567"),
    "nothing": None,
    "list": [1, bson.Int64(1), {"b": 1, "a": 2}],
    "stamp": bson.Timestamp(1, 2),
    "text": HOSTILE,
}


@dataclass
class World:
    """One database of a server as the target of one run."""

    port: int
    database: str
    pool: ClientPool
    folder: Path
    run: str = field(default_factory=lambda: f"r-{uuid.uuid4().hex[:12]}")

    def client(self) -> pymongo.MongoClient[Any]:
        """Someone else."""
        return pymongo.MongoClient("127.0.0.1", self.port, directConnection=True)

    def do(self, change: Callable[[Any], object], collection: str = "payment") -> Any:
        """What someone else does with a collection."""
        with self.client() as client:
            return change(client.get_database(self.database, codec_options=exact())[collection])

    def fill(self) -> None:
        """Documents 1 to 5; the first three are wrong, each in its own way."""
        self.do(
            lambda c: c.insert_many(
                [
                    {"_id": 1, "state": "wrong", "card": {"type": "x", "more": HARD}, "note": "old"},
                    {"_id": 2, "state": "wrong", "card": {"type": bson.Int64(1)}, "password": "hunter2"},
                    {"_id": 3, "state": "wrong", "note": None},
                    {"_id": 4, "state": "right", "note": "keep"},
                    {"_id": 5},
                ]
            )
        )

    def everything(self) -> dict[Any, dict[str, bytes]]:
        """All payments as the server holds them, bit by bit; the order of a document's fields left out."""

        def read(collection: Any) -> dict[Any, dict[str, bytes]]:
            raw = collection.with_options(exact().with_options(document_class=RawBSONDocument))
            found = [bson.decode(one.raw, exact()) for one in raw.find()]
            return {d["_id"]: {k: bson.encode({"": v}) for k, v in d.items()} for d in found}

        return dict(self.do(read))

    def marks(self) -> int:
        """How many marks there are."""
        return int(self.do(lambda c: c.count_documents({}), "remediate_marks"))

    def target(self, **variables: JsonValue) -> Target:
        """The server, which asks for no password."""
        own: dict[str, JsonValue] = {
            "mongodb_via": "direct",
            "mongodb_host": "127.0.0.1",
            "mongodb_port": self.port,
            "mongodb_user": "",
        }
        return Target(name="db1", address="127.0.0.1", vars=own | variables)

    def context(self, step: str = "s01", attempt: int = 1, target: Target | None = None) -> Context:
        """One attempt; its workspace is the same for all attempts of the step and for its undo."""
        workspace = self.folder / "workspace" / step.removesuffix("-undo")
        workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Context(
            target=target or self.target(),
            token=Token(self.run, step, attempt),
            clients=self.pool,
            secrets=PrivateSecrets(),
            artefacts=self.folder,
            workspace=workspace,
            attempts=attempt,
        )

    def undo(self) -> Context:
        """Its undo."""
        return self.context("s01-undo")

    def update(self, **fields: Any) -> MongoUpdate:
        """Put the three wrong payments right."""
        own: dict[str, Any] = {
            "database": self.database,
            "collection": "payment",
            "filter": {"state": "wrong"},
            "set": {"state": "right", "card.type": {"$numberLong": "7"}},
            "unset": ["note"],
            "expects": 3,
        }
        return MongoUpdate(**(own | fields))
