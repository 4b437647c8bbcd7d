"""Guards of the shipped code taken away: the seeds that are kept have to notice."""

from __future__ import annotations

from collections.abc import Callable

from pytest import MonkeyPatch  # noqa: PT013 - the type

from remediate.engine import undo
from remediate.engine.runner import Runner
from remediate.journal.tenure import Tenure


def _left_out(patch: MonkeyPatch) -> None:
    patch.setattr(undo, "_left_out", lambda _: None)


def _order(patch: MonkeyPatch) -> None:
    patch.setattr(Runner, "_forward", lambda self, _: not self._state.stopping)


def _fence(patch: MonkeyPatch) -> None:
    patch.setattr(Tenure, "renew", lambda *_: None)


#: What is taken away.
SABOTAGES: dict[str, Callable[[MonkeyPatch], None]] = {
    "whom a step touched meanwhile belongs to the rollback": _left_out,
    "no step is begun after the decision to turn back": _order,
    "who slept asks whether the run is still its own": _fence,
}
