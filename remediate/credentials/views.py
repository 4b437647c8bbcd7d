"""The ways in which one text can be read, each with the way back to where something stands in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from remediate.credentials.unescape import Unescaped
from remediate.credentials.unwrap import Unwrapped

Span = tuple[int, int]
#: A text, and where a part of it stands in the text that it was made of.
View = tuple[str, Callable[[Span], Span]]

#: Escapes of escapes are written out so many times.
_TWICE = 2


def whole_lines(text: str) -> Iterator[View]:
    """The text, and the text with encoded blocks on one line."""
    yield text, lambda span: span
    unwrapped = Unwrapped(text)
    if unwrapped.text is not None:
        yield unwrapped.text, unwrapped.original


def written_out(view: View) -> Iterator[View]:
    """The same, and with its escapes written out."""
    yield view
    text, back = view
    for _ in range(_TWICE):
        unescaped = Unescaped(text)
        if unescaped.text is None:
            return
        text, back = unescaped.text, _after(unescaped.original, back)
        yield text, back


def _after(inner: Callable[[Span], Span], outer: Callable[[Span], Span]) -> Callable[[Span], Span]:
    return lambda span: outer(inner(span))
