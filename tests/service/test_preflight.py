"""What has to hold before a run starts, reason by reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remediate.errors import InputError, Refused, Waiting
from remediate.inventory import Inventory
from remediate.model.change import Window
from remediate.model.plan import Artefact
from remediate.service import approving, preflight
from remediate.service.project import Project
from tests.service.simulated import RUNBOOK, Simulated
from tests.service.test_freezes import freeze

HOUR = timedelta(hours=1)


def window(begins: timedelta, ends: timedelta) -> Callable[[Simulated], dict[str, Any]]:
    """From now."""

    def change(simulated: Simulated) -> dict[str, Any]:
        now = approving.now(simulated.project).replace(microsecond=0)
        return {"window": Window(start=now + begins, end=now + ends)}

    return change


def artefact(simulated: Simulated) -> dict[str, Any]:
    """One that isn't there any more."""
    return {"artefacts": (Artefact(path="playbooks/fix.yml", sha256="0" * 64, size=1),)}


PLANS: dict[str, tuple[Callable[[Simulated], dict[str, Any]], str]] = {
    "before the window": (window(HOUR, 3 * HOUR), "the window opens at"),
    "after the window": (window(-3 * HOUR, -HOUR), "the window closed at"),
    "too late in the window": (window(-HOUR, timedelta(seconds=30)), "the first wave needs"),
    "another version": (lambda _: {"tool_version": "9.9"}, r"made by remediate 9\.9"),
    "an artefact": (artefact, "playbooks/fix.yml: No such file"),
    "an expired plan": (lambda s: {"expires": s.plan.created + timedelta(seconds=1)}, "the plan expired"),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANS)
def test_a_plan_that_may_not_run(simulated: Simulated, what: str) -> None:
    change, says = PLANS[what]
    simulated.has(**change(simulated))
    simulated.approve()
    simulated.world.ahead = 2.0
    with pytest.raises(Refused, match=says):
        preflight.check(simulated.project, simulated.plan, simulated.file)


def frozen(simulated: Simulated) -> None:
    """Since an hour ago."""
    now = approving.now(simulated.project)
    (simulated.world.root / "f.ics").write_text(freeze(now - HOUR, now + HOUR))
    simulated.world.settings('\n[calendar]\nfreezes = ["f.ics"]\n')


def frozen_in_the_window(simulated: Simulated) -> None:
    """The plan was signed before."""
    simulated.has(**window(-HOUR, HOUR)(simulated))
    simulated.approve()
    frozen(simulated)


def without_a_host(simulated: Simulated) -> None:
    """Somebody took it out of the inventory."""
    simulated.inventory_digest = "1" * 64
    simulated.host_gone = True


def edited(simulated: Simulated) -> None:
    """The plan's file, after it was signed."""
    simulated.has(author="carol")


CHANGES: dict[str, tuple[Callable[[Simulated], object], str]] = {
    "a freeze": (frozen, "change freeze: sale"),
    "a freeze in the window": (frozen_in_the_window, "change freeze in the window: sale"),
    "the runbook": (
        lambda s: (s.world.root / RUNBOOK).write_text("# edited\n"),
        "runbook source runbooks/write.py changed",
    ),
    "the inventory": (lambda s: setattr(s, "inventory_digest", "1" * 64), "changed since the plan was made"),
    "a host": (without_a_host, "host t1 is gone"),
    "a denial": (
        lambda s: approving.deny(s.project, s.file, s.world.root / "keys/dan", "not now"),
        "dan denied it",
    ),
    "an edit": (edited, "the plan was changed after it was signed"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_after_the_approval(simulated: Simulated, what: str) -> None:
    simulated.approve()
    preflight.check(simulated.project, simulated.plan, simulated.file)
    change, says = CHANGES[what]
    change(simulated)
    with pytest.raises(Refused, match=says):
        preflight.check(simulated.project, simulated.plan, simulated.file)


def test_a_full_disk(simulated: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    simulated.approve()
    monkeypatch.setattr(preflight, "DISK", 2**60)
    with pytest.raises(Refused, match="MB are needed"):
        preflight.check(simulated.project, simulated.plan, simulated.file)


def test_an_approval_that_is_missing_is_waited_for(simulated: Simulated) -> None:
    with pytest.raises(Waiting, match="carol or dan"):
        preflight.check(simulated.project, simulated.plan, simulated.file)


def test_an_unapproved_plan_names_no_program(
    simulated: Simulated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inventory may be a program. One that only the plan names is run for an approved plan alone."""

    def read(_: Project, path: Path) -> Inventory:
        raise InputError(f"{path} was executed")

    simulated.has(inventory=str(tmp_path / "evil"))
    monkeypatch.setattr(Project, "inventory", read)
    with pytest.raises(Waiting):
        preflight.check(simulated.project, simulated.plan, simulated.file)
    simulated.approve()
    with pytest.raises(Refused, match="evil was executed"):
        preflight.check(simulated.project, simulated.plan, simulated.file)
