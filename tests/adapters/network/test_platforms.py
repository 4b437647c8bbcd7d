"""Other platforms, against simulated devices: the same steps, by each platform's own commands and timers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from remediate.adapters.clients import ClientPool
from remediate.adapters.network.backup import DeviceConfig
from remediate.adapters.network.change import ConfigLines
from remediate.adapters.network.platforms import PLATFORMS, filled, platform_of
from remediate.errors import InputError, StepFailed
from remediate.model.step import StepClass, Verdict
from remediate.model.target import Target
from tests.adapters.hosts.sshd import new_key
from tests.adapters.hosts.world import World
from tests.adapters.network.simulated import CommandLine, Eos, Ios, Junos, Nxos
from tests.adapters.network.simulator import Simulator
from tests.adapters.network.world import until
from tests.docs.blocks import DOCS, code, rows

CISCO = ("hostname dev1", "interface eth1", " ip ospf cost 10", "interface eth2", " ip ospf cost 10")
JUNIPER = ("set system host-name dev1", "set interfaces ge-0/0/0 description old")
COST = ConfigLines(lines=("ip ospf cost 44",), parents=("interface eth2",))
SET = ConfigLines(lines=("set interfaces ge-0/0/1 disable", "delete interfaces ge-0/0/0 description"))
KINDS: dict[str, tuple[CommandLine, ConfigLines, str]] = {
    "ios": (Ios(*CISCO), COST, "configure terminal revert timer 1"),
    "iosxe": (Ios(*CISCO), COST, "configure terminal revert timer 1"),
    "eos": (Eos(*CISCO), COST, "commit timer 00:01:00"),
    "junos": (Junos(*JUNIPER), SET, "commit confirmed 1 comment"),
}
Scene = tuple[World, CommandLine, ConfigLines, str]


@contextmanager
def scene(made: CommandLine, platform: str, folder: Path) -> Iterator[tuple[World, Simulator]]:
    """A simulated device as the target, and what answers for it."""
    host, user = new_key(folder / "host"), new_key(folder / "user")
    with Simulator(made, host, user) as simulator, ClientPool() as pool:
        (folder / "known_hosts").write_text(simulator.known_hosts_line())
        variables = {
            "ansible_network_os": platform,
            "ansible_connection": "ansible.netcommon.network_cli",
            "ansible_ssh_private_key_file": str(folder / "user"),
            "remediate_known_hosts": str(folder / "known_hosts"),
        }
        target = Target(name="dev1", address="127.0.0.1", port=simulator.port, user="ops", vars=variables)
        yield World(target, pool, folder), simulator


@pytest.fixture(params=KINDS)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A simulated device with its change, and the command that arms its timer."""
    made, step, arms = KINDS[request.param]
    made.__init__(*(JUNIPER if isinstance(made, Junos) else CISCO))  # type: ignore[misc] # as it was built
    with scene(made, request.param, tmp_path) as (world, _):
        yield world, made, step, arms


def test_a_change_is_confirmed_by_a_new_session_and_taken_back(device: Scene) -> None:
    world, made, step, arms = device
    made.minute = 60.0
    config = sorted(made.config)
    context = world.context()
    context = replace(context, before=step.observe(context))
    assert "the device's own timer" in step.preview(context)
    context = replace(context, data=step.apply(context).data)
    assert step.step_class is StepClass.SELF_REVERTING
    assert any(line.startswith(arms) for line in made.lines), made.lines
    assert not step.quiesce(replace(context, data={}))
    assert [r for r in step.confirm(context) if not r.ok] == []
    assert step.quiesce(replace(context, data={}))
    assert step.probe(context).verdict is Verdict.APPLIED
    step.undo(context)
    assert sorted(made.config) == config
    assert step.observe(context) == context.before


def test_without_a_word_the_device_takes_it_back(device: Scene) -> None:
    world, made, step, _ = device
    made.minute = 1.0
    context = world.context()
    context = replace(context, before=step.observe(context))
    step.apply(context)
    until(lambda: step.quiesce(context), 5)
    assert step.probe(context).verdict is Verdict.NOT_APPLIED
    assert step.observe(context) == context.before


def test_a_rejected_line_leaves_nothing(device: Scene) -> None:
    world, made, step, _ = device
    config = sorted(made.config)
    bad = ConfigLines(
        lines=(*step.lines, "set bogus" if isinstance(made, Junos) else "bogus"), parents=step.parents
    )
    with pytest.raises(StepFailed, match="was not accepted"):
        bad.apply(world.context())
    assert sorted(made.config) == config
    assert DeviceConfig().apply(world.context("b01")).data["bytes"]


def test_a_platform_without_a_timer_wants_a_word_about_it(tmp_path: Path) -> None:
    made = Nxos(*CISCO)
    with scene(made, "cisco.nxos.nxos", tmp_path) as (world, _):
        with pytest.raises(InputError, match="takes the change back by itself is unknown on nxos") as info:
            COST.observe(world.context())
        assert 'revert="none"' in info.value.advice
        config = list(made.config)
        step = COST.model_copy(update={"revert": "none"})
        context = world.context()
        context = replace(context, before=step.observe(context))
        context = replace(context, data=step.apply(context).data)
        assert made.startup == config
        assert [r for r in step.confirm(context) if not r.ok] == []
        assert " ip ospf cost 44" in made.startup
        assert step.probe(context).verdict is Verdict.APPLIED
        step.undo(context)
        assert sorted(made.config) == sorted(made.startup) == sorted(config)
        bad = ConfigLines(lines=(*step.lines, "bogus"), parents=step.parents, revert="none")
        with pytest.raises(StepFailed, match="the lines before it were taken back"):
            bad.apply(world.context("s02"))
        assert sorted(made.config) == sorted(config)


def test_an_unknown_platform_is_refused() -> None:
    with pytest.raises(InputError, match="'vxworks' is not known"):
        platform_of(Target(name="x", address="x", vars={"network_platform": "vxworks"}))
    with pytest.raises(InputError, match="no platform is set"):
        platform_of(Target(name="x", address="x"))


def test_the_documented_capabilities_are_those_of_the_table() -> None:
    told = {r[0].strip("`"): r[1:] for r in rows((DOCS / "network.md").read_text()) if len(r) == 6}
    assert told.keys() == PLATFORMS.keys()
    for name, (reads, effect, compares, confirms, saves) in told.items():
        platform = PLATFORMS[name]
        assert code(reads) == [platform.show]
        assert effect == ("at commit" if platform.candidate else "line by line")
        assert code(compares) == ([platform.compare] if platform.compare else [])
        keep = filled(platform.revert.keep, "NAME") if platform.revert else ()
        assert code(confirms) == (["systemctl stop"] if name == "frr" else list(keep))
        assert code(saves) == list(platform.save)


@pytest.mark.parametrize(
    ("platform", "answer", "said"),
    [
        ("frr", "% Unknown command: x", "% Unknown command: x"),
        ("ios", "          ^\n% Invalid input detected at '^' marker.", "^"),
        ("ios", "%SYS-5-CONFIG_I: Configured from console", ""),
        ("ios", "% Warning: portfast is dangerous", ""),
        ("nxos", "ERROR: VLAN 99 does not exist", "ERROR: VLAN 99 does not exist"),
        ("eos", "% Invalid input", "% Invalid input"),
        ("junos", "syntax error, expecting <statement>", "syntax error, expecting <statement>"),
        ("junos", "error: configuration check-out failed", "error: configuration check-out failed"),
        ("junos", "warning: uncommitted changes will be discarded on exit", ""),
        ("frr", "", ""),
    ],
)
def test_what_counts_as_a_refusal(platform: str, answer: str, said: str) -> None:
    assert PLATFORMS[platform].rejected(answer) == said


def test_times_are_filled_in() -> None:
    assert filled(("a {minutes} {clock} {name}",), "n", 3661) == ("a 62 01:01:01 n",)
    assert json.dumps(filled(("a {other}",))) == '["a {other}"]'
