"""The backup of large trees of files: one tar archive, streamed from the host and compared with it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, ClassVar

from pydantic import Field, field_validator, model_validator

from remediate.adapters.backups import tree
from remediate.adapters.backups.manifest import Manifest, noted, seal, sealed, vault_of, whole
from remediate.adapters.backups.settings import BackupSettings
from remediate.adapters.backups.store import Stored, pour, store
from remediate.adapters.backups.stream import only_read, program, silenced, way_to
from remediate.adapters.backups.tarball import Walker, matching
from remediate.adapters.hosts.step import HostStep
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.inputs import AbsolutePath
from remediate.model.step import CheckResult, Context, Estimate, Level, Probe, Result, Role, StepClass

_IN_MEMORY = 8 << 20
_CHUNK = 1 << 20
_KEEPING = "--acls --xattrs --xattrs-include=* --numeric-owner".split()


class FileBackup(HostStep):
    """Keep whole trees with owners, modes, times, ACLs and extended attributes, however large.

    Every byte of the archive is compared with what the host lists before and after. ``exclude`` names paths
    below ``paths`` that are left out, with everything in them.
    """

    kind: ClassVar[str] = "file-backup"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.COMPARED
    default_estimate: ClassVar[Estimate] = Estimate(apply=120.0, verify=10.0, undo=120.0)

    paths: tuple[AbsolutePath, ...] = Field(min_length=1)
    exclude: tuple[AbsolutePath, ...] = ()

    @field_validator("paths", "exclude")
    @classmethod
    def _plain(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if path == "/" or os.path.normpath(path) != path or path.startswith("//"):
                raise ValueError(
                    f"{path!r} must be a plain path below /, without //, /./, /../ or / at its end"
                )
        # The order of the listing: so two of them can be compared while they are read.
        return tuple(sorted(set(value), key=lambda path: os.fsencode(path).split(b"/")))

    @model_validator(mode="after")
    def _apart(self) -> FileBackup:
        for path, other in zip(self.paths, self.paths[1:], strict=False):
            if tree.inside(other, path):
                raise ValueError(f"{other} is inside {path}, which is kept anyway")
        for path in self.exclude:
            if not any(path != root and tree.inside(path, root) for root in self.paths):
                raise ValueError(f"exclude: {path} is below none of the paths")
        return self

    def title(self) -> str:
        """One line."""
        without = f" without {', '.join(self.exclude)}" if self.exclude else ""
        return f"back up {', '.join(self.paths)}{without}, and compare"

    def observe(self, context: Context) -> State:
        """One digest for each tree, of all that is listed but times. Reads every file on the host."""
        found: State = {f"tree:{path}": {"entries": 0} for path in self.paths}
        with only_read(), self._listing(context) as pieces:
            for root, listing in tree.by_root(self.paths, tree.entries(pieces)):
                total = tree.Total()
                digest = tree.digest(listing, total)
                found[f"tree:{root}"] = {"entries": total.entries, "bytes": total.size, "digest": digest}
        return found

    @contextmanager
    def _listing(self, context: Context) -> Iterator[Iterator[bytes]]:
        """What the host lists now, in pieces."""
        words = tree.command(way_to(context).python, "list", *self.paths, "--", *self.exclude)
        with program(context, words) as listing:
            yield listing.output()

    @contextmanager
    def _look(self, context: Context) -> Iterator[IO[bytes]]:
        """What the host lists now, whole, in a file without a name."""
        with _nameless(vault_of(context).folder) as file:
            with only_read(), self._listing(context) as pieces:
                for piece in pieces:
                    file.write(piece)
            yield file

    def apply(self, context: Context) -> Result:
        """List, dump and store, list again; all three must say the same."""
        settings, vault = BackupSettings.of(context.target), vault_of(context)
        vault.begin()
        taken, began = time.time(), time.monotonic()
        with self._look(context) as before:
            total = tree.Total()
            digest = tree.digest(_entries(before), total)
            self._all_there(before)
            listing = store(vault.folder, "listing.jsonl", _pieces(before), settings.recipients)
            stored = self._dump(context, vault.folder, before, settings.recipients)
            self._unchanged(context, before)
        manifest = Manifest(
            **Manifest.about(context, taken, settings.keep_days),
            kind=self.kind,
            what=f"files {', '.join(self.paths)}",
            level=Level.COMPARED,
            versions={},
            stored=stored,
            beside=(listing,),
            dump_seconds=round(time.monotonic() - began, 3),
            data={
                "paths": list(self.paths),
                "exclude": list(self.exclude),
                "entries": total.entries,
                "bytes": total.size,
                "digest": digest,
                "listing": listing.raw_sha256,
            },
        )
        return Result(
            changed=False,
            summary=f"kept {total.entries} entries with {total.size} bytes in {stored.size}"
            f"{', encrypted' * bool(stored.encryption)}; compared with the host before and after",
            data={
                "manifest": seal(vault, manifest),
                "backup": manifest.id,
                "bytes": stored.size,
                "entries": total.entries,
            },
        )

    def _all_there(self, listing: IO[bytes]) -> None:
        present = {root for root, _ in tree.by_root(self.paths, _entries(listing))}
        if missing := [path for path in self.paths if path not in present]:
            raise StepFailed(
                f"{', '.join(missing)} is not there: a backup of nothing protects nothing",
                "mend the path; what the change itself creates needs no backup",
            )

    def _dump(
        self, context: Context, folder: Path, listing: IO[bytes], recipients: tuple[str, ...]
    ) -> Stored:
        # Both sides of an exclusion are whole paths, and a * in them is a *.
        without = [f"--exclude={path.lstrip('/')}" for path in self.exclude]
        words = ["tar", *_KEEPING, "--format=posix", "--sort=name", "--anchored", "--no-wildcards", *without]
        words += ["-C", "/", "-cf", "-", "--", *(path.lstrip("/") for path in self.paths)]
        with only_read(), program(context, words) as dumping:
            stored = store(folder, "files.tar", matching(dumping.output(), _entries(listing)), recipients)
            if said := dumping.finish():
                raise StepFailed(f"{dumping.name}: {said}")
        return stored

    def _unchanged(self, context: Context, before: IO[bytes]) -> None:
        with self._look(context) as after:
            differing = [_path(pair) for pair in tree.changes(_entries(before), _entries(after))]
        if differing:
            raise StepFailed(
                f"{tree.some(differing)} changed while the backup was made; it is not used",
                "stop what writes there, or choose another time",
            )

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The stored bytes have the hashes that were noted."""
        return whole(context)

    def quiesce(self, context: Context) -> bool:
        """Whether no listing or tar of any attempt goes on; ends those that do."""
        return silenced(context)

    def probe(self, context: Context) -> Probe:
        """A backup is there when it was sealed, and noted."""
        return sealed(context)

    def undo(self, context: Context) -> Result:
        """Put back what differs; remove what is new only if a human has signed that it may be lost."""
        if not context.data.get("manifest"):
            return Result(changed=False, summary="no backup was completed, so no change was made after it")
        manifest, folder = noted(context), vault_of(context).folder
        identity = BackupSettings.of(context.target).identity
        key = context.secrets.resolve(identity) if identity else ""
        with _nameless(folder) as kept:
            pour(folder, manifest.beside[0], kept.write, key)
            done = self._put_back(context, manifest, kept, key)
            return Result(changed=bool(done), summary=done or "everything was as kept")

    def _put_back(self, context: Context, manifest: Manifest, kept: IO[bytes], key: str) -> str:
        with self._look(context) as now:
            pairs = list(tree.changes(_entries(kept), _entries(now)))
        if not pairs:
            return ""
        new = [other["path"] for one, other in pairs if one is None and other is not None]
        if new and not context.overwrite:
            raise StepFailed(
                f"new since the backup: {tree.some(new)}. A restore would remove what nobody kept. "
                "Nothing was restored",
                "move them away or remove them by hand, and try again; or sign that they may be lost: "
                "`remediate decide RUN STEP TARGET overwrite --key KEY`",
            )
        self._clear(context, pairs)
        wanted = {one["path"] for one, _ in pairs if one is not None}
        # A directory gets the time of now whenever something is made or removed in it.
        above = {str(PurePosixPath(_path(pair)).parent) for pair in pairs}
        self._extract(context, manifest.stored, wanted | above, key)
        with self._look(context) as after:
            differing = [_path(pair) for pair in tree.changes(_entries(kept), _entries(after))]
        if differing:
            raise StepFailed(
                f"after the restore these still differ: {tree.some(differing)}",
                f"compare them with {vault_of(context).folder / manifest.stored.file}",
            )
        done = [f"restored {tree.some(sorted(wanted))}"] if wanted else []
        return "; ".join([*done, *([f"removed {tree.some(new)}"] if new else [])])

    def _clear(self, context: Context, pairs: list[tuple[tree.Line | None, tree.Line | None]]) -> None:
        """Remove what is new or of another kind, and attributes of directories, which tar would leave there.

        What is in a directory comes before it.
        """
        items = []
        for one, other in reversed(pairs):
            if other is not None and (one is None or one["kind"] != other["kind"]):
                items.append("d" + other["path"])
            elif other is not None and other["kind"] == "dir":
                items.append("x" + other["path"])
        if items:
            words = tree.command(way_to(context).python, "clear")
            with program(context, words, changes=True) as clearing:
                clearing.write(b"".join(os.fsencode(item) + b"\0" for item in items))
                clearing.finish()

    def _extract(self, context: Context, stored: Stored, wanted: set[str], key: str) -> None:
        words = ["tar", *_KEEPING, "--same-owner", "--same-permissions", "-C", "/", "-xf", "-"]
        with program(context, words, changes=True) as extracting:
            chosen = Walker(lambda path: path in wanted, extracting.write, lambda _: None)
            pour(vault_of(context).folder, stored, chosen.write, key)
            chosen.finish()
            extracting.finish()

    def release(self, context: Context) -> Result:
        """Delete the archive."""
        there = vault_of(context).discard()
        super().release(context)
        return Result(changed=there, summary="the archive is deleted" if there else "nothing was kept")


def _path(pair: tuple[tree.Line | None, tree.Line | None]) -> str:
    return next(str(entry["path"]) for entry in pair if entry is not None)


@contextmanager
def _nameless(folder: Path) -> Iterator[IO[bytes]]:
    """Memory, or a file that nobody can open, for a listing of any length."""
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(folder)) as file:
        yield file


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Of the whole file; several may read it at once."""
    at = 0
    while True:
        file.seek(at)
        piece = file.read(_CHUNK)
        if not piece:
            return
        at += len(piece)
        yield piece


def _entries(file: IO[bytes]) -> Iterator[tree.Line]:
    return tree.entries(_pieces(file))
