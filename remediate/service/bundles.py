"""A diagnosis as one file: a tar archive, compressed by Zstandard, every text of it scrubbed."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from remediate.adapters.diagnosis.values import Collected
from remediate.service.folders import write_private

_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


def write_bundle(
    path: Path,
    collected: Sequence[Collected],
    pages: Mapping[str, str],
    scrub: Callable[[str], str],
    taken: float,
) -> int:
    """Write it, mode 0600, whole or not at all; returns its size in bytes.

    Args:
        path: where.
        collected: a folder for each.
        pages: texts at the top, by file name.
        scrub: takes secrets out of a text. A packet capture is no text: it holds headers only.
        taken: epoch seconds, the time of every file.
    """
    from zstandard import ZstdCompressor

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(name: str, data: bytes) -> None:
            entry = tarfile.TarInfo(f"{path.name.partition('.')[0]}/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(taken)
            archive.addfile(entry, io.BytesIO(data))

        def add_text(name: str, text: str) -> None:
            add(name, scrub(text).encode(errors="backslashreplace"))

        for name, text in pages.items():
            add_text(name, text)
        for one in collected:
            folder = _UNFIT.sub("_", one.target)
            for part in one.parts:
                add_text(f"{folder}/{part.area}/{part.name}", part.text)
            if one.problem or one.missing:
                lines = [line for line in (one.problem, *one.missing) if line]
                add_text(f"{folder}/not-read.txt", "\n".join(lines) + "\n")
            if one.capture:
                add(f"{folder}/packets.pcap", one.capture)
    data = ZstdCompressor(level=10).compress(buffer.getvalue())
    write_private(path, data)
    return len(data)
