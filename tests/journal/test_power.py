"""The power fails under the shipped journal: after every single write, with any part of what was not synced.

strace tells what SQLite truly writes and syncs. From that, each disk is made that could be left, and opened.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from remediate.journal.sqlite import SqliteJournal
from tests.engine.disk import dice
from tests.reliability import record

_SECTOR = 512
_IMAGES = 12 if os.environ.get("REMEDIATE_THOROUGH") else 2
_SCRIPT = """
import os, sys
from contextlib import closing
from pathlib import Path
from remediate.journal.sqlite import SqliteJournal
from tests.journal.conformance import begin, intent

def write(journal, lease, numbers):
    for number in numbers:
        journal.append("r-1", [intent(number), intent(number)], 2.0, lease)
        os.write(1, f"ack {number}\\n".encode())

path = Path(sys.argv[1])
with closing(SqliteJournal(path)) as journal:
    lease = begin(journal)
    os.write(1, b"ack 0\\n")
    write(journal, lease, range(1, 6))
    journal._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    write(journal, lease, range(6, 11))
with closing(SqliteJournal(path)) as journal:
    write(journal, lease, range(11, 16))
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    write(journal, lease, range(16, 21))
"""
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (\d+)$")


@dataclass
class _File:
    """What is on the disk for sure, and what was written since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes] | int] = field(default_factory=list)
    """Writes (place, bytes), and lengths to which it was cut."""

    def sync(self) -> None:
        """All of it is there."""
        self.synced = self.left(None)
        self.since = []

    def left(self, random: Random | None) -> bytearray:
        """What a loss of power leaves: of what was not synced any sectors; all of it without chance."""
        data = bytearray(self.synced)
        for change in self.since:
            if isinstance(change, int):
                if random is None or random.random() < 0.5:
                    del data[change:]
                continue
            place, written = change
            for begin in range(0, len(written), _SECTOR):
                if random is None or random.random() < 0.5:
                    part = written[begin : begin + _SECTOR]
                    data.extend(bytes(max(0, place + begin + len(part) - len(data))))
                    data[place + begin : place + begin + len(part)] = part
        return data


def _calls(trace: Path) -> list[tuple[str, str, int]]:
    found = (_CALL.match(line) for line in trace.read_text().splitlines())
    return [(m[1], m[2], int(m[3])) for m in found if m]


def _bytes(arguments: str) -> bytes:
    text = arguments[arguments.index('"') : arguments.rindex('"') + 1]
    data: bytes = ast.literal_eval("b" + text)
    return data


@pytest.fixture
def calls(tmp_path: Path) -> list[tuple[str, str, int]]:
    """What the script asked of the system."""
    trace, path = tmp_path / "trace", tmp_path / "state" / "journal.db"
    wanted = "trace=openat,close,pwrite64,write,fsync,fdatasync,ftruncate"
    strace = ["strace", "-f", "-qqq", "-xx", "-s", "1000000", "-e", wanted, "-o", str(trace)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(
        [*strace, sys.executable, "-c", _SCRIPT, str(path)], check=True, env=env, capture_output=True
    )
    return _calls(trace)


@pytest.fixture
def left() -> Iterator[Path]:
    """Where the disks that are left are put together: in memory where there is any, for the time."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder) / "left"


def _holds(folder: Path, disk: dict[str, _File], random: Random | None, acknowledged: int) -> None:
    """The journal that is left: all that was acknowledged, no half batch, a whole chain; and it goes on."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for name, file in disk.items():
        (folder / name).write_bytes(file.left(random))
    with closing(SqliteJournal(folder / "journal.db")) as journal:
        assert journal.audit() == []
        count = len(journal.events("r-1"))
        if acknowledged >= 0:
            assert count >= 1 + 2 * acknowledged, f"{count} events, {acknowledged} batches were acknowledged"
        assert count == 0 or count % 2 == 1, "half a batch"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace tells what is written")
def test_power_fails_after_any_write(calls: list[tuple[str, str, int]], left: Path) -> None:
    random, disk = dice(1), {"journal.db": _File(), "journal.db-wal": _File()}
    descriptors: dict[int, str] = {}
    acknowledged = -1
    for call, arguments, result in calls:
        if call == "openat":
            descriptors[result] = Path(_bytes(arguments).decode()).name
            continue
        number = int(arguments.partition(",")[0])
        if call == "write" and number == 1:
            acknowledged = int(_bytes(arguments).split()[1])
        file = disk.get(descriptors.get(number, ""))
        match call:
            case "close":
                descriptors.pop(number, None)
            case "pwrite64" if file is not None:
                file.since.append((int(arguments.rpartition(",")[2]), _bytes(arguments)[:result]))
            case "ftruncate" if file is not None:
                file.since.append(int(arguments.rpartition(",")[2]))
            case "fsync" | "fdatasync" if file is not None:
                file.sync()
            case _:
                continue
        if file is not None and call != "close":
            for chance in (None, *[random] * _IMAGES):
                _holds(left, disk, chance, acknowledged)
    assert acknowledged == 20
    record("explored", "no power under the SQLite journal", "after each write", "20 batches", 0)
