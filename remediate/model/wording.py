"""What pydantic has against a value, in our words: which field, what was given, what is expected.

The one place that does so. Nothing of pydantic's own wording, its prefixes or the addresses of its
documentation reaches a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

_MOST = 80

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a number",
    "decimal": "a number",
    "bool": "a boolean (true or false)",
    "string": "text",
    "bytes": "bytes",
    "path": "a path",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "iterable": "a list",
    "dict": "a table of keys and values",
    "mapping": "a table of keys and values",
    "model": "a table of keys and values",
    "model_attributes": "a table of keys and values",
    "dataclass": "a table of keys and values",
    "datetime": "a date with time",
    "date": "a date",
    "time": "a time",
    "time_delta": "a length of time",
    "timezone": "a date with time and time zone",
    "url": "a web address",
    "ip_any_address": "an IP address",
    "none_required": "nothing",
}
#: Kinds whose expectation stands in the context of the error.
_BOUNDS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "string_pattern_mismatch": "text like {pattern}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "union_tag_invalid": "{expected_tags}",
    "union_tag_not_found": "a value with a {discriminator}",
    "is_instance_of": "{class}",
    "is_subclass_of": "{class}",
}
_ENDINGS = ("_type", "_parsing", "_parsing_size", "_from_float", "_from_date_parsing", "_unicode")
_PREFIXES = ("Value error, ", "Assertion failed, ", "Input should be ", "Input ")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a value.

    Attributes:
        loc: the way to it, from the outside in.
        kind: pydantic's name of it, such as ``missing`` or ``extra_forbidden``.
        text: what is expected and what was given.
        expected: what is expected, alone; empty if a rule of ours says it in a sentence.
        given: the value as it was written, shortened; empty if there was none, or it is no single value.
    """

    loc: tuple[str, ...]
    kind: str
    text: str
    expected: str
    given: str

    @property
    def field(self) -> str:
        """``limits.parallel``; empty for the value as a whole."""
        return ".".join(self.loc)

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.loc else self.text


def problems(error: ValidationError) -> tuple[Problem, ...]:
    """Everything that is wrong."""
    return tuple(_problems(error))


def wrong(error: ValidationError) -> str:
    """Everything that is wrong, in one line: ``File.path: …; File.mode: …``."""
    return "; ".join(f"{error.title}.{p}" if p.loc else f"{error.title}: {p}" for p in problems(error))


def _problems(error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        kind, context = item["type"], item.get("ctx", {})
        loc = tuple(str(part) for part in item["loc"])
        given = "" if kind in ("missing", "extra_forbidden") else _given(item.get("input"))
        expected = _expected(kind, context)
        yield Problem(loc, kind, _text(kind, context, item["msg"], expected, given), expected, given)


def _text(kind: str, context: Mapping[str, Any], message: str, expected: str, given: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not known here"
    if kind in ("value_error", "assertion_error"):
        # A rule of ours: it says itself what it wants.
        said = str(context.get("error", "")) or _plain(message)
        return said if not given or given.strip("'\"") in said else f"{said} (given: {given})"
    said = f"expected {expected}" if expected else _plain(message)
    return f"{said}, given {given}" if given else said


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _BOUNDS:
        try:
            said = _BOUNDS[kind].format_map(context)
        except KeyError:
            return ""
        # Numbers of one: "at least 1 characters".
        return re.sub(
            r"\b1 (character|entr)(?:s|ies)\b", lambda m: f"1 {m[1]}{'y' if m[1] == 'entr' else ''}", said
        )
    for ending in _ENDINGS:
        if kind.endswith(ending) and (known := _EXPECTED.get(kind.removesuffix(ending))):
            return known
    return _EXPECTED.get(kind, "")


def _plain(message: str) -> str:
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message


def _given(value: object) -> str:
    """A single value as it was written; a whole table would hide the one thing that matters."""
    if not isinstance(value, str | int | float | bool):
        return ""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
