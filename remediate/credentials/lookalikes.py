"""Finds what looks like a secret although nobody named it as one.

Rather a word too many is hidden than a key too few. Every repetition is bounded, because the text may come
from a host that means harm.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

#: A value in quotes (escaped or not, closed or not) or up to the next separator.
_VALUE = r"""(?P<q>\\{0,8}["'])?(?P<v>(?(q)(?:(?!(?P=q))(?:\\.|[^\r\n\\]))+|[^\s"',;&\\]+))"""
#: The rest of a name, and the quote that may close it.
_NAME = r"""[\w-]{1,60}+\\{0,8}["']?[ \t]{0,8}"""
_GAP = r"[ \t]{0,8}"
_SPACE = r"[ \t]{1,8}"

#: Words that precede a secret, and what follows from there on; ``v`` is the part to hide. Words are found
#: first because that is a hundred times faster than trying the expression everywhere.
_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (tuple(words), re.compile(rest, re.IGNORECASE))
    for words, rest in (
        (
            ["-----begin "],
            r"(?P<v>-----BEGIN [A-Z0-9 ]{0,60}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?"
            r"(?:-----END [A-Z0-9 ]{0,60}PRIVATE KEY(?: BLOCK)?-----|\Z))",
        ),
        (["authorization"], _NAME + "[:=]" + _GAP + r"""(?:\\{0,8}["'])?(?P<v>[^\r\n"'\\]+)"""),
        (["bearer"], "bearer" + _SPACE + r"(?P<v>[A-Z0-9._~+/=-]{8,})"),
        (
            "password passwd passphrase pwd secret token api_key api-key apikey".split(),
            _NAME + "=" + _GAP + _VALUE,
        ),
        (
            "password passwd passphrase client_secret secret_key api_key api-key apikey access_token"
            " auth_token refresh_token private_token".split(),
            _NAME + ":" + _GAP + _VALUE,
        ),
        (["_pass="], "_pass=" + _VALUE),
        (["://"], r"://[^\s/:@\"']{0,200}:(?P<v>[^\s/@\"']{1,1000})@"),
        # Network devices and SQL.
        (["password", "secret"], r"\w{1,60}" + _SPACE + "[0-9]{1,2}" + _SPACE + r"(?P<v>\S+)"),
        (["snmp-server community"], "snmp-server community" + _SPACE + _VALUE),
        (["identified by"], "identified by" + _SPACE + f"(?:password{_SPACE})?" + _VALUE),
        (["encrypted-password", "authentication-key"], r"[\w-]{1,60}" + _SPACE + _VALUE),
        # Tokens that say themselves what they are.
        (["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"(?P<v>\w{34,})"),
        (["akia"], r"(?P<v>(?-i:AKIA[0-9A-Z]{16}))"),
        (["glpat-"], r"(?P<v>[\w-]{20,})"),
        (["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-"], r"(?P<v>[\w-]{15,})"),
        (["eyj"], r"(?P<v>(?-i:eyJ)[\w-]{8,1024}+\.[\w-]{8,8192}+\.[\w-]+)"),
    )
)

#: Lower case that keeps every position; `str.lower` makes some letters longer.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def lookalikes(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of everything in the text that looks like a secret."""
    lower = text.lower() if text.isascii() else text.translate(_LOWER)
    for words, pattern in _RULES:
        for word in words:
            position = lower.find(word)
            while position >= 0:
                if match := pattern.match(text, position):
                    yield match.span("v")
                position = lower.find(word, match.end() if match else position + 1)
