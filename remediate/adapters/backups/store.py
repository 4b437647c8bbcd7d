"""Large contents on disk, written and read as streams: hashed, compressed, encrypted if wanted, hashed again.

The order is fixed: SHA-256 of what was given, zstd, age, SHA-256 of what lies on the disk. The second hash
shows damage without any key; the first one proves that what comes out is what went in.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, Protocol, cast

from pydantic import StringConstraints

from remediate.adapters.clients import load_sdk
from remediate.errors import StepFailed
from remediate.model.base import Frozen

_CHUNK = 1 << 20
_LEVEL = 3
_ADVICE = "restore this file from a copy with the right hash, or restore the target by hand"


class Stored(Frozen):
    """One content: where it lies, and both its sizes (bytes) and hashes (SHA-256)."""

    file: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$")]
    size: int
    sha256: str
    raw_size: int
    raw_sha256: str
    encryption: str = ""


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(slots=True)
class _Source:
    """An iterator of pieces as a file to read from, hashed on the way.

    What the iterator raises is kept: libraries in between may turn it into something else.
    """

    pieces: Iterator[bytes]
    hash: Any
    size: int = 0
    failure: Exception | None = None
    _rest: bytes = b""
    _at: int = 0

    def read(self, size: int = -1, /) -> bytes:
        if self._at >= len(self._rest):
            try:
                piece = next(self.pieces, b"")
            except Exception as error:
                self.failure = error
                raise
            self.hash.update(piece)
            self.size += len(piece)
            self._rest, self._at = piece, 0
        end = len(self._rest) if size < 0 else self._at + size
        taken = self._rest[self._at : end]
        self._at += len(taken)
        return taken


@dataclass(slots=True)
class _Sink:
    """A function as a file to write to, hashed on the way, for ``most`` bytes; what it raises is kept."""

    to: Callable[[bytes], object]
    hash: Any
    most: float = math.inf
    size: int = 0
    failure: Exception | None = None

    def write(self, data: bytes, /) -> int:
        self.hash.update(data)
        self.size += len(data)
        try:
            if self.size > self.most:
                raise StepFailed(f"it holds more than the {self.most} bytes that were stored", _ADVICE)
            self.to(data)
        except Exception as error:
            self.failure = error
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def store(folder: Path, name: str, pieces: Iterator[bytes], recipients: Sequence[str] = ()) -> Stored:
    """Keep what the iterator gives, in constant memory; durable when this returns.

    Args:
        name: of the file, without the endings for compression and encryption.
        recipients: public keys; none leaves it unencrypted.

    Raises:
        StepFailed: the disk is full or broken, or a recipient is no public key; or whatever the iterator
            raises. No file of that name is there then.
    """
    load_sdk("zstandard")
    import zstandard

    keys = [_recipient(text) for text in recipients]
    path = folder / f"{name}.zst{'.age' * bool(keys)}"
    source = _Source(pieces, hashlib.sha256())
    with _kept(source), _new_file(path) as file:
        sink = _Sink(file.write, hashlib.sha256())
        # One thread of its own: the program that dumps is never held up by the compression.
        compressed = zstandard.ZstdCompressor(level=_LEVEL, threads=1).stream_reader(cast(IO[bytes], source))
        if keys:
            import pyrage

            pyrage.encrypt_io(compressed, sink, keys)
        else:
            _copy(compressed, sink)
    return Stored(
        file=path.name,
        size=sink.size,
        sha256=sink.hash.hexdigest(),
        raw_size=source.size,
        raw_sha256=source.hash.hexdigest(),
        encryption="age" if keys else "",
    )


def write(folder: Path, name: str, data: bytes) -> None:
    """Keep a few bytes; durable when this returns, its name too.

    Raises:
        StepFailed: the disk is full or broken.
    """
    with _new_file(folder / name) as file:
        file.write(data)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check(folder: Path, stored: Stored) -> None:
    """The file is still what was written.

    Raises:
        StepFailed: names the file that is missing, cut off or changed.
    """
    found = _Sink(lambda _: None, hashlib.sha256())
    with _opened(folder / stored.file) as file:
        _copy(file, found)
    if (found.size, found.hash.hexdigest()) != (stored.size, stored.sha256):
        raise _damaged(folder / stored.file, found.size, stored.size)


def pour(folder: Path, stored: Stored, to: Callable[[bytes], object], identity: str = "") -> None:
    """Give the content to a function, piece by piece, in constant memory.

    Args:
        identity: the private key itself, for what is encrypted.

    Raises:
        StepFailed: what was given is not the content, from some point on; or whatever ``to`` raises.
    """
    load_sdk("zstandard")
    import zstandard

    path = folder / stored.file
    sink = _Sink(to, hashlib.sha256(), stored.raw_size)
    with _opened(path) as file:
        disk = _Source(iter(lambda: file.read(_CHUNK), b""), hashlib.sha256())
        try:
            unpacked = zstandard.ZstdDecompressor().stream_writer(cast(IO[bytes], sink))
            if stored.encryption:
                _decrypt(disk, cast(IO[bytes], unpacked), identity)
            else:
                _copy(disk, unpacked)
        except Exception as error:
            if sink.failure is not None:
                raise sink.failure from None
            if isinstance(error, StepFailed):
                raise
            raise StepFailed(f"{path} can't be unpacked: {error}", _ADVICE) from None
    if disk.hash.hexdigest() != stored.sha256:
        raise _damaged(path, disk.size, stored.size)
    if sink.hash.hexdigest() != stored.raw_sha256:
        raise StepFailed(f"{path} holds something else than was stored", _ADVICE)


def _decrypt(source: _Readable, sink: IO[bytes], identity: str) -> None:
    import pyrage

    key: Any
    if not identity:
        raise StepFailed("this backup is encrypted", "name the key: identity in [backups] of remediate.toml")
    if identity.lstrip().startswith("-----BEGIN"):
        key = pyrage.ssh.Identity.from_buffer(identity.encode())
    else:
        lines = [line for line in identity.splitlines() if line and not line.startswith("#")]
        key = pyrage.x25519.Identity.from_str(lines[0].strip() if lines else "")
    pyrage.decrypt_io(source, sink, [key])


def _recipient(text: str) -> Any:
    import pyrage

    try:
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise StepFailed(
            f"{text!r} is no public key: {error}", "mend recipients in [backups] of remediate.toml"
        ) from None


def _copy(source: _Readable, sink: Any) -> None:
    while piece := source.read(_CHUNK):
        sink.write(piece)


@contextmanager
def _kept(source: _Source) -> Iterator[None]:
    """What the source raised, as it raised it."""
    try:
        yield
    except Exception:
        if source.failure is not None:
            raise source.failure from None
        raise


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when all is on the disk. mkstemp makes it 0600."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).rename(path)
    except OSError as error:
        raise StepFailed(
            f"{path} can't be written: {error.strerror}", "make room, or mend the disk"
        ) from None
    finally:
        if temporary is not None:
            with suppress(FileNotFoundError):
                Path(temporary).unlink()


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise StepFailed(f"{path} can't be read: {error.strerror}", _ADVICE) from None


def _damaged(path: Path, size: int, wanted: int) -> StepFailed:
    how = f"it has {size} bytes instead of {wanted}" if size != wanted else "its hash is wrong"
    return StepFailed(
        f"{path} was damaged or changed after the backup was made: {how}; it is not used", _ADVICE
    )
