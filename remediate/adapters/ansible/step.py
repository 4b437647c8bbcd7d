"""What playbooks and single modules have in common as steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, field_validator

from remediate.adapters.ansible import dead, execution, outcome, preview
from remediate.adapters.ansible.events import Recording, TaskStatus
from remediate.adapters.ansible.job import Job
from remediate.adapters.hosts.client import SDKS
from remediate.adapters.hosts.keys import file_key, package_key, service_key
from remediate.adapters.hosts.step import observed
from remediate.errors import InputError
from remediate.inventory.secrets import plain_secrets
from remediate.model.base import Frozen, State
from remediate.model.inputs import AbsolutePath, DebianPackage, UnitName
from remediate.model.step import (
    BatchStep,
    CheckResult,
    Context,
    Estimate,
    Probe,
    Result,
    Status,
    Step,
    StepClass,
    Verdict,
)

_DATA: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class Watch(Frozen):
    """What a step changes on each host, as its author says: it is observed, backed up and restored.

    Attributes:
        packages: names; or names to the versions that the step will bring, so that whatever apt changes
            on the way there is backed up too.
        services: units that are restarted when something was put back.
        reloads: units for which a reload is enough when files were put back.
    """

    files: tuple[AbsolutePath, ...] = ()
    packages: dict[DebianPackage, str] = {}
    services: tuple[UnitName, ...] = ()
    reloads: tuple[UnitName, ...] = ()

    @field_validator("packages", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return dict.fromkeys(value, "") if isinstance(value, list | tuple | set | frozenset) else value

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the facts."""
        return (
            *map(file_key, self.files),
            *map(package_key, self.packages),
            *map(service_key, dict.fromkeys((*self.services, *self.reloads))),
        )


def data(value: object) -> dict[str, JsonValue]:
    """Variables or arguments as plain JSON, from a pydantic model or a mapping.

    Raises:
        ValueError: one of them holds a secret in the clear.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    found = _DATA.validate_python(plain)
    if name := next(plain_secrets(found), None):
        raise ValueError(f"{name} holds a secret in the clear: write a reference (env:NAME, file:PATH)")
    return found


class AnsibleStep(BatchStep):
    """A step that Ansible carries out.

    Attributes:
        watch: what it changes on each host.
        idempotent: a second run changes nothing. That is verified after the first, in check mode.
    """

    # What was refused may be a secret in the wrong place.
    model_config = ConfigDict(hide_input_in_errors=True)

    default_estimate: ClassVar[Estimate] = Estimate(apply=60, verify=30, undo=60)
    sdks: ClassVar[tuple[str, ...]] = SDKS

    watch: Watch = Watch()
    idempotent: bool = True

    @property
    def step_class(self) -> StepClass:  # type: ignore[override]
        """B if it may be repeated, else D: whatever Ansible was doing, nobody can read it off the host."""
        return StepClass.STATE_BASED if self.idempotent else StepClass.OPAQUE

    @abstractmethod
    def _job(self, context: Context) -> Job:
        """The forward job of a batch that begins with this context."""

    def protection(self) -> tuple[Step, ...]:
        """A proven backup of all that is watched."""
        if not self.watch.keys:
            return ()
        from remediate.adapters.hosts.backup import HostBackup

        watch = self.watch
        return (
            HostBackup(
                files=watch.files, packages=watch.packages, services=watch.services, reloads=watch.reloads
            ),
        )

    def observe(self, context: Context) -> State:
        """Facts about all that is watched, in one round trip."""
        return observed(context, self.watch.keys) if self.watch.keys else {}

    def preview(self, context: Context) -> str:
        """The batch of one."""
        return self.preview_many([context])[context.target.name]

    def preview_many(self, contexts: Sequence[Context]) -> Mapping[str, str]:
        """What ``--check --diff`` says, by target name."""
        seen = self._check(contexts, diff=True)
        return {c.target.name: preview.render(seen[c.target.name], c.target.name) for c in contexts}

    def apply_many(self, contexts: Sequence[Context]) -> Mapping[str, Result]:
        """Run it on all; see `outcome` for what counts as success."""
        return self._act(contexts, self._job, "apply")

    def _act(
        self, contexts: Sequence[Context], make: Callable[[Context], Job], verb: str
    ) -> dict[str, Result]:
        found: dict[str, Result] = {}
        for job, names in _batches(contexts, make, verb, check=False):
            try:
                run = execution.execute(job, contexts[0].clients.fence)
            except InputError as error:
                failed = Result(status=Status.FAILED, changed=False, summary=f"not started: {error.problem}")
                found.update(dict.fromkeys(names, failed))
            else:
                found.update(outcome.results(run.recording, names, killed=run.killed))
        return found

    def _check(self, contexts: Sequence[Context], *, diff: bool = False) -> dict[str, Recording]:
        found: dict[str, Recording] = {}
        for job, names in _batches(contexts, self._job, "check", check=True):
            found.update(dict.fromkeys(names, execution.execute(replace(job, diff=diff)).recording))
        return found

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """The batch of one."""
        return self.confirm_many([context])[context.target.name]

    def confirm_many(self, contexts: Sequence[Context]) -> Mapping[str, tuple[CheckResult, ...]]:
        """That a second run would change nothing; asked in check mode, so nothing is changed by asking."""
        if not self.idempotent:
            return {c.target.name: () for c in contexts}
        seen = self._check(contexts)
        return {c.target.name: (_unchanged(seen[c.target.name], c.target.name),) for c in contexts}

    def quiesce(self, context: Context) -> bool:
        """Kill what earlier attempts left here, wait for what they left on the target."""
        return dead.quiesce(context)

    def release(self, context: Context) -> Result:
        """Nothing was kept for undo; what killed processes left behind goes."""
        dead.sweep(context, "apply", "undo", "check")
        return super().release(context)

    def probe(self, context: Context) -> Probe:
        """By the watched facts, then by what a run in check mode would still change."""
        if self.watch.keys:
            now = self.observe(context)
            if all(context.before.get(key) == fact for key, fact in now.items()):
                return Probe(
                    verdict=Verdict.NOT_APPLIED, evidence="all watched facts are as they were before"
                )
        if not self.idempotent:
            return Probe(verdict=Verdict.UNKNOWN, evidence="what is watched changed; it can't be repeated")
        name = context.target.name
        return _verdict(self._check([context])[name], name)


def _batches(
    contexts: Sequence[Context], make: Callable[[Context], Job], verb: str, *, check: bool
) -> Iterator[tuple[Job, list[str]]]:
    """One job for all contexts that share a token; they belong to one attempt."""
    groups: dict[str, list[Context]] = {}
    for context in contexts:
        groups.setdefault(str(context.token), []).append(context)
    for token, group in groups.items():
        changes: dict[str, Any] = {
            "verb": verb,
            # A check changes nothing, so nobody ever has to wait for its end.
            "token": f"{token}.check" if check else token,
            "targets": tuple(c.target for c in group),
            "timeout": max(c.timeout for c in group),
            "check": check,
            "cut": 0 if check else max(c.cut for c in group),
        }
        yield replace(make(group[0]), **changes), [c.target.name for c in group]


def _would_change(recording: Recording, name: str) -> list[str]:
    found = [t.name for t in recording.host(name).tasks if t.status is TaskStatus.CHANGED]
    # A result of more than some hundred kilobytes comes without its content, but it was counted.
    if not found and recording.stats and recording.stats.changed.get(name):
        return ["a task whose result was too large to be told"]
    return found


def _unchanged(recording: Recording, name: str) -> CheckResult:
    host = recording.host(name)
    title = "a second run would change nothing"
    left = _would_change(recording, name)
    result = outcome.results(recording, [name], killed=False)[name]
    if result.status is not Status.OK:
        return CheckResult(title=title, ok=False, expected=title, actual=result.summary)
    if left:
        return CheckResult(title=title, ok=False, expected=title, actual=f"would change: {', '.join(left)}")
    skipped = f"; {len(host.unchecked)} tasks can't be told in check mode" if host.unchecked else ""
    return CheckResult(title=title, ok=True, expected=title, actual=f"nothing{skipped}")


def _verdict(recording: Recording, name: str) -> Probe:
    result = outcome.results(recording, [name], killed=False)[name]
    if result.status is not Status.OK:
        return Probe(verdict=Verdict.UNKNOWN, evidence=f"check mode: {result.summary}")
    if left := _would_change(recording, name):
        return Probe(verdict=Verdict.PARTIAL, evidence=f"still to do: {', '.join(left)}")
    if unchecked := recording.host(name).unchecked:
        return Probe(verdict=Verdict.PARTIAL, evidence=f"can't be told: {', '.join(unchecked)}")
    return Probe(verdict=Verdict.APPLIED, evidence="check mode finds nothing left to change")
