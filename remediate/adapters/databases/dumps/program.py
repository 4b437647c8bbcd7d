"""A program of this machine that dumps or loads: its streams, its deadline, its judgement, and its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from remediate.adapters.ansible.processes import TOKEN
from remediate.errors import StepFailed
from remediate.model.clip import clip

CHUNK = 1 << 20
#: What this machine trusts, where the inventory names no other authority (Debian's ca-certificates).
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
_LONGEST_COMPLAINT = 16 << 10
_END_SECONDS = 30.0
#: What all of them write before a complaint that is more than a warning; exit codes alone lie.
_ERROR = re.compile(r"\berror(:| \d)|\bfatal:", re.IGNORECASE)
#: What a program needs of our environment; the rest may hold secrets, or options that nobody approved.
_PASSED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")


class Satisfied(StepFailed):
    """A program ended well before it had read everything."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is started. ``files`` are contents that it reads as ``/dev/fd/N`` wherever an argument or a
    variable says ``{file:NAME}``: options with a password touch no disk, and no command line."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)


class Program:
    """One running program, leader of its own session. Leaving the ``with`` block kills all of it.

    Args:
        token: names the attempt in the environment, so that it is found when this process has died.
        timeout: seconds after which it is killed.
    """

    def __init__(self, command: Command, token: str, timeout: float) -> None:
        self.name = command.argv[0].rpartition("/")[2]
        self._complaints = bytearray()
        self._late = threading.Event()
        with ExitStack() as files:
            names = {n: files.enter_context(_memory_file(n, text)) for n, text in command.files.items()}
            argv = [_filled(word, names) for word in command.argv]
            env = {k: os.environ[k] for k in _PASSED if k in os.environ} | {"LC_ALL": "C", TOKEN: token}
            env |= {k: _filled(v, names) for k, v in command.env.items()}
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=env,
                    pass_fds=tuple(names.values()),
                    start_new_session=True,
                    bufsize=0,
                )
            except OSError as error:
                raise StepFailed(
                    f"{self.name} can't be started here: {error.strerror}",
                    f"install the package that has {self.name} on this machine",
                ) from None
        self._listener = threading.Thread(target=self._listen, daemon=True, name=f"stderr {self.name}")
        self._listener.start()
        self._timer = threading.Timer(timeout, self._expire)
        self._timer.daemon = True
        self._timer.start()

    @property
    def input(self) -> IO[bytes]:
        """Its standard input."""
        assert self._process.stdin is not None  # noqa: S101 - it was started with pipes
        return self._process.stdin

    def output(self) -> Iterator[bytes]:
        """Its standard output in pieces, and at its end the judgement.

        Raises:
            StepFailed: it did not end well; what came before is worth nothing.
        """
        self._close_input()
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        while data := self._process.stdout.read(CHUNK):
            yield data
        self.finish()

    def write(self, data: bytes) -> int:
        """Give it input.

        Raises:
            StepFailed: it takes no more, because it ended.
            Satisfied: it ended well without all of it.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[self.input.write(view) or 0 :]
        except OSError:
            self.finish()
            raise Satisfied(f"{self.name} ended before it had read everything") from None
        return len(data)

    def finish(self) -> str:
        """Wait for its end; returns what it said on stderr.

        Raises:
            StepFailed: its exit code is not 0, it was too slow, or it speaks of an error all the same.
        """
        self._close_input()
        code = self._process.wait()
        self._listener.join(_END_SECONDS)
        said = self._complaints.decode(errors="replace").strip()
        if self._late.is_set():
            raise StepFailed(f"{self.name} was not done in time, and was killed", "give the step more time")
        if code != 0 or _ERROR.search(said):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise StepFailed(f"{self.name} {how}: {clip(said) or 'it said nothing'}")
        return said

    def _listen(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 - it was started with pipes
        while data := self._process.stderr.read(CHUNK):
            self._complaints += data
            del self._complaints[:-_LONGEST_COMPLAINT]

    def _close_input(self) -> None:
        with suppress(OSError):
            self.input.close()

    def _expire(self) -> None:
        self._late.set()
        self._kill()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._process.poll() is None:
            self._kill()
        self._process.wait()
        self._listener.join(_END_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def run(command: Command, token: str, timeout: float) -> str:
    """Start it and wait for its good end; returns its whole output, which must be small."""
    with Program(command, token, timeout) as program:
        return b"".join(program.output()).decode(errors="replace")


@contextmanager
def _memory_file(name: str, text: str) -> Iterator[int]:
    """A file without a place on any disk. The clients of databases ignore options that others could write."""
    handle = os.memfd_create(name)
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, text.encode())
        yield handle
    finally:
        os.close(handle)


def _filled(word: str, names: Mapping[str, int]) -> str:
    for name, handle in names.items():
        word = word.replace(f"{{file:{name}}}", f"/dev/fd/{handle}")
    return word


def version(program: str) -> str:
    """What it says of its version, on one line."""
    return run(Command((program, "--version")), "", 10.0).strip()
