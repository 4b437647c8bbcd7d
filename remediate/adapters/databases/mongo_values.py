"""Values of MongoDB's documents: read from JSON, changed by path, compared exactly, shown to a human."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from remediate.adapters.databases.kept import named
from remediate.adapters.databases.mongo import Document, exact
from remediate.errors import StepFailed
from remediate.model.base import sha256

#: Operators that execute JavaScript on the server.
_CODE = frozenset({"$where", "$function", "$accumulator"})


def from_json(value: JsonValue) -> Any:
    """MongoDB's Extended JSON as values: ``{"$oid": "..."}``, ``{"$date": "..."}``, ``{"$numberLong": "1"}``.

    Raises:
        ValueError: it is none.
    """
    from bson import json_util
    from bson.codec_options import DatetimeConversion
    from bson.errors import BSONError
    from bson.json_util import JSONOptions

    options = JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
    try:
        return json_util.loads(json.dumps(value), json_options=options)
    except (BSONError, ValueError, TypeError, ArithmeticError) as error:
        raise ValueError(f"no Extended JSON: {error}") from None


def code_in(query: JsonValue) -> Iterator[str]:
    """Operators in a query that would execute JavaScript."""
    if isinstance(query, dict):
        yield from _CODE & query.keys()
    for value in query.values() if isinstance(query, dict) else query if isinstance(query, list) else ():
        yield from code_in(value)


def query_from(text: Mapping[str, JsonValue]) -> Document:
    """A query out of Extended JSON.

    Raises:
        ValueError: it would execute JavaScript, or is no Extended JSON.
    """
    if code := sorted(set(code_in(dict(text)))):
        raise ValueError(f"{', '.join(code)} would execute JavaScript on the server")
    query: Document = from_json(dict(text))
    return query


def top(path: str) -> str:
    """The top-level field of a path with dots."""
    return path.partition(".")[0]


def changed(old: Document, assigned: Mapping[str, Any], removed: Sequence[str]) -> Document:
    """These top-level fields with values assigned to some paths, and others removed; ``old`` stays.

    Raises:
        StepFailed: a path leads through something that is no document.
    """
    new = _copy(old)
    for path, value in assigned.items():
        holder, name = _holder(new, path, make=True)
        holder[name] = value
    for path in removed:
        holder, name = _holder(new, path, make=False)
        holder.pop(name, None)
    return new


def same(one: Document, other: Document) -> bool:
    """Whether both have the same fields with the same values: 1, 1.0 and a long 1 are three."""
    return one.keys() == other.keys() and all(_bytes(one[name]) == _bytes(other[name]) for name in one)


def digest_of(documents: Sequence[Document]) -> str:
    """Of some documents in any order."""
    return sha256(b"".join(sorted(_bytes(document) for document in documents)))[:16]


def guard(identity: Any, fields: Sequence[str], values: Document) -> Document:
    """A query for this document, if these fields hold these values, and are missing where there is none.

    Of what MongoDB takes for equal (1 and 1.0), whoever asks must have told it apart before.
    """
    return {"_id": {"$eq": identity}} | {name: _holds(name, values) for name in fields}


def assignment(fields: Sequence[str], values: Document) -> Document:
    """An update that gives these fields these values, and removes those for which there is none."""
    gone = {name: "" for name in fields if name not in values}
    here = {name: values[name] for name in fields if name in values}
    return ({"$set": here} if here else {}) | ({"$unset": gone} if gone else {})


def shown(identity: Any, values: Document) -> str:
    """One line for a human: hostile characters escaped, secrets and great lengths left out."""
    texts = {"_id": identity} | values
    return named(tuple(texts), tuple(_text(value) for value in texts.values()))


def _holder(document: Document, path: str, *, make: bool) -> tuple[Document, str]:
    """The document that a path's last name is in, and that name; what is missing on the way is made."""
    *way, name = path.split(".")
    for part in way:
        inner = document.get(part, {})
        if not isinstance(inner, dict):
            raise StepFailed(
                f"{path}: {part} holds no document in every document that matches; nothing was changed",
                "give the whole field a value, or choose the documents by their $type",
            )
        if make:
            document[part] = inner
        document = inner
    return document, name


def _holds(name: str, values: Document) -> Document:
    if name not in values:
        return {"$exists": False}
    value = values[name]
    # A query also finds values in arrays; and what is missing, for null.
    kind: Document = {"$size": len(value)} if isinstance(value, list) else {"$not": {"$type": "array"}}
    return {"$exists": True, "$eq": value} | kind


def _copy(document: Document) -> Document:
    import bson

    return bson.decode(bson.encode(document, codec_options=exact()), exact())


def _bytes(value: Any) -> bytes:
    import bson

    return bson.encode({"": value}, codec_options=exact())


def _text(value: Any) -> str:
    from bson import json_util

    return value if isinstance(value, str) else json_util.dumps(value)
