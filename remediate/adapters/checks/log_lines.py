"""Runs on the target, by any Python 3.6 or later: marks the end of a log, and counts the lines after a mark.

Its only argument is a JSON object; it prints another one. It changes nothing. What can't be told is an
``error`` in words, never a number.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

MYPY = False
if MYPY:
    from collections.abc import Iterator
    from typing import IO, Any

#: New bytes that are looked through; more is an error, for an answer about a part would be a guess.
MOST = 64 << 20
#: A longer line counts as several.
LINE = 64 << 10
SHOWN = 3
SHOWN_CHARACTERS = 300
NOTHING = b"-- No entries --"
PARTIAL = "not seeing messages"
PACKED = (".gz", ".xz", ".bz2", ".zst")


class Unclear(Exception):
    """It can't be told."""


def mark(path: str) -> "dict[str, Any]":
    """Where a file ends now, or (without a path) where the journal does."""
    if not path:
        said = subprocess.check_output(["journalctl", "--no-pager", "--lines=0", "--show-cursor"])
        found = re.search(r"^-- cursor: (.+)$", said.decode(errors="replace"), re.MULTILINE)
        return {"cursor": found.group(1) if found else "", "time": time.time()}
    file = Path(path)
    if not file.exists():
        return {"file": "", "size": 0}
    return {"file": _identity(file), "size": file.stat().st_size}


def _identity(file: Path) -> str:
    status = file.stat()
    return f"{status.st_dev}:{status.st_ino}"


def new_lines(path: str, since: "dict[str, Any]") -> "Iterator[bytes]":
    """What was written to a file after its mark, also if it was renamed by rotations meanwhile.

    Raises:
        Unclear: it is not there, it was cut short, or what it was renamed to is gone or packed.
    """
    file = Path(path)
    if not file.exists():
        raise Unclear("there is no " + path)
    if not since["file"]:
        yield from _lines(file, 0)
        return
    family = re.compile(re.escape(file.name) + r"([.-][0-9].*)?")
    members = [f for f in file.parent.iterdir() if family.fullmatch(f.name) and f.is_file()]
    began = [f for f in members if _identity(f) == since["file"]]
    if not began:
        raise Unclear(path + " was rotated, and what it was before is gone or packed")
    first = file if file in began else began[0]
    if first.stat().st_size < since["size"]:
        raise Unclear(path + " was cut short after the mark: lines may be lost")
    yield from _lines(first, since["size"])
    if first == file:
        return
    # What was rotated away later was written to later.
    later = [f for f in members if f not in began and _written(f) >= _written(first)]
    for member in sorted(later, key=_written):
        if member.suffix in PACKED:
            raise Unclear(str(member) + " is packed")
        yield from _lines(member, 0)


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns


def _lines(path: Path, offset: int) -> "Iterator[bytes]":
    with path.open("rb") as file:
        file.seek(offset)
        yield from _bounded(file)


def _bounded(file: "IO[bytes]") -> "Iterator[bytes]":
    total = 0
    while True:
        line = file.readline(LINE)
        if not line:
            return
        total += len(line)
        if total > MOST:
            raise Unclear(f"there are more than {MOST >> 20} MB of new lines")
        yield line


def new_messages(unit: str, since: "dict[str, Any]") -> "Iterator[bytes]":
    """What the journal got of a unit after a mark, or since a time.

    Raises:
        Unclear: the journal can't be read, or only in part.
    """
    argv = ["journalctl", "--no-pager", "--output=cat", f"--unit={unit}"]
    cursor = since.get("cursor")
    argv.append(f"--after-cursor={cursor}" if cursor else f"--since=@{since['time']:.0f}")
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if process.stdout is None or process.stderr is None:
        raise Unclear("no pipe")
    try:
        for line in _bounded(process.stdout):
            if line.strip() != NOTHING:
                yield line
        said = process.stderr.read().decode(errors="replace").strip()
        if process.wait() != 0 or PARTIAL in said:
            raise Unclear("journalctl: " + said)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def count(asked: "dict[str, Any]") -> "dict[str, Any]":
    """How many of the new lines match, and the first of them."""
    pattern = re.compile(asked["pattern"])
    unit, path, since = asked["unit"], asked["path"], asked["since"]
    if isinstance(since, (int, float)):
        since = {"time": time.time() - since}
    lines = matches = 0
    first = []  # type: list[str]
    for line in new_messages(unit, since) if unit else new_lines(path, since):
        lines += 1
        text = line.decode(errors="replace").rstrip("\r\n")
        if pattern.search(text):
            matches += 1
            if len(first) < SHOWN:
                first.append(text[:SHOWN_CHARACTERS])
    return {"lines": lines, "matches": matches, "first": first}


def main(argument: str) -> None:
    """One question, one answer."""
    asked = json.loads(argument)
    try:
        answer = mark(asked["mark"]) if "mark" in asked else count(asked)
    except (Unclear, OSError, subprocess.CalledProcessError) as error:
        answer = {"error": str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
