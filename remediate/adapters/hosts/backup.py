"""The backup of files, packages and services of one host: stored here, compared with there, and put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from remediate.adapters.hosts import apt
from remediate.adapters.hosts.client import HostClient, connect
from remediate.adapters.hosts.keys import file_key, package_key, service_key
from remediate.adapters.hosts.restore import Restore
from remediate.adapters.hosts.step import HostStep, observed
from remediate.adapters.hosts.values import Change, Found, Grabbed
from remediate.adapters.hosts.vault import Vault
from remediate.errors import StepFailed
from remediate.model.base import State
from remediate.model.inputs import AbsolutePath, DebianPackage, UnitName
from remediate.model.step import (
    CheckResult,
    Context,
    Estimate,
    Level,
    Probe,
    Result,
    Role,
    StepClass,
    Verdict,
)


class HostBackup(HostStep):
    """Keep files, packages and services as they are now, so that they can be put back exactly.

    ``packages`` maps names to the versions that a later step will install: everything that apt would change
    on the way is kept, with all configuration files. Names alone keep just these packages. ``services`` are
    restarted after anything was put back; ``reloads`` are units for which a reload is enough after files.
    """

    kind: ClassVar[str] = "host-backup"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    role: ClassVar[Role] = Role.BACKUP
    level: ClassVar[Level | None] = Level.COMPARED
    default_estimate: ClassVar[Estimate] = Estimate(apply=20.0, verify=5.0, undo=60.0)

    files: tuple[AbsolutePath, ...] = ()
    packages: dict[DebianPackage, str] = Field(default_factory=dict)
    services: tuple[UnitName, ...] = ()
    reloads: tuple[UnitName, ...] = ()

    @property
    def units(self) -> tuple[str, ...]:
        """All units whose state is kept."""
        return tuple(dict.fromkeys((*self.services, *self.reloads)))

    @field_validator("packages", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        if isinstance(value, list | tuple | set | frozenset):
            return dict.fromkeys(value, "")
        return value

    @model_validator(mode="after")
    def _something(self) -> HostBackup:
        if not (self.files or self.packages or self.units):
            raise ValueError("a backup of nothing protects nothing: name files, packages or services")
        return self

    def title(self) -> str:
        """One line."""
        packages = [f"package {name}{' with what it needs' * bool(g)}" for name, g in self.packages.items()]
        services = [f"state of {unit}" for unit in self.units]
        return f"back up {', '.join([*self.files, *packages, *services])}"

    def observe(self, context: Context) -> State:
        """Facts about everything that `undo` would put back."""
        return self._find(context).facts

    def _find(self, context: Context) -> Found:
        goals = {name: goal for name, goal in self.packages.items() if goal}
        if goals:
            return connect(context).find(self._keys(), goals, apt.OPTIONS)
        return Found(observed(context, self._keys()), (), ())

    def _just_found(self, context: Context) -> Found:
        """What was observed just before; it is compared with the host once more when it is stored."""
        facts = {key: context.before[key] for key in self._keys() if key in context.before}
        if len(facts) == len(self._keys()) and not any(self.packages.values()):
            return Found(facts, (), ())
        return self._find(context)

    def _keys(self) -> list[str]:
        return [
            *map(file_key, self.files),
            *map(package_key, self.packages),
            *map(service_key, self.units),
        ]

    def apply(self, context: Context) -> Result:
        """Store everything, then compare what was stored with what is on the host."""
        client = connect(context)
        vault = Vault.of(context.workspace, context.target.name)
        vault.begin()
        found = self._just_found(context)
        packages, conffiles = self._keep_packages(client, vault, found)
        wanted = (*self.files, *apt.with_leftovers(conffiles))
        files = [_keep(client, vault, grabbed) for grabbed in client.grab(tuple(dict.fromkeys(wanted)))]
        services = {key: found.facts[key] for key in map(service_key, self.units)}
        manifest = {"target": context.target.name, "files": files, "packages": packages, "services": services}
        digest = vault.seal(manifest)
        restore = Restore(client, vault, vault.open(digest), str(context.token))
        self._compare(client, restore)
        size = restore.check_contents()
        return Result(
            changed=False,
            summary=f"kept {_count(files, packages, services)}; {size} bytes, compared with the host",
            data={"manifest": digest, "bytes": size},
        )

    def _keep_packages(
        self, client: HostClient, vault: Vault, found: Found
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Manifest entries by name, and all configuration files that the old or new versions have."""
        changes = found.changes or tuple(
            Change(name, str(_fact(found, name).get("version", "")), "")
            for name, goal in self.packages.items()
            if not goal and _fact(found, name)["status"] != "absent"
        )
        removed = [change.name for change in changes if change.verb != "Inst"]
        if removed:
            raise StepFailed(f"{client.session.name}: apt would remove {', '.join(removed)}")
        wanted = [(c.name, c.old, "") for c in changes if c.old]
        wanted += [(c.name, c.new, c.arch) for c in changes if c.new]
        names = {*self.packages, *(change.name for change in changes)}
        entries: dict[str, dict[str, Any]] = {name: {"fact": _fact(found, name)} for name in names}
        if not wanted:
            return entries, found.conffiles
        with client.debs(wanted) as debs:
            conffiles = tuple(dict.fromkeys([*found.conffiles, *(p for deb in debs for p in deb.conffiles)]))
            for deb in debs:
                if any(change.name == deb.name and change.old == deb.version for change in changes):
                    entries[deb.name]["deb"] = _fetch(client, vault, deb.path, deb.sha256)
        return entries, conffiles

    def _compare(self, client: HostClient, restore: Restore) -> None:
        differs = restore.differences()
        if differs:
            raise StepFailed(
                f"{client.session.name}: {', '.join(differs)} changed while the backup was made",
                "find out what changes it, or choose another time",
            )

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The stored bytes have the hashes that were noted."""
        vault = Vault.of(context.workspace, context.target.name)
        expected = str(context.data.get("manifest", "")) or vault.digest()
        restore = Restore(connect(context), vault, vault.open(expected), str(context.token))
        size = restore.check_contents()
        actual = f"{size} bytes with the right hashes in {vault.folder}"
        return (
            CheckResult(title="the backup is whole", ok=True, expected="every hash is right", actual=actual),
        )

    def probe(self, context: Context) -> Probe:
        """A backup is there when it was sealed: the manifest is written last."""
        vault = Vault.of(context.workspace, context.target.name)
        if not vault.sealed():
            return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"{vault.folder} holds no manifest")
        if context.data.get("manifest") == vault.digest():
            return Probe(verdict=Verdict.APPLIED, evidence=f"{vault.folder} holds the noted manifest")
        # Its hash was never noted, so nothing could vouch for it later: make it again.
        return Probe(verdict=Verdict.NOT_APPLIED, evidence=f"{vault.folder} holds a backup that nobody noted")

    def undo(self, context: Context) -> Result:
        """Put everything back that differs, and compare."""
        noted = context.data.get("manifest")
        if not noted:
            return Result(changed=False, summary="no backup was completed, so no change was made after it")
        client = connect(context)
        vault = Vault.of(context.workspace, context.target.name)
        light = tuple(unit for unit in self.reloads if unit not in self.services)
        restore = Restore(client, vault, vault.open(str(noted)), str(context.token), light)
        restore.check_contents()
        done = restore.put_back()
        differs = restore.differences()
        if differs:
            raise StepFailed(
                f"{client.session.name}: after the restore these still differ: {', '.join(differs)}",
                f"compare them with the backup in {vault.folder}",
            )
        return Result(changed=bool(done), summary="; ".join(done) or "everything was as kept")

    def release(self, context: Context) -> Result:
        """Delete the copies."""
        there = Vault.of(context.workspace, context.target.name).discard()
        super().release(context)
        return Result(changed=there, summary="the copies are deleted" if there else "nothing was kept")


def _fact(found: Found, name: str) -> dict[str, Any]:
    fact = found.facts[package_key(name)]
    return fact if isinstance(fact, dict) else {}


def _keep(client: HostClient, vault: Vault, grabbed: Grabbed) -> dict[str, Any]:
    """Store the contents below one path; returns its manifest entry."""
    for entry in grabbed.entries:
        if entry.fact["kind"] == "other":
            raise StepFailed(f"{client.session.name}: {entry.path} is neither file, directory nor link")
        if entry.fact.get("links"):
            raise StepFailed(
                f"{client.session.name}: {entry.path} has {entry.fact['links']} hard links",
                "a restore would part it from its twins: leave it out, or protect it by a snapshot",
            )
        if entry.fact["kind"] == "file":
            _fetch(client, vault, entry.path, str(entry.fact["sha256"]), entry.content)
    entries = [{"path": e.path, "fact": dict(e.fact), "mtime": e.mtime} for e in grabbed.entries]
    return {"path": grabbed.path, "fact": grabbed.fact, "entries": entries}


def _fetch(client: HostClient, vault: Vault, path: str, digest: str, content: bytes | None = None) -> str:
    data = client.read(path, limit=2 << 30) if content is None else content
    if vault.put(data) != digest:
        raise StepFailed(f"{client.session.name}: {path} changed while it was read", "try again")
    return digest


def _count(
    files: Sequence[Mapping[str, Any]], packages: Mapping[str, Any], services: Mapping[str, Any]
) -> str:
    counts = {
        "path": sum(1 for file in files if file["fact"]["kind"] != "absent"),
        "package": sum(1 for package in packages.values() if "deb" in package),
        "service": len(services),
    }
    words = [f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts.items() if count]
    return ", ".join(words) or "that nothing was there"
