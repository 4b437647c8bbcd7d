"""Takes secrets out of text, whichever way they were encoded on the way there.

A value is looked for raw, JSON-, shell-, YAML-, URL- and HTML-escaped (also mixed and twice), in hex, and in
Base64 at any alignment, wrapped or not (RFC 4648), each also as UTF-16; and in gzip and zlib in Base64. It
is not found reversed, in Base32 or Base85, encrypted, or in the columns of a hex dump. Beside the known
values, things that look like a secret are taken out: private keys, authorization headers, ``password=...``
and the like.
"""

from __future__ import annotations

import base64
import html.entities
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from weakref import WeakSet

from pydantic import JsonValue

from remediate.credentials.lookalikes import lookalikes
from remediate.credentials.unpack import Unpacked
from remediate.credentials.views import whole_lines, written_out
from remediate.errors import InputError

MARK = "[redacted]"
SHORTEST = 4
LONGEST = 8192

#: A value is looked for in pieces of this many bytes, which keeps the pattern of a whole key file small.
_PIECE = 256
#: Base64 within Base64 is looked into so many times.
_DEPTH = 3
#: Every scrubber of this process, for what leaves it without a project at hand.
_LIVING: WeakSet[Scrubber] = WeakSet()
#: One place in a pattern: the spellings of one character, as regular expressions.
_Slot = tuple[str, ...]


class Scrubber:
    """Collects secret values and replaces them. Safe to use from many threads.

    Text must be given whole, or by lines: a value cut in two is not found.
    """

    def __init__(self) -> None:
        _LIVING.add(self)
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._new: list[str] = []
        self._batches: list[tuple[list[str], re.Pattern[str]]] = []

    def add(self, value: str) -> None:
        """Hide this value from now on.

        Raises:
            InputError: it is too short to be hidden (every short word would be), or too long for a secret.
        """
        if len(value.strip()) < SHORTEST:
            raise InputError(
                f"a secret value has fewer than {SHORTEST} characters", "set a longer one; it can't be hidden"
            )
        if len(value.encode(errors="surrogatepass")) > LONGEST:
            raise InputError(
                f"a secret value has more than {LONGEST} bytes", "keep only the secret itself there"
            )
        with self._lock:
            if value not in self._known:
                self._known.add(value)
                self._new.append(value)

    def _patterns(self) -> list[re.Pattern[str]]:
        # Batches grow like the digits of a counter: a thousand values that come one by one don't make a
        # thousand patterns, nor a thousand rebuilds of one.
        with self._lock:
            if self._new:
                values, self._new = self._new, []
                while self._batches and len(self._batches[-1][0]) <= len(values):
                    values = self._batches.pop()[0] + values
                self._batches.append((values, _pattern(values)))
            return [pattern for _, pattern in self._batches]

    def scrub(self, text: str, *, guess: bool = True) -> str:
        """The text with every secret in it, and if ``guess`` with what looks like one, as ``[redacted]``."""
        spans = [*_found(self._patterns(), text, Unpacked()), *(lookalikes(text) if guess else ())]
        return _cut(text, sorted(spans)) if spans else text

    def holds(self, text: str) -> bool:
        """Whether a known value stands in this text, encoded in whichever way."""
        return any(True for _ in _found(self._patterns(), text, Unpacked()))

    def scrub_json(self, value: JsonValue) -> JsonValue:
        """Like `scrub`, for every string, key and number of a JSON value; the shape stays."""
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, dict):
            return {self.scrub(key): self.scrub_json(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.scrub_json(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            text = str(value)
            return value if (clean := self.scrub(text)) == text else clean
        return value


def scrub_all(text: str, *, guess: bool) -> str:
    """The text without any secret that was resolved in this process; ``guess`` as for `Scrubber.scrub`."""
    for scrubber in (*_LIVING, Scrubber()):
        text = scrubber.scrub(text, guess=guess)
    return text


def _found(
    patterns: list[re.Pattern[str]], text: str, unpacked: Unpacked, depth: int = _DEPTH
) -> Iterator[tuple[int, int]]:
    """Where known values stand, in every way of reading the text."""
    if not patterns:
        return
    for lines, back in whole_lines(text):
        for view, original in written_out((lines, back)):
            yield from (original(span) for pattern in patterns for span in _spans(pattern, view))
        if depth:
            for place, inside in unpacked.inside(lines):
                if inside is None or any(True for _ in _found(patterns, inside, unpacked, depth - 1)):
                    yield back(place)


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """All matches, those that overlap too: two secrets may share characters."""
    position = 0
    while match := pattern.search(text, position):
        yield match.span()
        position = match.start() + 1


def _cut(text: str, spans: Iterable[tuple[int, int]]) -> str:
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if start > done or not parts:
            parts += [text[done:start], MARK]
        done = max(done, end)
    return "".join(parts) + text[done:]


def _pattern(values: Iterable[str]) -> re.Pattern[str]:
    """One expression for all forms of all values, a tree by the first two places, so that most text is
    skipped after a glance.
    """
    tree: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for value in values:
        for slots, between in _forms(value):
            second = between + _any(slots[1])
            rest = "".join(between + _any(slot) for slot in slots[2:])
            for first in slots[0]:
                tree[first][second].add(rest)
    return re.compile(
        _branches({f: _branches({s: _longest(rests) for s, rests in t.items()}) for f, t in tree.items()})
    )


def _branches(parts: dict[str, str]) -> str:
    return "|".join(f"{first}(?:{rest})" for first, rest in parts.items())


def _longest(rests: Iterable[str]) -> str:
    return "|".join(sorted(rests, key=len, reverse=True))


def _any(slot: _Slot) -> str:
    return slot[0] if len(slot) == 1 else f"(?:{'|'.join(slot)})"


def _forms(value: str) -> Iterator[tuple[list[_Slot], str]]:
    """Every form of a value: its characters, and what may stand between them."""
    lines = [line.strip() for line in value.splitlines()] if "\n" in value else []
    for text in {value, value.strip(), *(line for line in lines if len(line) >= 8)}:
        yield [_first(text[0]), *(_character(c) for c in text[1:])], ""
        if text.isascii():
            yield [(re.escape(c),) for c in "\0".join(text)], ""
    for data in {*_pieces(value.encode(errors="surrogatepass")), *_utf16(value)}:
        yield [_hex(byte) for byte in data], "[ :]?"
        for offset in range(3):
            yield _base64(data, offset), ""


def _pieces(data: bytes) -> list[bytes]:
    cuts = list(range(0, max(1, len(data) - SHORTEST + 1), _PIECE))
    return [data[a:b] for a, b in zip(cuts, [*cuts[1:], len(data)], strict=True)]


def _utf16(value: str) -> Iterator[bytes]:
    # The outer zero byte is left off: what remains is the same in both byte orders for Latin text.
    for codec in ("utf-16-le", "utf-16-be"):
        yield from _pieces(value.encode(codec, errors="surrogatepass").strip(b"\0"))


def _first(char: str) -> _Slot:
    # A value may be found from its last escaping backslash on; so every branch starts with one character.
    return tuple(
        re.sub(r"^\\\\[*+]", lambda m: "" if m[0][-1] == "*" else r"\\", f) for f in _character(char)
    )


@lru_cache(maxsize=4096)
def _character(char: str) -> _Slot:
    """The spellings of one character in JSON, shells, URLs, HTML and string literals.

    Letters and digits are written as they are by all of them.
    """
    if char.isascii() and char.isalnum():
        return (char,)
    plain = re.escape(char)
    forms = [r"\\+" if char == "\\" else rf"\\*{plain}"]
    data = char.encode(errors="surrogatepass")
    forms.append("".join(f"%(?:25)*{_either(f'{b:02x}')}" for b in data))
    forms.append("".join(rf"\\+x{_either(f'{b:02x}')}" for b in data))
    units = char.encode("utf-16-be", errors="surrogatepass").hex()
    forms.append("".join(rf"\\+u{_either(units[i : i + 4])}" for i in range(0, len(units), 4)))
    if len(units) > 4:
        forms.append(rf"\\+U{_either(f'{ord(char):08x}')}")
    elif ord(char) < 256:
        forms.append(rf"\\+x{_either(f'{ord(char):02x}')}")
    names = "|".join(sorted(_entities().get(char, ())))
    number = f"#0*{ord(char)}|#[xX]0*{_either(f'{ord(char):x}')}"
    forms.append(f"&(?:amp;)*(?:{f'{names}|' if names else ''}{number});?")
    forms += _SPECIAL.get(char, ())
    return tuple(forms)


@cache
def _entities() -> dict[str, set[str]]:
    """Names that HTML has for a character, without ``&`` and ``;``."""
    names = defaultdict(set)
    for name, text in html.entities.html5.items():
        names[text].add(name.rstrip(";"))
    return names


_SPECIAL: dict[str, _Slot] = {
    " ": (r"\+", r"\r?\n[ \t]{1,40}"),  # YAML breaks lines there
    "&": ("&(?:amp;)+",),
    "'": (r"'\\''", "'\"'\"'", "''"),
    '"': ('""',),
    "\n": (r"\\+n",),
    "\r": (r"\\+r",),
    "\t": (r"\\+t",),
}

_BASE64: dict[str, _Slot] = {
    "+": (r"\+", "-", "%2[bB]"),
    "/": ("/", "_", r"\\/", "%2[fF]"),
}


def _either(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


def _hex(byte: int) -> _Slot:
    digits = f"{byte:02x}"
    heads = sorted({digits[0], digits[0].upper()})
    return tuple(head + _either(digits[1]) for head in heads)


def _base64(data: bytes, offset: int) -> list[_Slot]:
    """The characters that depend on this data only, when ``offset`` other bytes precede it.

    The one at each border, which is shared with a neighbour, tells less than six bits.
    """
    text = base64.b64encode(bytes(offset) + data).decode()
    core = text[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]
    return [_BASE64.get(c, (c,)) for c in core]
