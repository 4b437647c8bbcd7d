"""What brings a unit from one state to another."""

from __future__ import annotations

import pytest

from remediate.adapters.hosts.service import Service, UnitState
from remediate.adapters.hosts.units import enabling, settle_unit
from remediate.errors import StepFailed


def unit(active: str, enabled: str = "enabled", load: str = "loaded") -> dict[str, str]:
    return {"load": load, "enabled": enabled, "active": active}


@pytest.mark.parametrize(
    ("before", "now", "restart", "verbs"),
    [
        (unit("active"), unit("active"), False, []),
        (unit("active"), unit("active"), True, ["restart"]),
        (unit("active"), unit("inactive"), False, ["start"]),
        (unit("active"), unit("failed"), False, ["start"]),
        (unit("active"), unit("failed"), True, ["restart"]),
        (unit("active"), unit("activating"), False, ["start"]),
        (unit("activating"), unit("activating"), False, []),
        (unit("activating"), unit("active"), False, []),
        (unit("inactive"), unit("active"), True, ["stop"]),
        (unit("inactive"), unit("failed"), False, ["reset-failed"]),
        (unit("failed"), unit("failed"), False, []),
        (unit("active"), unit("active", "disabled"), False, ["enable"]),
        (unit("inactive", "disabled"), unit("active"), False, ["disable", "stop"]),
        (unit("active"), unit("inactive", "masked"), False, ["unmask", "enable", "start"]),
        (unit("inactive", "masked"), unit("inactive", "disabled"), False, ["mask"]),
        (unit("active", "static"), unit("inactive", "masked"), False, ["unmask", "start"]),
        (unit("inactive", "", "not-found"), unit("active"), False, ["stop"]),
        (unit("inactive", "", "not-found"), unit("inactive", "", "not-found"), True, []),
    ],
)
def test_settle_unit(before: object, now: object, restart: bool, verbs: list[str]) -> None:
    commands = settle_unit("app", before, now, restart=restart)
    assert commands == [["systemctl", verb, "app"] for verb in verbs]


@pytest.mark.parametrize(
    ("before", "now", "verbs"),
    [
        (unit("active"), unit("active"), ["reload-or-restart"]),
        (unit("active"), unit("failed"), ["start"]),
        (unit("active"), unit("inactive", "disabled"), ["enable", "start"]),
        (unit("inactive"), unit("active"), ["stop"]),
    ],
)
def test_a_reload_is_for_what_runs(before: object, now: object, verbs: list[str]) -> None:
    commands = settle_unit("app", before, now, restart=False, reload=True)
    assert commands == [["systemctl", verb, "app"] for verb in verbs]


def test_a_state_that_no_command_sets_is_an_error() -> None:
    with pytest.raises(StepFailed, match="no command sets that"):
        enabling("app", "generated", "disabled")


@pytest.mark.parametrize(
    ("step", "now", "verbs"),
    [
        (Service(name="app", state=UnitState.STARTED), unit("active"), []),
        (Service(name="app", state=UnitState.STARTED), unit("inactive"), ["start"]),
        (Service(name="app", state=UnitState.STOPPED), unit("active"), ["stop"]),
        (Service(name="app", state=UnitState.RESTARTED), unit("active"), ["restart"]),
        (Service(name="app", state=UnitState.RESTARTED), unit("failed"), ["restart"]),
        (Service(name="app", state=UnitState.RELOADED), unit("active"), ["reload"]),
        (Service(name="app", state=UnitState.RELOADED), unit("inactive"), ["start"]),
        (Service(name="app", enabled=False), unit("active"), ["disable"]),
        (Service(name="app", enabled=True), unit("inactive", "disabled"), ["enable"]),
        (Service(name="app", enabled=True), unit("inactive", "static"), []),
        (Service(name="app", state=UnitState.STOPPED, enabled=False), unit("active"), ["disable", "stop"]),
    ],
)
def test_commands_of_a_service(step: Service, now: dict[str, str], verbs: list[str]) -> None:
    assert [argv[1] for argv in step._commands(now)] == verbs
