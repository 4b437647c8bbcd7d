"""Differences of states in words: complete where it is short, capped where it is not, never wrong."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from remediate.model.base import State, fingerprint
from remediate.report.compare import brief, difference, value_text
from tests.report.hostile import FORBIDDEN, often, texts


@pytest.mark.parametrize(
    ("expected", "actual", "text"),
    [
        ({}, {}, ""),
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "a: 1 → 2"),
        ({"a": 1}, {"a": 1.0}, "a: 1 → 1.0"),
        ({"a": 1}, {"a": True}, "a: 1 → true"),
        ({"a": 1}, {"a": "1"}, 'a: 1 → "1"'),
        ({"a": None}, {}, "a: none → absent"),
        ({"a": "none"}, {"a": None}, 'a: "none" → none'),
        ({}, {"a": ""}, 'a: absent → ""'),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, "a: 1 → 2\nb: 1 → 2"),
        ({"package:shop": {"version": "1.0-1"}}, {"package:shop": {"version": "1.1-1"}},
         "package:shop version: 1.0-1 → 1.1-1"),
        ({"f": {"a": {"b": 1}, "c": 2}}, {"f": {"a": {"b": 3}, "c": 2}}, "f a b: 1 → 3"),
        ({"f": {"a": 1}}, {"f": None}, 'f: {"a": 1} → none'),
        ({"f": {"a": 1}}, {}, 'f: {"a": 1} → absent'),
        ({"l": [1, 2, 3]}, {"l": [1, 3, 4]}, "l: without 2 and with 4"),
        ({"l": [1, 2]}, {"l": [1]}, "l: without 2"),
        ({"l": [1]}, {"l": [1, "x y"]}, 'l: with "x y"'),
        ({"l": [1, 2]}, {"l": [2, 1]}, "l: other order or number of the same items: [1, 2] → [2, 1]"),
        ({"l": []}, {"l": list(range(9))}, "l: with 0, 1, 2, 3, 4 and 4 more"),
        ({"t": "a b"}, {"t": "a  b"}, 't: "a b" → "a  b"'),
        ({"t": "a b"}, {"t": "a\u00a0b"}, 't: "a b" → "a\\xa0b"'),
        ({"t": "x"}, {"t": "\x1b[31mx"}, 't: x → "\\u001b[31mx"'),
        ({"t": "one\ntwo\nthree\n"}, {"t": "one\n2\nthree\n"},
         "t:\n  @@ from line 2 on @@\n   one\n  -two\n  +2\n   three"),
    ],
)  # fmt: skip
def test_differences(expected: State, actual: State, text: str) -> None:
    assert difference(expected, actual) == text


def test_long_values_show_where_they_differ() -> None:
    before, after = "x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000
    text = difference({"t": before}, {"t": after})
    assert "xxxold" in text
    assert "xxxnew" in text
    assert len(text) < 400


def test_many_differences_are_counted() -> None:
    text = difference({f"k{n:04d}": 1 for n in range(1000)}, {})
    assert text.count("\n") == 40
    assert text.endswith("… 960 more differences")


def test_long_differences_are_counted_too() -> None:
    before: State = {f"k{n}": "\n".join(f"{i} {'x' * 150}" for i in range(100)) for n in range(30)}
    after: State = {f"k{n}": "\n".join(f"{i} {'y' * 150}" for i in range(100)) for n in range(30)}
    text = difference(before, after)
    assert len(text) < 14_000
    assert text.endswith("… 29 more differences")


def test_a_long_text_shows_its_first_difference_soon() -> None:
    before = [f"line {n}" for n in range(20_000)]
    after = [*before[:15], "changed", *(f"other {n}" for n in range(20_000))]
    began = time.process_time()
    text = difference({"t": "\n".join(before)}, {"t": "\n".join(after)})
    assert time.process_time() - began < 1
    assert "@@ from line 16 on @@\n  -line 15" in text
    assert "  +changed" in text


def test_a_change_at_the_end_of_a_long_text_is_shown() -> None:
    lines = [f"line {n}" for n in range(50_000)]
    text = difference({"t": "\n".join([*lines, "a"])}, {"t": "\n".join([*lines, "b"])})
    assert text == "t:\n  @@ from line 50001 on @@\n   line 49999\n  -a\n  +b"


def test_a_value_without_canonical_bytes_is_still_told() -> None:
    assert difference({"t": "\ud800"}, {"t": "x"}) == 't: "\\ud800" → x'
    assert "absent" in difference({"t": float("nan")}, {})


AMBIGUOUS = ["absent", "none", "true", "null", "1", "1.5", "1e5", "nan", "", " x", "x ", '"x"', "a b", "é"]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_string_that_could_be_something_else_is_quoted(text: str) -> None:
    assert value_text(text).startswith('"')


@pytest.mark.parametrize("text", ["shop", "1.0-1", "/etc/hosts", "10.77.0.11", "root@web3", "a_b"])
def test_a_plain_string_is_not(text: str) -> None:
    assert value_text(text) == text


def test_an_object_in_brief() -> None:
    assert brief({"mode": "0644", "sha256": "a" * 64}) == 'mode="0644", sha256=aaaaaaaaaaaaaaaa…'
    assert len(brief({f"k{n}": n for n in range(1000)})) <= 91


json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
states = st.dictionaries(texts, json_values, max_size=4)


@often
@given(states, states)
def test_a_difference_is_told_exactly_when_there_is_one(one: State, other: State) -> None:
    for before, after in ((one, other), (one, one)):
        text = difference(before, after)
        try:
            same = fingerprint(before) == fingerprint(after)
        except UnicodeEncodeError:
            same = before == after
        assert (text == "") == same
        assert not FORBIDDEN.search(text)
        assert text.count("\n") < 40 * 33
