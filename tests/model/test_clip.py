"""Long texts are shortened without showing a part of a word, which could be a part of a secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediate.model.clip import clip

SECRET = "tr0ub4dor-and-3/Zm9v+YmFy="


def test_a_short_text_stays() -> None:
    assert clip("x" * 2000) == "x" * 2000


@given(st.integers(0, 2200), st.sampled_from([" ", "\n", '","', "\t"]), st.integers(1, 90))
def test_a_value_at_the_cut_is_shown_whole_or_not_at_all(before: int, separator: str, width: int) -> None:
    word = "w" * width
    filling = (word + separator) * (6000 // (width + len(separator)))
    text = f"{filling[:before]}{separator}{SECRET}{separator}{filling}"
    shown = clip(text[::1], 2000)
    assert len(shown) < 2100
    for part in (SECRET[:6], SECRET[-6:]):
        assert part not in shown or SECRET in shown
    mirrored = clip(text[::-1], 2000)
    for part in (SECRET[::-1][:6], SECRET[::-1][-6:]):
        assert part not in mirrored or SECRET[::-1] in mirrored


@given(st.text(max_size=5000), st.integers(10, 3000))
def test_what_is_left_out_is_counted(text: str, longest: int) -> None:
    shown = clip(text, longest)
    if len(text) <= longest:
        assert shown == text
        return
    head, _, rest = shown.partition("[… ")
    number, _, tail = rest.partition(" characters left out …]")
    if "[… " not in text:
        assert text.startswith(head[:-1])
        assert text.endswith(tail[1:])
        assert len(head) - 1 + len(tail) - 1 + int(number) == len(text)


@pytest.mark.parametrize("text", ["line\n" * 1000, "word " * 1000])
def test_lines_stay_lines(text: str) -> None:
    assert ("\n" in clip(text)) is ("\n" in text)
