"""What stands out, from what programs print."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import pytest

from remediate.adapters.diagnosis import findings

_DF = """Filesystem     1024-blocks    Used Available Capacity Mounted on
/dev/sda1         41152812 40741284    411528      99% /
tmpfs               812000       12    811988       1% /run
/dev/sdb1           100000    90000     10000      90% /srv/with space
/dev/sdc1                0        0         0       - /odd
"""
_JOURNAL = """2026-11-22T21:00:01+0000 web1 nginx[12]: broken
2026-11-22T21:00:02+0000 web1 nginx[12]: broken again
    with a second line
2026-11-22T21:00:03+0000 web1 kernel: oops
-- No entries --
"""
_KERNEL = """[Sun] Out of memory: Killed process 123 (java) total-vm:1kB
[Sun] Out of memory: Killed process 124 (java) total-vm:1kB
[Sun] EXT4-fs error (device sda1): no luck
[Sun] app[1]: segfault at 0 ip 1 sp 2 error 4 in libc.so.6[1+2]
"""


@pytest.mark.parametrize(
    ("read", "text", "wanted"),
    [
        (
            findings.failed_units,
            "nginx.service loaded failed failed A server\n\nx.mount loaded failed failed X\n",
            ["failed unit: nginx.service", "failed unit: x.mount"],
        ),
        (findings.full_disks, _DF, ["disk / 99 % full", "disk /srv/with space 90 % full"]),
        (findings.full_disks, "", []),
        (findings.memory, "MemTotal: 1000 kB\nMemAvailable: 100 kB\n", ["memory 90 % used"]),
        (
            findings.memory,
            "MemTotal: 1000 kB\nMemAvailable: 500 kB\nSwapTotal: 100 kB\nSwapFree: 1 kB",
            ["swap 99 % used"],
        ),
        (findings.memory, "SwapTotal: 0 kB\n", []),
        (findings.load, "1.0 8.5 1.0 1/2 3\n4\n", ["load 8.5 over 5 minutes on 4 cores"]),
        (findings.load, "1.0 7.5 1.0 1/2 3\n4\n", []),
        (findings.load, "nonsense", []),
        (
            findings.pressure,
            "cpu some avg10=0.00 avg60=1.00 avg300=0\nio some avg10=0 avg60=33.10 avg300=0\nio full avg60=90",
            ["pressure: something waited for io 33 % of the last minute"],
        ),
        (findings.errors, _JOURNAL, ["3 errors in the journal: most by nginx (2), kernel (1)"]),
        (findings.errors, "-- No entries --\n", []),
        (
            findings.killed,
            _KERNEL,
            [
                "out of memory: java was killed (2 times)",
                "storage error: EXT4-fs error",
                "segmentation fault in libc.so.6[1+2]",
            ],
        ),
    ],
)
def test_findings(read: Callable[[str], Iterable[str]], text: str, wanted: list[str]) -> None:
    assert list(read(text)) == wanted


def test_package_changes_of_the_last_days() -> None:
    log = (
        "2026-11-10 10:00:00 upgrade old:amd64 1 2\n"
        "2026-11-21 10:00:00 startup packages configure\n"
        "2026-11-21 10:00:01 upgrade shop:amd64 1.0 1.1\n"
        "2026-11-21 10:00:02 status installed shop:amd64 1.1\n"
        "2026-11-22 10:00:00 remove libx:amd64 1 <none>\n"
    )
    changed = findings.package_changes(log, datetime(2026, 11, 22, tzinfo=UTC), 3)
    assert [line.split()[3] for line in changed] == ["shop:amd64", "libx:amd64"]
