"""Lines of configuration, as an author writes them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import model_validator

from remediate.adapters.network.config import SECRET, Edit, edits, parse
from remediate.adapters.network.device import Device
from remediate.adapters.network.platforms import FRR
from remediate.adapters.network.step import ConfigStep, cuts
from remediate.errors import StepFailed
from remediate.model.inputs import ProjectPath
from remediate.model.step import Context


class ConfigLines(ConfigStep):
    """These lines in the running configuration.

    ``lines`` are given here or in a ``file`` of the project, as the device itself would show them: whole
    words, and indented below what they belong to. ``parents`` are lines that all of them stand below. A line
    that begins with the platform's negation (``no …``, ``delete …``) takes another one away.
    """

    kind: ClassVar[str] = "config-lines"
    filled: ClassVar[tuple[str, ...]] = ("lines", "parents")

    lines: tuple[str, ...] = ()
    file: ProjectPath | None = None
    parents: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> ConfigLines:
        if bool(self.lines) == bool(self.file):
            raise ValueError("give lines or file")
        for line in (*self.lines, *self.parents):
            if not line.strip() or not line.isprintable():
                raise ValueError(f"not one line of text: {line!r}")
            if SECRET.search(line):
                raise ValueError("a line holds a secret, which many could read in the plan: give a file")
        return self

    def title(self) -> str:
        """One line."""
        if self.file:
            what = f"the lines of {self.file}"
        else:
            what = "; ".join(line.strip() for line in self.lines[:3])
            what += f" and {len(self.lines) - 3} more lines" if len(self.lines) > 3 else ""
        where = f" below {' / '.join(self.parents)}" if self.parents else ""
        guard = f", taken back after {self.seconds} s unless confirmed" if self.guarded else ""
        return f"configure {what}{where}{guard}"

    def artefacts(self, project: Path) -> tuple[Path, ...]:  # noqa: ARG002
        """The file."""
        return (Path(self.file),) if self.file else ()

    def may_cut(self) -> bool:
        """Whether one of the lines may change the way that packets take; nobody knows of a file."""
        if self.cuts_path is not None:
            return self.cuts_path
        return self.file is not None or cuts([*edits(parse("\n".join(self.lines), FRR))])

    def wanted(self, context: Context, device: Device) -> list[Edit]:
        """The lines with the target's values filled in."""
        target = context.target
        text = self._text(context)
        parents = tuple(target.render(parent) for parent in self.parents)
        found = list(edits(parse(target.render(text), device.platform), parents))
        if not found:
            raise StepFailed(f"{target.name}: {self.file} holds no line of configuration")
        return found

    def _text(self, context: Context) -> str:
        if self.file is None:
            return "\n".join(self.lines)
        try:
            return (context.artefacts / self.file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StepFailed(f"can't read {self.file}: {error}", "is it in the project, as text?") from None
