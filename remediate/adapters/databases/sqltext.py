"""SQL as text: where a statement ends, what it does first, and where its named values go.

No parser: it only knows what may hold a semicolon or a colon that means nothing (quotes, comments, dollar
quotes of PostgreSQL) and the DELIMITER of MariaDB's command line. What it can't be sure of it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remediate.errors import InputError

_WORD = r"(?P<word>[^\W\d][\w$]*)"
_MARIADB = re.compile(
    r"(?P<comment>\#[^\n]*|--(?=[\s\x00-\x1f]|\Z)[^\n]*|/\*(?![!M]).*?\*/)"
    r"|(?P<quoted>/\*[!M].*?\*/|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)*`)"
    r"|(?P<space>\s+)|" + _WORD,
    re.DOTALL,
)
_POSTGRES = re.compile(
    r"(?P<comment>--[^\n]*)"
    r"|(?P<quoted>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\""
    r"|(?P<dollar>\$(?:[^\W\d]\w*)?\$).*?(?P=dollar))"
    r"|(?P<space>\s+)|" + _WORD,
    re.DOTALL,
)
_OPENERS = {"mariadb": ("'", '"', "`", "/*"), "postgres": ("'", '"')}
_DOLLAR = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_COMPOUND = ("PROCEDURE", "FUNCTION", "TRIGGER", "EVENT")
_TRANSACTION = ("BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "END", "ABORT", "XA")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece: ``comment``, ``quoted``, ``space``, ``word``, ``end``, or one ``other`` character."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, without what ends it."""

    text: str
    words: tuple[str, ...]
    """Its words outside quotes and comments, in upper case."""
    line: int = 1
    """Where it begins in its file."""

    @property
    def brief(self) -> str:
        """On one line, and not too long."""
        line = " ".join(self.text.split())
        return line if len(line) <= 100 else f"{line[:97]}…"


def tokens(text: str, engine: str, delimiter: str = "") -> Iterator[Token]:
    """The text in pieces, which together are the text again.

    Args:
        text: SQL.
        engine: ``mariadb`` or ``postgres``.
        delimiter: what ends a statement outside quotes and comments; empty for nothing.

    Raises:
        InputError: a quote or comment does not end.
    """
    scanner = _Scanner(text, engine)
    while not scanner.done:
        yield scanner.next(delimiter)


class _Scanner:
    """A position in a text."""

    def __init__(self, text: str, engine: str) -> None:
        self.text, self.engine, self.position = text, engine, 0
        self._pattern = _POSTGRES if engine == "postgres" else _MARIADB

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.position >= len(self.text)

    def rest_of_line(self) -> str:
        """What follows up to the end of the line, taken."""
        end = self.text.find("\n", self.position)
        end = len(self.text) if end < 0 else end
        line, self.position = self.text[self.position : end], end
        return line

    def next(self, delimiter: str) -> Token:
        """The next piece, taken."""
        start = self.position
        if delimiter and self.text.startswith(delimiter, start):
            return self._take("end", start + len(delimiter))
        if self.engine == "postgres" and self.text.startswith("/*", start):
            return self._take("comment", self._nested(start))
        match = self._pattern.match(self.text, start)
        if match is None:
            self._no_opener(start)
            return self._take("other", start + 1)
        kind, end = self._kind(match), match.end()
        if delimiter and kind == "word" and (cut := self.text.find(delimiter, start, end)) > start:
            end = cut
        return self._take(kind, end)

    def _take(self, kind: str, end: int) -> Token:
        start, self.position = self.position, end
        return Token(kind, self.text[start:end])

    @staticmethod
    def _kind(match: re.Match[str]) -> str:
        return next(kind for kind in ("comment", "quoted", "space", "word") if match[kind] is not None)

    def _nested(self, start: int) -> int:
        """The end of a comment that may hold others."""
        depth, position = 0, start
        while position < len(self.text):
            if self.text.startswith("/*", position):
                depth, position = depth + 1, position + 2
            elif self.text.startswith("*/", position):
                depth, position = depth - 1, position + 2
                if not depth:
                    return position
            else:
                position += 1
        raise InputError(f"line {self._line(start)}: a comment does not end", "close it")

    def _no_opener(self, start: int) -> None:
        """Raises if a quote or comment begins here: as a whole it would have been found."""
        opened = self.text.startswith(_OPENERS[self.engine], start)
        if self.engine == "postgres":
            opened = opened or _DOLLAR.match(self.text, start) is not None
        if opened:
            raise InputError(f"line {self._line(start)}: a quote or comment does not end", "close it")

    def _line(self, position: int) -> int:
        return self.text.count("\n", 0, position) + 1


def split(text: str, engine: str) -> list[Statement]:
    """The statements of a script, in order.

    Raises:
        InputError: it can't be told where a statement ends, or one of them begins or ends a transaction.
    """
    scanner, delimiter = _Scanner(text, engine), ";"
    found: list[Statement] = []
    pieces: list[Token] = []
    line = 1
    while not scanner.done:
        if not _code(pieces):
            line = scanner.text.count("\n", 0, scanner.position) + 1
        token = scanner.next(delimiter)
        if token.kind == "end":
            found += _statement(pieces, engine, line, delimiter)
            pieces = []
        elif engine == "mariadb" and not _code(pieces) and token.text.upper() == "DELIMITER":
            delimiter = scanner.rest_of_line().strip()
            if not delimiter or "\\" in delimiter or delimiter[0] in "'\"`":
                raise InputError(f"line {line}: DELIMITER {delimiter}: that is none", "write DELIMITER //")
        else:
            pieces.append(token)
    return found + _statement(pieces, engine, line, delimiter)


def _code(pieces: list[Token]) -> bool:
    return bool(pieces) and any(piece.kind not in ("comment", "space") for piece in pieces)


def _statement(pieces: list[Token], engine: str, line: int, delimiter: str) -> list[Statement]:
    if not _code(pieces):
        return []
    words = tuple(piece.text.upper() for piece in pieces if piece.kind == "word")
    whole = Statement("".join(piece.text for piece in pieces).strip(), words, line)
    where = f"line {line}: {whole.brief}"
    if words and words[0] in _TRANSACTION:
        raise InputError(f"{where}: transactions are begun and ended by remediate", "leave it out")
    made = set(words[:8]) & set(_COMPOUND) if words and words[0] == "CREATE" else set()
    if made and delimiter == ";" and "BEGIN" in words:
        how = "write DELIMITER // around it" if engine == "mariadb" else "write its body in dollar quotes"
        raise InputError(f"{where}: it can't be told where its body ends", how)
    return [whole]


def single(text: str, engine: str) -> Statement:
    """One statement that was given as such; it may hold whatever ends statements elsewhere.

    Raises:
        InputError: it is empty, or begins or ends a transaction.
    """
    found = _statement([*tokens(text, engine)], engine, 1, "")
    if not found:
        raise InputError("an empty statement", "leave it out")
    return found[0]


def expression(text: str, engine: str) -> None:
    """Check that this can stand inside a statement without ending it.

    Raises:
        InputError: it can't.
    """
    depth = 0
    for token in tokens(text, engine, ";"):
        depth += (token.text == "(") - (token.text == ")") if token.kind == "other" else 0
        if token.kind == "end" or depth < 0:
            raise InputError(f"{text!r} is no single SQL expression", "leave out what ends it")
    if depth or not text.strip():
        raise InputError(f"{text!r} is no whole SQL expression", "close what it opens")


def bind(text: str, values: Mapping[str, Any], engine: str) -> tuple[str, list[Any]]:
    """The text as the clients take it: ``%s`` for each ``:name`` that has a value, percent signs doubled.

    ``::type`` and names without a value stay as they are.
    """
    pieces: list[str] = []
    params: list[Any] = []
    last = ""
    for token in tokens(text, engine):
        if token.kind == "word" and token.text in values and last == ":" and pieces[-2:-1] != [":"]:
            pieces[-1] = "%s"
            params.append(values[token.text])
        else:
            pieces.append(token.text.replace("%", "%%"))
        last = token.text if token.kind == "other" else ""
    return "".join(pieces), params
