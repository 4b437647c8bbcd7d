"""Backups of files and commands restored on this machine, beside what is there, for whoever wants to look."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from remediate.adapters.backups.store import Stored, pour
from remediate.errors import Refused, StepFailed
from remediate.model.clip import clip

_UNPACK = "tar --acls --xattrs --xattrs-include=* --numeric-owner -xpf - -C".split()


def unpack(folder: Path, stored: Stored, into: Path, identity: str) -> None:
    """An archive's tree below a new directory; owners are kept where this user may set them.

    Raises:
        Refused: there is something already.
        StepFailed: it can't be unpacked; nothing is left of it.
    """
    try:
        into.mkdir(mode=0o700)
    except FileExistsError:
        raise Refused(f"{into} is there already", "choose a name that is free") from None
    except OSError as error:
        raise StepFailed(f"{into} can't be made: {error.strerror}") from None
    try:
        with subprocess.Popen(
            [*_UNPACK, str(into)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": os.defpath}
        ) as tar:
            assert tar.stdin is not None and tar.stderr is not None  # noqa: S101, PT018 - both are pipes
            # A tar that ended early has said why; that is told below.
            with suppress(BrokenPipeError):
                pour(folder, stored, tar.stdin.write, identity)
                tar.stdin.close()
            said = tar.stderr.read().decode(errors="replace")
        if tar.returncode:
            raise StepFailed(f"{stored.file} can't be unpacked into {into}: {clip(said, 500)}")
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


def write_out(folder: Path, stored: Stored, into: Path, identity: str) -> None:
    """The content itself as a new file, mode 0600.

    Raises:
        Refused: there is something already.
        StepFailed: it can't be written; nothing is left of it.
    """
    try:
        handle = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{into} is there already", "choose a name that is free") from None
    except OSError as error:
        raise StepFailed(f"{into} can't be made: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            pour(folder, stored, file.write, identity)
    except BaseException:
        into.unlink(missing_ok=True)
        raise
