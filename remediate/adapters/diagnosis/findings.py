"""What stands out in what a host said: pure functions from the output of a program to lines in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

DISK_PERCENT = 90
MEMORY_PERCENT = 90
LOAD_PER_CORE = 2.0
PRESSURE_PERCENT = 20.0
_UNIT_MOST = 3
_CHANGED = ("install", "upgrade", "remove", "purge")


def failed_units(text: str) -> Iterator[str]:
    """Of ``systemctl list-units --failed --plain --no-legend``."""
    for line in text.splitlines():
        if line.split():
            yield f"failed unit: {line.split()[0]}"


def full_disks(text: str, what: str = "") -> Iterator[str]:
    """Of ``df -P``; ``what`` is ``inodes of `` for ``df -Pi``."""
    for line in text.splitlines()[1:]:
        words = line.split(maxsplit=5)
        if len(words) == 6 and words[4].rstrip("%").isdigit() and int(words[4][:-1]) >= DISK_PERCENT:
            yield f"{what or 'disk '}{words[5]} {words[4][:-1]} % full"


def memory(text: str) -> Iterator[str]:
    """Of ``/proc/meminfo`` (proc(5): kB)."""
    found = {m[1]: int(m[2]) for m in re.finditer(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    total, available = found.get("MemTotal", 0), found.get("MemAvailable", 0)
    if total and (used := 100 * (total - available) // total) >= MEMORY_PERCENT:
        yield f"memory {used} % used"
    swap = found.get("SwapTotal", 0)
    if swap and (used := 100 * (swap - found.get("SwapFree", 0)) // swap) >= MEMORY_PERCENT:
        yield f"swap {used} % used"


def load(text: str) -> Iterator[str]:
    """Of ``/proc/loadavg`` with a line from ``nproc`` behind it."""
    with suppress(ValueError, IndexError):
        lines = text.splitlines()
        five, cores = float(lines[0].split()[1]), int(lines[1])
        if five >= LOAD_PER_CORE * cores:
            yield f"load {five:g} over 5 minutes on {cores} cores"


def pressure(text: str) -> Iterator[str]:
    """Of ``/proc/pressure/*``, each line with its resource in front (kernel, "PSI")."""
    for resource, share in re.findall(r"^(\w+) some .*avg60=([\d.]+)", text, re.MULTILINE):
        if float(share) >= PRESSURE_PERCENT:
            yield f"pressure: something waited for {resource} {float(share):.0f} % of the last minute"


def errors(text: str) -> Iterator[str]:
    """Of ``journalctl --output=short-iso``: how many, and by whom."""
    by = Counter(m[1] for m in re.finditer(r"^\d{4}-\S+ \S+ ([^\s\[:]+)(?:\[\d+\])?:", text, re.MULTILINE))
    if by:
        most = ", ".join(f"{name} ({number})" for name, number in by.most_common(_UNIT_MOST))
        yield f"{by.total()} errors in the journal: most by {most}"


def killed(text: str) -> Iterator[str]:
    """Of the kernel's log: out of memory, file systems, hardware."""
    for pattern, finding in (
        (r"Out of memory: Killed process \d+ \((\S+)\)", "out of memory: {} was killed"),
        (r"(EXT4-fs error|XFS.*[Cc]orruption|I/O error).*", "storage error: {}"),
        (r"segfault at .* in (\S+)", "segmentation fault in {}"),
    ):
        for name, number in Counter(re.findall(pattern, text)).items():
            yield finding.format(name) + (f" ({number} times)" if number > 1 else "")


def package_changes(text: str, now: datetime, days: int) -> list[str]:
    """The lines of ``/var/log/dpkg.log`` that change a package, of the last days by the host's own clock."""
    since = f"{now - timedelta(days=days):%Y-%m-%d}"
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] in _CHANGED and words[0] >= since:
            found.append(line)
    return found
