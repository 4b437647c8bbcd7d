"""One file on a host: its whole content, owner and mode."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, JsonValue, StringConstraints, model_validator

from remediate.adapters.hosts.attempts import became_of
from remediate.adapters.hosts.backup import HostBackup
from remediate.adapters.hosts.client import HostClient, connect
from remediate.adapters.hosts.keys import file_key
from remediate.adapters.hosts.step import HostStep, just_seen, look, observed
from remediate.adapters.hosts.text import diff
from remediate.adapters.hosts.values import JobState
from remediate.errors import StepFailed
from remediate.model.base import State, sha256
from remediate.model.clip import clip
from remediate.model.inputs import AbsolutePath, ProjectPath, UnitName
from remediate.model.step import CheckResult, Context, Estimate, Probe, Result, Step, StepClass, Verdict

Mode = Annotated[str, StringConstraints(pattern=r"^[0-7]{4}$")]
_DIFFED = 1 << 20


class File(HostStep):
    """A file with exactly this content.

    The content is given as text (``content``), as a file of the project (``source``), or as a Jinja2 template
    of the project (``template``, with ``vars`` and ``target``). ``validated_by`` is a command that must
    accept the content before it is put in place; ``{file}`` in it stands for the new file. ``owner``,
    ``group`` and ``mode`` stay as they are when not given (a new file is root's, 0644).
    """

    kind: ClassVar[str] = "file"
    step_class: ClassVar[StepClass] = StepClass.STATE_BASED
    default_estimate: ClassVar[Estimate] = Estimate(apply=5.0, verify=5.0, undo=10.0)

    path: AbsolutePath
    content: str | None = None
    source: ProjectPath | None = None
    template: ProjectPath | None = None
    vars: dict[str, JsonValue] = Field(default_factory=dict)
    owner: str | None = None
    group: str | None = None
    mode: Mode | None = None
    validated_by: tuple[str, ...] | None = None
    reload: UnitName | None = None
    restart: UnitName | None = None

    @model_validator(mode="after")
    def _one_content(self) -> File:
        given = [self.content is not None, self.source is not None, self.template is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of content, source and template")
        if self.vars and self.template is None:
            raise ValueError("vars are for a template")
        if self.reload and self.restart:
            raise ValueError("give reload or restart, not both")
        return self

    def title(self) -> str:
        """One line."""
        units = {"reload": self.reload, "restart": self.restart}
        then = [f", then {verb} {unit}" for verb, unit in units.items() if unit]
        return f"write {self.path}{''.join(then)}"

    def protection(self) -> tuple[Step, ...]:
        """The file itself, and the unit that reads it."""
        restarted, reloaded = ((unit,) if unit else () for unit in (self.restart, self.reload))
        return (HostBackup(files=(self.path,), services=restarted, reloads=reloaded),)

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The source or template."""
        return tuple(Path(name) for name in (self.source, self.template) if name)

    def observe(self, context: Context) -> State:
        """The file's facts. A template that can't be rendered shows here, before anybody approves it."""
        self._desired(context)
        return observed(context, [file_key(self.path)])

    def preview(self, context: Context) -> str:
        """A unified diff, and changes of owner and mode."""
        client = connect(context)
        now = look(client, file_key(self.path))
        desired = self._desired(context)
        old = b""
        if now["kind"] == "file":
            old = client.read(self.path, _DIFFED) if now["size"] <= _DIFFED else b"\0"
        text = diff(self.path, old, desired, (now.get("sha256", "nothing"), sha256(desired)))
        wanted = {"owner": self.owner, "group": self.group, "mode": self.mode}
        changes = [
            f"{name} of {self.path}: {now.get(name, 'none')} -> {value}\n"
            for name, value in wanted.items()
            if value is not None and now.get(name) != value
        ]
        return text + "".join(changes)

    def apply(self, context: Context) -> Result:
        """Put the content in place if it differs, then have the unit read it."""
        client = connect(context)
        desired = self._desired(context)
        changed = bool(self._differs(just_seen(context, file_key(self.path)), desired))
        if changed:
            client.write(
                self.path,
                desired,
                stage=str(context.token),
                owner=self.owner,
                group=self.group,
                mode=self.mode,
                validate=self.validated_by,
            )
        # An earlier attempt may have written the file and got no further.
        told = self._tell_unit(context, client) if changed or context.attempts > 1 else ""
        summary = f"wrote {self.path}{told}" if changed else f"{self.path} was right{told}"
        return Result(changed=changed or bool(told), summary=summary)

    def _tell_unit(self, context: Context, client: HostClient) -> str:
        unit = self.reload or self.restart
        if unit is None:
            return ""
        verb = "reload" if self.reload else "restart"
        if "/systemd/" in self.path:
            client.run(["systemctl", "daemon-reload"], str(context.token), name=f"{context.token}.units")
        outcome = client.run(
            ["systemctl", verb, unit], str(context.token), name=self._unit_job(str(context.token))
        )
        if not outcome.ok:
            raise StepFailed(
                f"{context.target.name}: {verb} of {unit} {outcome.ending}: {clip(outcome.said)}",
                f"journalctl -u {unit} on the host says more",
            )
        return f", {verb}ed {unit}"

    @staticmethod
    def _unit_job(token: str) -> str:
        return f"{token}.unit"

    def confirm(self, context: Context) -> tuple[CheckResult, ...]:
        """Read again: content, owner and mode."""
        desired = self._desired(context)
        now = look(connect(context), file_key(self.path))
        differs = self._differs(now, desired)
        return (
            CheckResult(
                title=f"{self.path} is as written",
                ok=not differs,
                expected=f"sha256 {sha256(desired)}",
                actual=", ".join(differs) or f"sha256 {now['sha256']}",
            ),
        )

    def probe(self, context: Context) -> Probe:
        """By content; and whether the unit was told."""
        client = connect(context)
        now = look(client, file_key(self.path))
        untouched = now == context.before.get(file_key(self.path))
        differs = self._differs(now, self._desired(context))
        if differs:
            evidence = f"{self.path}: {', '.join(differs)}"
            verdict = Verdict.NOT_APPLIED if untouched else Verdict.PARTIAL
            return Probe(verdict=verdict, evidence=evidence)
        if (self.reload or self.restart) and not untouched:
            status = became_of(context, client, self._unit_job(str(context.token)))
            if status.outcome is None or status.state is not JobState.ENDED or not status.outcome.ok:
                evidence = f"{self.path} has the new content, but its unit was not told"
                return Probe(verdict=Verdict.PARTIAL, evidence=evidence)
        return Probe(verdict=Verdict.APPLIED, evidence=f"{self.path} has the new content")

    def _differs(self, now: dict[str, Any], desired: bytes) -> list[str]:
        """What is not as it should be, in words."""
        if now["kind"] != "file":
            return [f"{self.path} is {now['kind']}"]
        wanted = {"sha256": sha256(desired), "owner": self.owner, "group": self.group, "mode": self.mode}
        return [
            f"{name} is {now.get(name)}"
            for name, value in wanted.items()
            if value is not None and now.get(name) != value
        ]

    def _desired(self, context: Context) -> bytes:
        if self.content is not None:
            return self.content.encode()
        if self.source is not None:
            return _artefact(context, self.source)
        assert self.template is not None  # noqa: S101 - the validator saw to it
        return _render(_artefact(context, self.template).decode(), self.template, self.vars, context)


def _artefact(context: Context, name: str) -> bytes:
    try:
        return (context.artefacts / name).read_bytes()
    except OSError as error:
        raise StepFailed(f"can't read {name}: {error.strerror}", "is it in the project?") from None


def _render(text: str, name: str, values: dict[str, JsonValue], context: Context) -> bytes:
    """The template with its values. It is the project's own, but values may come from a ticket."""
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    try:
        target = context.target.model_dump(mode="json")
        return environment.from_string(text).render({**values, "target": target}).encode()
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f"{name}:{line}" if line else name
        raise StepFailed(f"{where}: {error}", "correct the template or its vars") from None
