"""Archives, listings and kept backups that harm whoever reads them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from remediate.adapters.backups import manifest, tree
from remediate.adapters.backups.elsewhere import unpack
from remediate.adapters.backups.store import Stored, check, pour, store
from remediate.adapters.backups.tarball import Member, Walker, matching
from remediate.adapters.hosts.vault import Vault
from remediate.errors import Refused, StepFailed
from tests.hostile import clear_refusal, concise, hostile
from tests.hostile.mutations import VALUES, json_values, nested, spoiled, spoilings, text_of


def archive(*members: tuple[str, bytes, str, bytes]) -> bytes:
    """Of these names, kinds, link targets and contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, to, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, to, len(content)
            info.pax_headers = {"SCHILY.xattr.user.x": "y"}
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


GOOD = archive(
    ("srv", tarfile.DIRTYPE, "", b""),
    ("srv/a", tarfile.REGTYPE, "", b"content"),
    ("srv/b", tarfile.SYMTYPE, "a", b""),
    ("srv/" + "ü" * 120, tarfile.REGTYPE, "", b"x" * 600),
)


def headed(name: bytes, size: bytes, kind: bytes) -> bytes:
    """A header block whose sum is right, whatever its size says."""
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2)
    block += size.ljust(12, b"\0") + b"00000000000\0" + b" " * 8 + kind + b"\0" * 100
    block += b"ustar\x0000" + b"\0" * 247
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block[:512])


def walked(data: bytes, piece: int = 1000) -> list[Member]:
    seen: list[Member] = []
    walker = Walker(lambda _: True, lambda _: None, seen.append)
    for at in range(0, len(data), piece):
        walker.write(data[at : at + piece])
    walker.finish()
    return seen


def pax(records: bytes) -> bytes:
    """An extended header before a file, and the archive's end."""
    size = b"%011o\0" % len(records)
    padding = b"\0" * (-len(records) % 512)
    return headed(b"p", size, b"x") + records + padding + headed(b"srv/a", b"0", b"0") + b"\0" * 1024


@hostile("archives: changed bytes, false sizes", 300, "refused, or read to its end; never endless")
@given(spoiled(GOOD), st.sampled_from([1, 7, 512, 100_000]))
@example(pax(b"0 path=x\n"), 512)
@example(pax(b"-5 path=x\n"), 512)
@example(pax(b"99999999999 path=x\n"), 512)
@example(pax(b"9" * 5000 + b" path=x\n"), 512)
@example(pax(b"x path=x\n"), 512)
@example(pax(b"11 size=-1\n"), 512)
@example(pax(b"11 size=xx\n"), 512)
@example(headed(b"a", b"\xff" * 12, b"0") + b"\0" * 1024, 512)
@example(headed(b"a", b"\xff" * 12, b"x") + b"\0" * 1024, 512)
@example(headed(b"a", b"\x80" + b"\x7f" * 11, b"x") + b"\0" * 10240, 512)
def test_archives(data: bytes, piece: int) -> None:
    with clear_refusal(StepFailed):
        for member in walked(data, max(1, piece)):
            assert member.size <= 0
            assert member.path.startswith("/")


def test_the_good_archive_is_read() -> None:
    assert [member.kind for member in walked(GOOD)] == ["dir", "file", "link", "file"]


def test_an_extended_header_has_an_end() -> None:
    """It is held in memory until its member is known."""
    walker = Walker(lambda _: True, lambda _: None, lambda _: None)
    with pytest.raises(StepFailed, match="extended header"):
        walker.write(headed(b"p", b"%011o\0" % (1 << 32), b"x"))


LISTING = [
    {"path": "/srv", "kind": "dir", "uid": 0, "gid": 0, "mode": 493, "mtime": 1, "xattrs": {}},
    {"path": "/srv/a", "kind": "file", "uid": 0, "gid": 0, "mode": 420, "mtime": 1, "xattrs": {}, "size": 7,
     "sha256": hashlib.sha256(b"content").hexdigest()},
]  # fmt: skip
LINES = b"".join(json.dumps(entry).encode() + b"\n" for entry in LISTING)


@hostile("listings of trees: changed bytes", 200, "refused as damaged")
@given(spoiled(LINES))
@example(nested(b"[", b"]") + b"\n")
@example(b"null\n")
@example(b"{}\n")
def test_listings(data: bytes) -> None:
    digested(data)


@hostile("listings of trees: changed values", 200, "refused as damaged")
@given(st.integers(0, 1), st.data())
def test_listed_values(which: int, data: st.DataObject) -> None:
    entries = [*LISTING]
    entries[which] = data.draw(json_values(LISTING[which]))
    digested(b"".join(text_of(entry) + b"\n" for entry in entries))


def digested(data: bytes) -> None:
    with clear_refusal(StepFailed):
        for _, found in tree.by_root(["/srv"], tree.entries(iter([data]))):
            tree.digest(found, tree.Total())
        list(tree.changes(tree.entries(iter([LINES])), tree.entries(iter([data]))))
        list(matching(iter([GOOD]), tree.entries(iter([data]))))


def test_a_line_of_a_listing_has_an_end() -> None:
    with pytest.raises(StepFailed, match="line"):
        for _ in tree.lines(iter([b"x" * (1 << 20)] * 64)):
            pass


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[bytes], Stored]:
    """Keeps an archive below the test's folder."""
    (tmp_path / "kept").mkdir()
    return lambda content: store(tmp_path / "kept", "content.tar", iter([content]))


HARM = {
    "a path upwards": ("../../outside", tarfile.REGTYPE, "", b"x"),
    "an absolute path": ("/var/remediate-hostile-absolute", tarfile.REGTYPE, "", b"x"),
    "a link upwards, and a file through it": ("l/outside", tarfile.REGTYPE, "", b"x"),
    "a hard link to a file outside": ("h", tarfile.LNKTYPE, "../victim", b""),
}


@pytest.mark.parametrize("name", HARM, ids=lambda name: name.replace(" ", "-").replace(",", ""))
@pytest.mark.hostile(
    "archives restored elsewhere", len(HARM), "nothing is written outside of the new directory"
)
def test_harm_outside(tmp_path: Path, kept: Callable[[bytes], Stored], name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    link = ("l", tarfile.SYMTYPE, str(tmp_path), b"")
    stored = kept(archive(link, HARM[name], ("fine", tarfile.REGTYPE, "", b"x")))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    into = tmp_path / "into"
    with clear_refusal(StepFailed):
        unpack(tmp_path / "kept", stored, into, "")
    after = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if into not in (p, *p.parents)}
    assert after == before
    assert victim.read_text() == "mine"
    assert victim.stat().st_nlink == 1
    assert not Path("/var/remediate-hostile-absolute").exists()


@hostile("kept backups: changed bytes", 100, "refused as damaged; what was restored from it is removed")
@given(spoilings)
def test_damaged(tmp_path_factory: pytest.TempPathFactory, spoil: Callable[[bytes], bytes]) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    stored = store(folder, "content.tar", iter([GOOD]))
    file = folder / stored.file
    good = file.read_bytes()
    file.write_bytes(spoil(good))
    into = folder / "into"
    if file.read_bytes() == good:
        return
    with pytest.raises(StepFailed) as caught:
        check(folder, stored)
    concise(caught.value, str(file))
    with pytest.raises(StepFailed) as caught:
        unpack(folder, stored, into, "")
    concise(caught.value)
    assert not into.exists()


def test_a_bomb_in_a_backups_place(tmp_path: Path) -> None:
    """A few bytes that unpack to a thousand times as many: no more than was kept comes out."""
    stored = store(tmp_path, "content.tar", iter([b"x" * 5000]))
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (512 << 20))
    (tmp_path / stored.file).write_bytes(bomb)
    came = 0

    def take(data: bytes) -> None:
        nonlocal came
        came += len(data)

    with pytest.raises(StepFailed):
        pour(tmp_path, stored, take)
    assert came <= stored.raw_size


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Vault, dict[str, object]]:
    """A vault, and a manifest for it."""
    folder = tmp_path_factory.mktemp("sealed")
    stored = Stored(file="f", size=1, sha256="0" * 64, raw_size=1, raw_sha256="0" * 64)
    made = manifest.Manifest(
        id="b", run="r", step="s", target="t", kind="file-backup", what="files", taken=1.0, keep_until=2.0,
        level="B3", versions={}, stored=stored, dump_seconds=0.1,
    )  # fmt: skip
    return Vault(folder), made.model_dump(mode="json")


@hostile("manifests of backups: changed values", 200, "refused, the folder named; or read to the end")
@given(st.data())
def test_manifests(sealed: tuple[Vault, dict[str, object]], data: st.DataObject) -> None:
    """Whoever can change the journal too can make the digest right."""
    vault, good = sealed
    text = text_of(data.draw(json_values(good)))
    (vault.folder / "manifest.json").write_bytes(text)
    with clear_refusal(StepFailed):
        read = manifest.read(vault, hashlib.sha256(text).hexdigest())
        assert read.taken_at
        check(vault.folder, read.stored)


@pytest.mark.parametrize(
    "name", [v for v in VALUES if isinstance(v, str) and v not in ("", "\ud800") and len(v) < 254]
)
def test_a_vault_of_any_name_stays_below_its_workspace(tmp_path: Path, name: str) -> None:
    vault = Vault.of(tmp_path, name)
    assert vault.folder.parent == tmp_path
    with clear_refusal(StepFailed, Refused):
        vault.begin()
    assert {path.name for path in tmp_path.iterdir()} <= {vault.folder.name}
