"""A target's MongoDB: one login, a few typed requests, and errors told as what they mean for a step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from remediate.adapters.clients import load_sdk
from remediate.adapters.databases.endpoint import Endpoint, wanted
from remediate.adapters.databases.tunnel import tunnel
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Context

Document = dict[str, Any]
#: PyMongo knows a Unix socket by this ending.
_SOCKET = "mongodb.sock"
_CONNECT_SECONDS = 10.0
#: On the server and here. Whoever died cannot have a write end later than this after its last word.
WRITE_SECONDS = 5.0
_READ_SECONDS = 30.0


def place(context: Context) -> Endpoint:
    """The MongoDB of this context's target, reachable from here; a tunnel stays open for the run.

    Raises:
        StepFailed: a variable is missing, or the target can't be reached; nothing was done.
    """
    want = wanted(context.target, "mongodb")
    password = context.secrets.resolve(want.password) if want.password else ""
    if want.via == "direct":
        return Endpoint(want.target, want.host, want.port, want.user, password, want.ca_file)
    way = tunnel(context, want.host, want.port, _SOCKET)
    return Endpoint(want.target, str(way.folder), want.port, want.user, password)


class MongoSession:
    """One login in one database, at exactly the server that the inventory names.

    Values are kept as they are: times in milliseconds, UUIDs as their bytes, documents in their order.

    Args:
        endpoint: where; with an empty user, nobody logs in.
        database: its name.
        seconds: limit of each read, on the server too.
        token: names the attempt to the server (``appName``).

    Raises:
        StepFailed: not let in, not there, or a certificate that proves nothing; nothing was done.
    """

    def __init__(
        self, endpoint: Endpoint, database: str, seconds: float = _READ_SECONDS, token: str = ""
    ) -> None:
        load_sdk("pymongo", "bson")
        import pymongo
        from pymongo.errors import PyMongoError
        from pymongo.write_concern import WriteConcern

        self._name, self._seconds = endpoint.name, seconds
        options: dict[str, Any] = {"tls": not endpoint.trusted}
        if endpoint.user:
            if not endpoint.password:
                raise StepFailed(f"{self._name}: mongodb_password is missing; nothing was done", _ADVICE)
            options |= {"username": endpoint.user, "password": endpoint.password}
        if endpoint.ca_file is not None and not endpoint.trusted:
            options |= {"tlsCAFile": str(endpoint.ca_file)}
        try:
            self._client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                _address(endpoint),
                directConnection=True,
                # What became of a write is asked here, and decided by the step.
                retryWrites=False,
                retryReads=False,
                appname=token or "remediate",
                **options,
            )
            self._database = self._client.get_database(
                database, codec_options=exact(), write_concern=WriteConcern("majority")
            )
        except (PyMongoError, ValueError, OSError) as error:
            raise StepFailed(f"{self._name}: {error}; nothing was done", _ADVICE) from None
        try:
            with self._reading(min(_CONNECT_SECONDS, seconds)):
                self._client.admin.command("ping")
        except StepFailed as error:
            self.close()
            raise StepFailed(f"{error.problem}; nothing was done", _ADVICE) from None

    def need_primary(self) -> None:
        """Make sure that this server takes writes, and so holds the newest state.

        Raises:
            StepFailed: it is a secondary.
        """
        with self._reading():
            primary = self._client.is_primary
        if not primary:
            raise StepFailed(
                f"{self._name}: this MongoDB is no primary", "make the primary a target of the runbook"
            )

    def count(self, collection: str, query: Mapping[str, Any]) -> int:
        """How many documents match.

        Raises:
            StepFailed: no answer.
        """
        with self._reading():
            return int(self._database[collection].count_documents(query))

    def find(
        self, collection: str, query: Mapping[str, Any], fields: Sequence[str], most: int
    ) -> list[Document]:
        """The first ``most`` documents that match, with ``_id`` and these top-level fields only.

        Raises:
            StepFailed: no answer; or a value can't be written again as it is.
        """
        import bson
        from bson.raw_bson import RawBSONDocument

        raw = self._database[collection].with_options(exact().with_options(document_class=RawBSONDocument))
        with self._reading():
            found = list(raw.find(query, dict.fromkeys(("_id", *fields), 1), limit=most))
        documents = []
        for one in found:
            document = bson.decode(one.raw, exact())
            if bson.encode(document, codec_options=exact()) != one.raw:
                raise StepFailed(
                    f"{collection}: {document['_id']!r} holds a value of an old type that can't be put back",
                    "change these documents by hand",
                )
            documents.append(document)
        return documents

    def whole(self, collection: str) -> tuple[int, str]:
        """How many documents there are, and a digest of all their bytes, in the order of their ``_id``.

        Raises:
            StepFailed: no answer.
        """
        from bson.raw_bson import RawBSONDocument

        raw = self._database[collection].with_options(exact().with_options(document_class=RawBSONDocument))
        count, digest = 0, hashlib.sha256()
        with self._reading():
            for one in raw.find({}).sort("_id", 1):
                count += 1
                digest.update(one.raw)
        return count, digest.hexdigest()

    def insert(self, collection: str, document: Document) -> None:
        """Add a document; returns when a majority of the replica set has it.

        Raises:
            StepFailed: the server said no.
            InDoubt: nobody knows.
        """
        with self._writing():
            self._database[collection].insert_one(document)

    def change(self, collection: str, query: Mapping[str, Any], change: Mapping[str, Any]) -> bool:
        """Change the one document that matches; whether there was one. Raises as `insert` does."""
        with self._writing():
            return self._database[collection].update_one(query, change).matched_count == 1

    def remove(self, collection: str, identity: Any) -> None:
        """Remove the document with this ``_id``, if there is one. Raises as `insert` does."""
        with self._writing():
            self._database[collection].delete_one({"_id": {"$eq": identity}})

    @contextmanager
    def _reading(self, seconds: float | None = None) -> Iterator[None]:
        import pymongo
        from bson.errors import BSONError
        from pymongo.errors import PyMongoError

        try:
            with pymongo.timeout(seconds or self._seconds):
                yield
        except (PyMongoError, BSONError) as error:
            raise StepFailed(f"{self._name}: {_said(error)}") from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        import pymongo
        from bson.errors import BSONError
        from pymongo import errors

        try:
            with pymongo.timeout(WRITE_SECONDS):
                yield
        except errors.ServerSelectionTimeoutError as error:
            raise StepFailed(f"{self._name}: not reached, so nothing was sent: {_said(error)}") from None
        except (errors.ConnectionFailure, errors.WriteConcernError) as error:
            raise InDoubt(f"{self._name}: a write was sent, and not confirmed: {_said(error)}") from None
        except (errors.PyMongoError, BSONError, OverflowError) as error:
            raise StepFailed(f"{self._name}: {_said(error)}") from None

    def close(self) -> None:
        """End the session."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def exact() -> Any:
    """How BSON is read so that it can be written again, bit by bit (``bson.codec_options.CodecOptions``)."""
    from bson.codec_options import CodecOptions, DatetimeConversion

    return CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)


_ADVICE = "check mongodb_host, mongodb_user, mongodb_password and mongodb_ca_file in the inventory"
_LONGEST = 500


def _address(endpoint: Endpoint) -> str:
    if endpoint.local:
        return f"{endpoint.host}/{_SOCKET}"
    # With brackets whatever has a colon is an address of IPv6, and never a URI with options of its own.
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def _said(error: Exception) -> str:
    """The server's own words, without the whole topology and the document that it was about."""
    return (str(error) or type(error).__name__).partition(", full error:")[0][:_LONGEST]
