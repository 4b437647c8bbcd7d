"""Hostile text: what may never get through, and a strategy that tries."""

from __future__ import annotations

import re

from hypothesis import settings
from hypothesis import strategies as st

#: Controls, bidi controls, zero width, separators, surrogates, tags: nothing of this in any output.
FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffc\uffff"
    "\U000e0000-\U000e0fff]"
)

SNIPPETS = (
    *("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\ud800"),
    *("<script>", "</script>", "</style>", "</pre>", "<!--", "-->", "]]>", "&lt;", "&#60;", "&", "'", '"'),
    *("<img src=x onerror=alert(1)>", "javascript:", "{{ 7*7 }}", "{% raw %}", "[red]", "[/]", ":smile:"),
    *("[a](http://e.com)", "![a](//e.com/a.png)", "http://e.com", "www.e.com", "a@e.com", "<http://e.com>"),
    *("`", "```", "~~~", "*", "**", "_", "__", "~~", "#", "# ", "> ", "- ", "+ ", "1. ", "2) ", "===", "---"),
    *(
        "|",
        "\\",
        "\\|",
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "    ",
        "  \n",
        "[x]: http://e.com",
        "| --- |",
        " ",
        "@@",
    ),
    *("\n--- a\n+++ b\n@@ -1 +1 @@\n", "\u00a0", "\u3000", "e\u0301\u0301\u0301\u0301\u0301\u0301", "Größe"),
)

texts = st.lists(
    st.one_of(st.sampled_from(SNIPPETS), st.characters(), st.integers(0, 0x10FFFF).map(chr)), max_size=20
).map("".join)

#: The first example loads templates and tables, so a deadline would say nothing.
often = settings(deadline=None, max_examples=60)
