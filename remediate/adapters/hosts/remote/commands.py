"""Commands that end while we look: argument lists, a clean environment, capped output, a deadline."""

import os
import pwd
import re
import select
import signal
import subprocess
import time
from contextlib import suppress

from .wire import Refusal

MYPY = False
if MYPY:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: Of each stream: so much of its beginning and as much of its end are kept.
KEEP = 32 << 10
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: A daemon may keep the pipes open for ever; so long we listen after the command itself has ended.
_LINGER = 0.2
#: Where output may be cut: between lines, words, or in a long line at signs. A secret of which only a part is
#: shown would not be known for one.
_BREAKS = tuple(re.compile(p) for p in (rb"\n", rb"\s", rb"[^\w+/=.~%\x80-\xff-]"))


class Capped:
    """The first and the last bytes of a stream."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.head = b""
        self.tail = b""
        self.total = 0

    def add(self, data: bytes) -> bytes:
        """Take more; returns what of it still belonged to the head."""
        self.total += len(data)
        room = data[: max(0, self.keep - len(self.head))]
        self.head += room
        self.tail = (self.tail + data[len(room) :])[-self.keep :]
        return room

    def text(self) -> str:
        """All that was kept; what is not UTF-8 is replaced."""
        if self.total == len(self.head) + len(self.tail):
            return (self.head + self.tail).decode("utf-8", "replace")
        head, tail = _to_break(self.head), _to_break(self.tail[::-1])[::-1]
        gap = f"\n[... {self.total - len(head) - len(tail)} bytes left out ...]\n".encode()
        return (head + gap + tail).decode("utf-8", "replace")


def _to_break(data: bytes) -> bytes:
    """The data up to its last good break, if that costs less than half of it."""
    for pattern in _BREAKS:
        breaks = [found.start() for found in pattern.finditer(data, len(data) // 2)]
        if breaks:
            return data[: breaks[-1]]
    return data


def environment(extra: "Mapping[str, str]") -> "dict[str, str]":
    """What a command finds: nothing of ours, messages in English, the user's own home."""
    home = "/"
    with suppress(KeyError):
        home = pwd.getpwuid(os.geteuid()).pw_dir
    clean = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": home, "SHELL": "/bin/sh", "TERM": "dumb"}
    clean.update(extra)
    return clean


def start(argv: "Sequence[Any]", env: "Mapping[str, str]", cwd: str = "/") -> "subprocess.Popen[bytes]":
    """Start a command in a session of its own.

    Raises:
        Refusal: there is no such program, or it may not be run; nothing was started.
    """
    if not argv or not all(isinstance(word, str) and "\0" not in word for word in argv):
        raise Refusal("a command is a list of words without NUL")
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise Refusal(f"can't run {argv[0]}: {error.strerror}") from None


class Follower:
    """Reads both streams of a command to its end, or to a deadline."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, keep: int = KEEP) -> None:
        self.process = process
        self.deadline = time.monotonic() + seconds
        self.out = Capped(keep)
        self.err = Capped(keep)
        self.timed_out = False

    def follow(self) -> int:
        """Returns the exit code; a command that takes too long is ended, with its session."""
        pipes = (self.process.stdout, self.out), (self.process.stderr, self.err)
        streams = {pipe.fileno(): capped for pipe, capped in pipes if pipe is not None}
        ended = None
        while streams:
            now = time.monotonic()
            if self.process.poll() is not None:
                ended = ended or now
                if now - ended > _LINGER:
                    break
            elif now > self.deadline:
                self._end()
            self._read(streams)
        while self.process.poll() is None and time.monotonic() < self.deadline:
            time.sleep(0.005)
        if self.process.poll() is None:
            self._end()
        return self.process.wait()

    def _read(self, streams: "dict[int, Capped]") -> None:
        wait = min(0.1, max(0.0, self.deadline - time.monotonic()))
        ready, _, _ = select.select(list(streams), [], [], wait)
        for handle in ready:
            data = os.read(handle, 65536)
            if data:
                self.kept(streams[handle] is self.out, streams[handle].add(data))
            else:
                del streams[handle]

    def kept(self, is_out: bool, data: bytes) -> None:
        """Called with what was added to the kept beginning of stdout or stderr."""

    def _end(self) -> None:
        self.timed_out = True
        self.deadline = time.monotonic() + 5.0
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5.0)
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)


def run_captured(
    argv: "Sequence[str]", env: "Mapping[str, str]", seconds: float, cwd: str = "/", keep: int = KEEP
) -> "dict[str, Any]":
    """Run a command to its end and tell everything about it."""
    began = time.monotonic()
    process = start(argv, env, cwd)
    follower = Follower(process, seconds, keep)
    with process:
        code = follower.follow()
    return {
        "rc": code,
        "stdout": follower.out.text(),
        "stderr": follower.err.text(),
        "timed_out": follower.timed_out,
        "seconds": time.monotonic() - began,
    }
