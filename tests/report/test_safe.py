"""Hostile text is made visible, kept short, and otherwise left alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediate.report.safe import safe
from tests.report.hostile import FORBIDDEN, often, texts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Größe → 大きさ 🚀 “x”", "Größe → 大きさ 🚀 “x”"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x00b\x7fc", "a␀b␡c"),
        ("\x9b2J", "\\x9b2J"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("a\u200bb\ufeffc", "a\\u200bb\\ufeffc"),
        ("a\u2028b\u2029c\x85d", "a\\u2028b\\u2029c\\x85d"),
        ("\ud83d\ud800", "\\ud83d\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("a\u3164b\u2800c", "a\\u3164b\\u2800c"),
        ("a\nb\tc\rd", "a␊b␉c␍d"),
        ("10\u00a0GB", "10\u00a0GB"),
        ("C:\\new", "C:\\new"),
        ("e\u0301 is fine", "e\u0301 is fine"),
        ("z" + "\u0301" * 6, "z" + "\u0301" * 4 + "\\u0301\\u0301"),
    ],
)
def test_one_line(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_lines_and_tabs_are_kept_where_wanted() -> None:
    assert safe("a\n\tb\r\n", lines=True) == "a\n\tb␍\n"


def test_unusual_spaces_show_where_every_byte_matters() -> None:
    assert safe("a\u00a0b\u3000c", exact=True) == "a\\xa0b\\u3000c"


def test_what_is_cut_is_counted() -> None:
    assert safe("x" * 12_600, 300) == "x" * 260 + " … 12,340 more characters"
    assert safe("ab\n" * 1000, 300, lines=True).endswith(
        "ab\n… 2,740 more characters".replace("b\n…", "b\n…")
    )


def test_escapes_count_towards_the_limit() -> None:
    shown = safe("\u202e" * 1_000_000, 300)
    assert len(shown) <= 300
    assert shown.endswith("more characters")


def test_endless_text_costs_no_time() -> None:
    text = "\x1b[0m" * 10_000_000
    began = time.process_time()
    safe(text, 40_000)
    assert time.process_time() - began < 0.5


@often
@given(texts, st.integers(60, 500), st.booleans(), st.booleans())
def test_nothing_forbidden_gets_through(text: str, limit: int, lines: bool, exact: bool) -> None:
    shown = safe(text, limit, lines=lines, exact=exact)
    assert not FORBIDDEN.search(shown)
    assert lines or not set(shown) & {"\n", "\t"}
    assert len(shown) <= limit
    assert safe(shown, limit, lines=lines, exact=exact) == shown
