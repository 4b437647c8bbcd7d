"""The .deb files of given versions: fetched, read to their end, and described."""

import binascii
import hashlib
import os

from .commands import run_captured
from .facts import PACKAGE, VERSION, checked
from .wire import Refusal

MYPY = False
if MYPY:
    from typing import Any

_ARCHIVES = "/var/cache/apt/archives"
_FETCH_SECONDS = 600.0
_made: "set[str]" = set()


def fetch(wanted: "list[list[str]]") -> "dict[str, Any]":
    """Fetch ``[name, version, architecture]`` each into a directory of their own; see `discard`.

    Raises:
        Refusal: one can't be had, or is not the package that it should be.
    """
    checked([name for name, _, _ in wanted], PACKAGE, "package name")
    checked([version for _, version, _ in wanted], VERSION, "version")
    folder = "/var/tmp/remediate-" + binascii.hexlify(os.urandom(8)).decode()  # noqa: S108 - made exclusively
    os.mkdir(folder, 0o700)
    _made.add(folder)
    places = (folder, _ARCHIVES)
    missing = [one for one in wanted if not _find(places, *one)]
    said = _download(missing, folder)
    if len(missing) > 1 and not all(_find(places, *one) for one in missing):
        # apt fetches nothing if one of them is unknown.
        said = "\n".join(_download([one], folder) for one in missing)
    still = ["{} {}".format(*one) for one in missing if not _find(places, *one)]
    if still:
        raise Refusal(
            f"can't get {', '.join(still)} from any package source: {said}",
            "without the installed version's package there is no way back: add a source that has it "
            "(or run apt-get update)",
        )
    return {"folder": folder, "debs": [_describe(_find(places, *one), *one) for one in wanted]}


def _download(wanted: "list[list[str]]", folder: str) -> str:
    if not wanted:
        return ""
    goals = [f"{name}={version}" for name, version, _ in wanted]
    answer = run_captured(["apt-get", "--quiet=2", "download", "--", *goals], {}, _FETCH_SECONDS, folder)
    return str(answer["stderr"]).strip()


def _find(places: "tuple[str, ...]", name: str, version: str, arch: str) -> str:
    """apt's file for this package, of any architecture if none is given; it quotes an epoch's colon."""
    start, end = "{}_{}_".format(name.partition(":")[0], version.replace(":", "%3a")), ".deb"
    for folder in places:
        for file in os.listdir(folder) if os.path.isdir(folder) else ():
            if file.startswith(start) and file.endswith(end) and arch in ("", file[len(start) : -len(end)]):
                return os.path.join(folder, file)
    return ""


def _describe(path: str, name: str, version: str, arch: str) -> "dict[str, Any]":
    shown = run_captured(["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", path], {}, 60.0)
    # Listing the contents decompresses everything: a truncated file fails here, and not on the way back.
    whole = run_captured(["dpkg-deb", "--contents", path], {}, _FETCH_SECONDS)
    if shown["stdout"] != "{} {}".format(name.partition(":")[0], version) or whole["rc"] != 0:
        said = "{} {}".format(shown["stdout"], whole["stderr"].strip())
        raise Refusal(f"{path} is damaged, or is not {name} {version}: {said}")
    conffiles = run_captured(["dpkg-deb", "--info", path, "conffiles"], {}, 60.0)
    lines = conffiles["stdout"].splitlines() if conffiles["rc"] == 0 else []
    return {
        "name": name,
        "version": version,
        "arch": arch,
        "path": path,
        "sha256": _digest(path),
        # A line may begin with a flag: "remove-on-upgrade /etc/…" (deb-conffiles(5)).
        "conffiles": [line[line.index("/") :].rstrip() for line in lines if "/" in line],
    }


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def discard(folder: str) -> None:
    """Remove a directory that `fetch` made."""
    if folder in _made:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        _made.discard(folder)


def clean_up() -> None:
    """Remove all of them."""
    for folder in list(_made):
        discard(folder)
