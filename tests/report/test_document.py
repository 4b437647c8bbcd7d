"""Blocks make their own text safe, so that no renderer has to remember."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import get_args

import pytest
from hypothesis import given

from remediate.report.document import (
    Block,
    Cell,
    Code,
    Diff,
    Document,
    Facts,
    Heading,
    Paragraph,
    Severity,
    Table,
    facts,
    table,
)
from tests.report.hostile import FORBIDDEN, often, texts
from tests.report.samples import nasty_document


def strings(value: object) -> Iterator[str]:
    """Every string in a document, wherever it is."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from strings(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from strings(getattr(value, field.name))


@often
@given(texts)
def test_every_string_of_every_block_is_safe(text: str) -> None:
    for string in strings(nasty_document(text)):
        assert not FORBIDDEN.search(string)


def test_the_nasty_document_has_every_block() -> None:
    assert {type(block) for block in nasty_document().blocks} == set(get_args(Block))


def test_blocks_are_frozen() -> None:
    heading = Heading("x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        heading.text = "\x1b"  # type: ignore[misc] # that it can't be done is the point


def test_a_row_of_another_length_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="another number of cells"):
        table(["a", "b"], [["1"]])


def test_facts_without_a_value_are_left_out() -> None:
    assert facts(("a", ""), ("b", "1"), ("c", Cell(""))) == Facts((("b", Cell("1")),))


def test_levels_stay_below_the_title() -> None:
    assert [Heading("x", level).level for level in (-1, 1, 2, 4, 9)] == [2, 2, 2, 4, 4]


def test_line_ends_of_prose_are_unified_and_of_diffs_shown() -> None:
    assert Paragraph("a\r\nb").text == "a\nb"
    assert Diff("a\r\nb").text == "a␍\nb"
    assert Code("x\u00a0y", "Shell; rm").language == "shellrm"


def test_lines_of_a_diff_know_what_they_are() -> None:
    text = "--- a\n+++ b\n@@ -1,2 +1,2 @@\n--- was a comment\n+new\n same\n"
    kinds = [kind for kind, _ in Diff(text).lines()]
    assert kinds == ["head", "head", "at", "del", "add", "same"]
    assert [kind for kind, _ in Diff("-a\n+b").lines()] == ["del", "add"]


def test_long_values_are_capped() -> None:
    assert len(Cell("x" * 10_000).text) <= 2_000
    assert len(Diff("+x\n" * 100_000).text) <= 40_000


def test_an_empty_document_is_one() -> None:
    assert Document("t", ()).blocks == ()
    assert Table((), ()).rows == ()
    assert Severity("danger") is Severity.DANGER


def test_every_text_can_be_changed_before_it_is_rendered() -> None:
    secret = "p&ss'w<rd*"
    document = nasty_document(f"user {secret} end")
    clean = document.mapped(lambda text: text.replace(secret, "[redacted]"))
    assert not any(secret in string for string in strings(clean))
    assert clean.mapped(lambda text: text.replace("[redacted]", secret)) == document
    assert [type(block) for block in clean.blocks] == [type(block) for block in document.blocks]
