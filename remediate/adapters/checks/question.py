"""What all checks share: a title out of subject and expectation, and answers instead of exceptions."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from remediate.model.clip import clip
from remediate.model.step import Check, CheckResult, Context
from remediate.model.target import Target

_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, in words, and whether it is what was expected."""

    ok: bool
    actual: str


class Question(Check):
    """A check that says what it looks at, what it expects, and what it finds."""

    @abstractmethod
    def subject(self, target: Target) -> str:
        """What is looked at: ``GET http://10.0.0.1/healthz``."""

    @abstractmethod
    def expected(self, target: Target) -> str:
        """What should be found: ``status 200``."""

    @abstractmethod
    def look(self, context: Context) -> Finding:
        """Look once. May raise; that is then the answer."""

    def title(self, target: Target) -> str:
        """Subject and expectation."""
        return f"{self.subject(target)}: {self.expected(target)}"

    def run(self, context: Context) -> CheckResult:
        """Ask once; what goes wrong on the way is a failed check."""
        title, expected = self.kind, ""
        try:
            expected = self.expected(context.target)
            title = self.title(context.target)
            finding = self.look(context)
        except Exception as error:
            text = (str(error) or type(error).__name__).strip("'\"")
            finding = Finding(False, f"no answer: {clip(text, _SHOWN)}")
        return CheckResult(title=title, ok=finding.ok, expected=expected, actual=finding.actual)
