"""What an entry of the log looks like in Request Tracker."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remediate.tickets.files import contents
from remediate.tickets.interface import MARKER, Post, TicketRefused
from remediate.tickets.markdown_log import harmless

#: RT's own limit is 10 MB unless set otherwise, and Base64 adds a third.
LARGEST = 7_000_000


@dataclass(frozen=True, slots=True)
class File:
    """An attachment, under the name that RT shows."""

    name: str
    data: bytes


def files(post: Post) -> list[File]:
    """The attachments of an entry.

    Raises:
        TicketRefused: one can't be read, or is too large.
    """
    return [File(_name(path), _contents(path)) for path in post.attachments]


def body(post: Post, attached: Sequence[File]) -> dict[str, Any]:
    """The request for an entry. RT refuses empty attachments: they are named in the text."""
    empty = [f"{file.name}: an empty file" for file in attached if not file.data]
    text = "\n".join([harmless(post.text).strip("\n"), *empty, "", post.marker])
    found: dict[str, Any] = {"Content": text, "ContentType": "text/plain"}
    if sent := [file for file in attached if file.data]:
        found["Attachments"] = [
            # Anything but a byte stream is text to RT, and transcoded.
            {
                "FileName": file.name,
                "FileType": "application/octet-stream",
                "FileContent": base64.b64encode(file.data).decode(),
            }
            for file in sent
        ]
    return found


def mark(row: dict[str, Any]) -> tuple[str, int] | None:
    """Run and number in the marker at the end of a text, if one stands there."""
    last = str(row.get("Content") or "").rstrip().rpartition("\n")[2]
    found = MARKER.fullmatch(last)
    return (found[1], int(found[2])) if found else None


def number(row: dict[str, Any], run: str) -> int:
    """The number in the marker at the end of a text, 0 if another run's or none stands there."""
    found = mark(row)
    return found[1] if found and found[0] == run else 0


def _name(path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", path.name).lstrip(".")[-100:]
    return "file" if name in ("", "0") else name  # to RT, which is Perl, 0 is no name


def _contents(source: Path) -> bytes:
    try:
        return contents(source, LARGEST)
    except OSError as error:
        raise TicketRefused(f"attachment {source} can't be sent: {error}") from error
