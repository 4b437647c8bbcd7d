"""Some tables out of a dump of MariaDB, as it streams by."""

from __future__ import annotations

import re
from collections.abc import Callable, Set

from remediate.errors import StepFailed

#: A line break in data or in a definition is escaped, so that no row can look like this.
_TABLE = re.compile(rb"-- Table structure for table `((?:[^`]|``)+)`\s*$")
#: After all tables: views, events and routines, whose bodies may hold any line.
_OTHER = re.compile(rb"-- (Temporary table structure for view|Dumping events|Dumping routines|Final view)")
_END = b"-- Dump completed"


class TableSections:
    """Lets the head of the dump and the sections of these tables through: definition, rows, triggers."""

    def __init__(self, tables: Set[str], sink: Callable[[bytes], object]) -> None:
        self._wanted = {name.replace("`", "``").encode() for name in tables}
        self._missing = set(self._wanted)
        self._sink = sink
        self._line = bytearray()
        self._open = True
        self._over = False
        """Whether all tables have gone by."""

    def write(self, data: bytes) -> int:
        """The next piece of the dump."""
        self._line += data
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest)
        through = [line for line in lines if self._passes(line)]
        if through:
            self._sink(b"\n".join(through) + b"\n")
        return len(data)

    def finish(self) -> None:
        """There is no more.

        Raises:
            StepFailed: the dump lacks one of the tables.
        """
        if self._missing:
            names = ", ".join(sorted(name.decode(errors="replace") for name in self._missing))
            raise StepFailed(f"the backup has no table {names}")

    def _passes(self, line: bytes) -> bool:
        if line.startswith(b"-- ") and not self._over:
            if match := _TABLE.match(line):
                self._open = match[1] in self._wanted
                self._missing.discard(match[1])
            elif _OTHER.match(line):
                self._open = False
                self._over = line.startswith((b"-- Dumping", b"-- Final"))
        return self._open
