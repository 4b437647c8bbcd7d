"""Putting a backup back: only what differs, files before and after packages, services last."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from remediate.adapters.hosts import apt
from remediate.adapters.hosts.client import HostClient, job_name
from remediate.adapters.hosts.keys import file_key, package_key
from remediate.adapters.hosts.units import settle_unit
from remediate.adapters.hosts.values import Outcome
from remediate.adapters.hosts.vault import Vault
from remediate.errors import StepFailed

_LOCK_SECONDS = 300.0
_LOCK_PAUSE = 2.0
_UPLOADS = "/var/cache/remediate"


@dataclass(slots=True)
class Restore:
    """One backup and the host that it belongs to."""

    client: HostClient
    vault: Vault
    manifest: dict[str, Any]
    token: str
    reloads: tuple[str, ...] = ()
    """Units that need no restart after their files were put back."""

    # -- looking --

    def check_contents(self) -> int:
        """Read everything that was kept and compare its hashes; returns the size in bytes.

        Raises:
            StepFailed: something is missing or was changed.
        """
        return sum(len(self.vault.get(digest)) for digest in self._digests())

    def _digests(self) -> set[str]:
        entries = [entry["fact"] for file in self.manifest["files"] for entry in file["entries"]]
        files = {fact["sha256"] for fact in entries if fact["kind"] == "file"}
        return files | {package["deb"] for package in self.manifest["packages"].values() if "deb" in package}

    def kept(self) -> dict[str, Any]:
        """All facts of the backup by key."""
        facts = {file_key(file["path"]): file["fact"] for file in self.manifest["files"]}
        facts |= {package_key(name): entry["fact"] for name, entry in self.manifest["packages"].items()}
        return facts | dict(self.manifest["services"])

    def differences(self) -> list[str]:
        """Keys whose facts on the host are not those of the backup."""
        kept = self.kept()
        now = self.client.facts(kept)
        return sorted(key for key, fact in kept.items() if now[key] != fact)

    # -- putting back --

    def put_back(self) -> list[str]:
        """Make the host equal the backup; returns what was done, in words."""
        differ = self.differences()
        # Before the packages: their scripts start services, which must not read the new settings.
        done = self._files(differ)
        packages = self._packages(differ)
        if packages:
            done += packages
            done += self._files(self.differences())
            self._run(["systemctl", "daemon-reload"], "reload-units")
        elif done and any("/systemd/" in key for key in differ):
            self._run(["systemctl", "daemon-reload"], "reload-units")
        return list(dict.fromkeys(done + self._services(bool(done), programs=bool(packages))))

    def _files(self, differ: Iterable[str]) -> list[str]:
        wanted = [file for file in self.manifest["files"] if file_key(file["path"]) in set(differ)]
        if not wanted:
            return []
        present = {
            entry.path: entry.fact
            for grabbed in self.client.grab([file["path"] for file in wanted], room=0)
            for entry in grabbed.entries
            if entry.fact["kind"] != "absent"
        }
        goal = {e["path"]: e for file in wanted for e in file["entries"] if e["fact"]["kind"] != "absent"}
        for path in sorted(present, key=lambda p: p.count("/"), reverse=True):
            if path not in goal or goal[path]["fact"]["kind"] != present[path]["kind"]:
                self.client.remove(path)
                del present[path]
        for path, entry in goal.items():
            if path not in present:
                # Nobody asked for the facts of a directory above that went missing with it.
                self.client.make_parents(path)
            if present.get(path) != entry["fact"]:
                self._entry(path, entry)
        return [f"restored {file['path']}" for file in wanted]

    def _entry(self, path: str, entry: dict[str, Any]) -> None:
        fact = entry["fact"]
        if fact["kind"] != "file":
            self.client.place(path, fact, entry["mtime"])
            return
        self.client.write(
            path,
            self.vault.get(fact["sha256"]),
            stage=f"{self.token}.undo",
            owner=fact["uid"],
            group=fact["gid"],
            mode=fact["mode"],
            xattrs=fact.get("xattrs", {}),
            mtime=entry["mtime"],
        )

    def _packages(self, differ: Iterable[str]) -> list[str]:
        wanted = {
            name: entry
            for name, entry in self.manifest["packages"].items()
            if package_key(name) in set(differ)
        }
        debs = {name: entry["deb"] for name, entry in wanted.items() if "deb" in entry}
        if debs:
            self._install(debs)
        gone = [name for name, entry in wanted.items() if entry["fact"]["status"] == "absent"]
        if gone:
            self._dpkg(["dpkg", "--purge", "--", *sorted(gone)], "purge")
        left = [n for n, entry in wanted.items() if str(entry["fact"]["status"]).endswith(" config-files")]
        if left:
            self._dpkg(["dpkg", "--remove", "--", *sorted(left)], "remove")
        self._marks(wanted)
        done = [f"put {name} back to {wanted[name]['fact']['version']}" for name in debs]
        return done + [f"removed {name}" for name in (*gone, *left)]

    def _install(self, debs: dict[str, str]) -> None:
        """Send the package files, install them all in one call, and take them away again."""
        folder = f"{_UPLOADS}/{job_name(self.token)}"
        self.client.make_parents(folder)
        self.client.place(folder, _directory("0700"), time.time_ns())
        paths = [f"{folder}/{number}.deb" for number in range(len(debs))]
        for path, digest in zip(paths, debs.values(), strict=True):
            self.client.write(path, self.vault.get(digest), stage=self.token, mode="0600")
        try:
            self._dpkg(apt.put_back(paths), "packages")
        finally:
            for path in (*paths, folder):
                self.client.remove(path)

    def _marks(self, wanted: dict[str, Any]) -> None:
        """What apt holds for installed by hand, or only for others."""
        now = self.client.facts(map(package_key, wanted))
        for mark, automatic in (("auto", True), ("manual", False)):
            names = [
                name
                for name, entry in wanted.items()
                if entry["fact"].get("auto") is automatic
                and _field(now[package_key(name)], "auto") is not automatic
            ]
            if names:
                self._dpkg(["apt-mark", mark, *sorted(names)], f"mark-{mark}")

    def _services(self, changed: bool, *, programs: bool) -> list[str]:
        done = []
        now = self.client.facts(self.manifest["services"])
        for key, before in self.manifest["services"].items():
            unit = key.removeprefix("service:")
            light = unit in self.reloads and not programs
            for argv in settle_unit(
                unit, before, now[key], restart=changed and not light, reload=changed and light
            ):
                self._run(argv, f"unit-{'-'.join(argv[1:])}")
                done.append(" ".join(argv))
        return done

    def _dpkg(self, argv: list[str], name: str) -> None:
        """dpkg doesn't wait for its lock, so we do."""
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            outcome = self._job(argv, name)
            if outcome.ok:
                return
            if not apt.locked(outcome.said) or time.monotonic() > deadline:
                raise StepFailed(f"{self.client.session.name}: {argv[0]} {outcome.ending}: {outcome.said}")
            time.sleep(_LOCK_PAUSE)

    def _run(self, argv: list[str], name: str) -> None:
        outcome = self._job(argv, name)
        if not outcome.ok:
            raise StepFailed(f"{self.client.session.name}: {' '.join(argv)} {outcome.ending}: {outcome.said}")

    def _job(self, argv: list[str], name: str) -> Outcome:
        job = f"{self.token}.undo-{name}"
        return self.client.run(argv, self.token, name=job, env=apt.ENVIRONMENT, again=True)


def _directory(mode: str) -> dict[str, Any]:
    return {"kind": "directory", "mode": mode, "uid": 0, "gid": 0}


def _field(fact: object, name: str) -> object:
    return fact.get(name) if isinstance(fact, dict) else None
