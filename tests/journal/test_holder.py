"""Whether a process that wrote its name into the journal still lives."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from remediate.journal.holder import certainly_dead, this_process


def name_of(process: subprocess.Popen[str]) -> str:
    """What the process calls itself."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def start() -> subprocess.Popen[str]:
    """A process that prints its name and waits."""
    code = "from remediate.journal.holder import this_process; print(this_process(), flush=True); input()"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_this_process_lives() -> None:
    assert not certainly_dead(this_process())


def test_a_process_is_dead_when_it_was_killed_even_before_its_parent_noticed() -> None:
    with start() as process:
        name = name_of(process)
        assert not certainly_dead(name)
        os.kill(process.pid, 9)
        deadline = time.monotonic() + 10
        while not certainly_dead(name):
            assert time.monotonic() < deadline
        process.wait()
    assert certainly_dead(name)


def test_another_process_with_the_same_number_is_not_it() -> None:
    host, boot, pid, begun = this_process().split("|")
    assert certainly_dead(f"{host}|{boot}|{pid}|{int(begun) + 1}")
    assert certainly_dead(f"{host}|another boot|{pid}|{begun}")


def test_nobody_knows_about_other_machines_and_other_forms() -> None:
    _, boot, pid, begun = this_process().split("|")
    for name in (
        f"elsewhere|{boot}|{pid}|{begun}",
        f"elsewhere|another boot|{pid}|1",
        "",
        "nonsense",
        "a|b|c|d",
        "a|b",
        f"{os.uname().nodename}||x|1",
    ):
        assert not certainly_dead(name), name
