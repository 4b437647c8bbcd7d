"""Finding and ending processes of an attempt on this machine."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from remediate.adapters.ansible import processes

TREE = """
import os, subprocess, sys, time
# A child in the same session that forgot the mark, and one in a session of its own that kept it.
subprocess.Popen(["sleep", "60"], env={})
subprocess.Popen(["sleep", "60"], start_new_session=True)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def mark() -> Iterator[str]:
    value = f"REMEDIATE_TOKEN=t{secrets.token_hex(6)}"
    yield value
    assert processes.end([value])


def start(mark: str) -> subprocess.Popen[str]:
    name, _, value = mark.partition("=")
    process = subprocess.Popen(
        [sys.executable, "-c", TREE],
        env={**os.environ, name: value},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_a_whole_tree_is_found_and_ended(mark: str) -> None:
    process = start(mark)
    assert len(processes.find([mark])) == 3
    assert processes.end([mark])
    process.wait()
    assert processes.find([mark]) == ()


def test_others_are_left_alone(mark: str) -> None:
    process = start(mark + "0")
    assert processes.find([mark]) == ()
    assert processes.end([mark])
    assert process.poll() is None
    assert processes.end([mark + "0"])
    process.wait()


def test_our_own_session_is_never_ended(mark: str) -> None:
    name, _, value = mark.partition("=")
    with subprocess.Popen(["sleep", "60"], env={name: value}) as process:
        assert [p.pid for p in processes.find([mark])] == [process.pid]
        assert processes.end([mark])


def test_masters_of_shared_connections_are_no_work(mark: str) -> None:
    name, _, value = mark.partition("=")
    title = "ssh: /tmp/x [mux]"
    with subprocess.Popen(
        [title, "60"], executable="/bin/sleep", env={name: value}, start_new_session=True
    ) as process:
        time.sleep(0.1)
        assert processes.find([mark]) == ()
        process.kill()


def test_the_dead_are_not_alive(mark: str) -> None:
    name, _, value = mark.partition("=")
    process = subprocess.Popen(["true"], env={name: value}, start_new_session=True)
    # Ended, but not yet buried.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.find([mark]) == ()
    process.wait()


def test_nobody_there(mark: str) -> None:
    assert processes.end([mark], patience=0)
