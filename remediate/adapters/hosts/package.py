"""One Debian package at one version."""

from __future__ import annotations

from typing import ClassVar

from remediate.adapters.hosts import apt
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.client import connect
from remediate.adapters.hosts.keys import package_key
from remediate.adapters.hosts.step import HostStep, fact_of, look, must
from remediate.model.base import State
from remediate.model.clip import clip
from remediate.model.inputs import DebianPackage, DebianVersion, UnitName
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict


class Package(HostStep):
    """A package installed in exactly this version, with everything that it needs.

    Configuration files that somebody changed stay. ``services`` are restarted by a rollback, because what
    they run is replaced then.
    """

    kind: ClassVar[str] = "package"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=60.0, verify=5.0, undo=60.0)

    name: DebianPackage
    version: DebianVersion
    services: tuple[UnitName, ...] = ()

    def title(self) -> str:
        """One line."""
        return f"install {self.name} {self.version}"

    def protection(self) -> tuple[Step, ...]:
        """Every package that apt would change, with its configuration files."""
        return (HostBackup(packages={self.name: self.version}, services=self.services),)

    def observe(self, context: Context) -> State:
        """The package, whatever else apt would change, and their configuration files."""
        return connect(context).find([package_key(self.name)], {self.name: self.version}, apt.OPTIONS).facts

    def preview(self, context: Context) -> str:
        """What apt says it would do."""
        found = connect(context).find([package_key(self.name)], {self.name: self.version}, apt.OPTIONS)
        lines = [
            f"upgrade {c.name}: {c.old} -> {c.new}\n" if c.old else f"install {c.name}: {c.new} (new)\n"
            for c in found.changes
        ]
        return "".join(lines)

    def apply(self, context: Context) -> Result:
        """Let apt install it; it waits for the lock of another apt."""
        client = connect(context)
        if self._is_there(look(client, package_key(self.name))):
            return Result(changed=False, summary=f"{self.name} {self.version} was installed already")
        if context.attempts > 1:
            # A killed attempt leaves dpkg half-way, and apt refuses to work until that is settled.
            settle = f"{context.token}.configure"
            client.run(apt.SETTLE, str(context.token), name=settle, env=apt.ENVIRONMENT)
        outcome = client.run(apt.install(self.name, self.version), str(context.token), env=apt.ENVIRONMENT)
        must(client, outcome, "apt's messages say why; `dpkg --audit` on the host shows what is half done")
        return Result(summary=f"installed {self.name} {self.version}", detail=clip(outcome.said, 8000))

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """dpkg says that it is installed, in this version."""
        fact = look(connect(context), package_key(self.name))
        actual = f"{fact['status']} {fact.get('version', '')}".strip()
        return (
            CheckResult(
                title=f"{self.name} is installed",
                ok=self._is_there(fact),
                expected=f"install ok installed {self.version}",
                actual=actual,
            ),
        )

    def probe(self, context: Context) -> Probe:
        """By version; while apt is at work, it is running."""
        client = connect(context)
        if client.pending(str(context.token)).running:
            return Probe(verdict=Verdict.RUNNING, evidence="apt is at work")
        key = package_key(self.name)
        fact = look(client, key)
        evidence = f"dpkg says: {fact['status']} {fact.get('version', '')}".strip()
        if self._is_there(fact):
            return Probe(verdict=Verdict.APPLIED, evidence=evidence)
        untouched = fact == fact_of(context.before, key)
        return Probe(verdict=Verdict.NOT_APPLIED if untouched else Verdict.PARTIAL, evidence=evidence)

    def _is_there(self, fact: dict[str, object]) -> bool:
        # "hold ok installed" is installed as well; the last two words are what counts (dpkg-query(1)).
        return str(fact.get("status", "")).endswith(" ok installed") and fact.get("version") == self.version
