"""Good input, made bad: changed bytes, and changed values inside of JSON."""

from __future__ import annotations

import copy
import json
from functools import partial
from typing import Any

from hypothesis import strategies as st

from tests.report.hostile import SNIPPETS

DEEP = 100_000
#: Values that a reader may not have thought of.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**400), 1e308, float("nan"), float("inf"), float("-inf")),
    *("", " ", "0", "-1", "é", "x" * 10_000, "\x00", "\ud800", "../../etc/passwd", "--option", "9" * 5000),
    *([], {}, [[]], [None], [{}], {"": None}, {"x": {"y": []}}, ["a", 1, None]),
)
values = st.one_of(
    st.sampled_from(VALUES).map(copy.deepcopy), st.sampled_from(SNIPPETS), st.text(max_size=20), st.integers()
)


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [way, *(place for key in keys for place in _places(value[key], (*way, key)))]


@st.composite
def json_values(draw: st.DrawFn, good: Any, changes: int = 2) -> Any:
    """A good JSON value in which up to so many places hold something else, nothing, or something more."""
    value = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, changes))):
        way = draw(st.sampled_from(_places(value)))
        if not way:
            value = draw(values)
            continue
        parent = value
        for key in way[:-1]:
            parent = parent[key]
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add"]))
        if what == "replace":
            parent[way[-1]] = draw(values)
        elif what == "remove":
            del parent[way[-1]]
        elif isinstance(parent, dict):
            parent[draw(st.text(max_size=5))] = draw(values)
        else:
            parent.append(draw(values))
    return value


def text_of(value: Any) -> bytes:
    """As JSON that also other programs would write, or as Python alone would (NaN, lone surrogates)."""
    return json.dumps(value).encode()


_BYTES = (b"", b"\x00", b"\xff", b"{", b"}", b'"', b"[", b",", b"\\u0000", b"NaN", b"\n")
_cuts = st.tuples(
    st.integers(0, 1 << 20),
    st.sampled_from([0, 0, 1, 2, 7, 100, 1000]),
    st.one_of(st.none(), st.binary(max_size=20), st.sampled_from(_BYTES)),
)


def _spoil(cuts: list[tuple[int, int, bytes | None]], good: bytes) -> bytes:
    for place, length, new in cuts:
        at = place % (len(good) + 1)
        piece = good[at : at + length]
        good = good[:at] + (piece * 2 if new is None else new) + good[at + length :]
    return good


#: Functions from good bytes to bytes that are cut, doubled or overwritten in places.
spoilings = st.lists(_cuts, min_size=1, max_size=3).map(lambda cuts: partial(_spoil, cuts))


def spoiled(good: bytes) -> st.SearchStrategy[bytes]:
    """Good bytes, cut, doubled or overwritten in places."""
    return spoilings.map(lambda spoil: spoil(good))


def nested(opening: bytes, closing: bytes, inside: bytes = b"", depth: int = DEEP) -> bytes:
    """Far deeper than anything means."""
    return opening * depth + inside + closing * depth
