"""Frozen values, canonical bytes and digests: what makes a plan one thing that can be signed."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, JsonValue, PlainSerializer

#: Facts about a target, flat: ``"file:/etc/hosts" -> {...}``. One key means the same thing for every
#: step, so that two steps that touch one file share one fact.
State = dict[str, JsonValue]


class Frozen(BaseModel):
    """The base of every noun: immutable, and unknown fields are errors, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8, no NaN.

    Two equal values always give equal bytes, so a digest over them can be compared and signed.
    """
    return _ENCODER.encode(value).encode()


def sha256(data: bytes) -> str:
    """Lower-case hex SHA-256."""
    return hashlib.sha256(data).hexdigest()


def fingerprint(state: Mapping[str, JsonValue]) -> str:
    """SHA-256 over the canonical bytes of a state."""
    return sha256(canonical(dict(state)))


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 1000 * 366 * 86400.0
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)\s*$")


def seconds(value: object) -> float:
    """Seconds from ``30``, ``"30s"``, ``"5m"``, ``"1.5h"``, ``"2d"`` or a timedelta.

    Raises:
        ValueError: for anything else, and for a negative duration.
    """
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # Comparing first: a whole number may be too large to be a float.
        result = float(value) if -_LONGEST <= value <= _LONGEST else math.inf
    elif isinstance(value, str) and (match := _DURATION.match(value)):
        result = float(match[1]) * _UNITS[match[2]]
    else:
        raise ValueError(f"not a duration: {value!r} (write 30s, 5m, 2h or 1d)")
    if not result <= _LONGEST:
        raise ValueError("a duration has an end, at most a thousand years")
    if result < 0:
        raise ValueError(f"a duration can't be negative: {value!r}")
    return result


#: Seconds as a float; accepts ``"30s"`` and the like.
Duration = Annotated[float, BeforeValidator(seconds), PlainSerializer(float)]


def duration_text(value: float) -> str:
    """A duration as a person says it: ``45 s``, ``12 min``, ``1 h 30 min``."""
    if value < 10 and value != int(value):
        return f"{value:.1f} s"
    if value < 100:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if rest else f"{hours} h"
