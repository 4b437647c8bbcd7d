"""Every ``{target.…}`` is filled in while planning: what can't be is refused, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from remediate.errors import InputError, RemediateError
from remediate.model.step import Check
from tests.planning.world import FIRST, WEB1, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(check: str) -> str:
    return f'yield RunCommand(argv=["true"], irreversible="x", verify=[{check}])'


CASES = {
    run('Http("http://{target.adress}/")'): (
        "step 1 (run true): Http.url: {target.adress} means nothing (web1, web2)",
        "did you mean {target.address}?",
    ),
    run('Http("http://{target.vars.pool}/")'): (
        "step 1 (run true): Http.url: no variable for {target.vars.pool} on web2",
        "set it in the inventory, or leave these targets out (on=…, --limit)",
    ),
    run('Http("http://a/", contains="{target}")'): (
        "step 1 (run true): Http.contains: {target} means nothing (web1, web2)", ""
    ),
    run('Http("http://a/", headers={"X": "{target.vars.x}"})'): ("Http.headers: no variable", "inventory"),
    run('Http("http://a/", json_has={"a": "{target.vars.x}"})'): ("Http.json_has: no variable", ""),
    run('Tcp("{target.host}", 80)'): ("Tcp.host: {target.host} means nothing", ""),
    run('CertificateIs("a", server_name="{target.vars.fqdn}")'): ("CertificateIs.server_name: no var", ""),
    run('CertificateIs("a", issuer="{target.Name}")'): ("CertificateIs.issuer: {target.Name}", ""),
    run('Command(["echo", "{target.vars.x}"])'): ("Command.argv: no variable", ""),
    run('Command(["true"], equals="{target.vars.x}")'): ("Command.equals: no variable", ""),
    run('Command(["true"], contains="{target.vars.x}")'): ("Command.contains: no variable", ""),
    run('Command(["true"], matches="{target.vars.x}")'): ("Command.matches: no variable", ""),
    run('FileIs("/etc/x", contains="{target.nam}")'): ("FileIs.contains: {target.nam}", "{target.name}"),
    run('FileIs("/etc/{target.name}")'): ("FileIs: {target.name} is not filled in here", "write out"),
    'yield RunCommand(argv=["echo", "{target.vars.x}"], irreversible="x")': (
        "step 1 (run echo {target.vars.x}): RunCommand.argv: no variable for {target.vars.x}", ""
    ),
    'yield RunCommand(argv=["true"], unless=["test", "{target.x}"], irreversible="x")': (
        "RunCommand.unless: {target.x} means nothing", ""
    ),
    'yield RunCommand(argv=["true"], undo_with=["echo", "{target.vars.x}"])': (
        "RunCommand.undo_with: no variable", ""
    ),
    'yield PoolMember(state="drain")': (
        "PoolMember.balancer: no variable for {target.vars.lb_host} on web1, web2", ""
    ),
    'yield Verify([Tcp("{target.vars.pool}", 80)])': ("step 1 (verify): Tcp.host: no variable", ""),
    'yield Verify([Tcp("{target.vars.pool}", 80)], on="web2")': ("on web2", ""),
}  # fmt: skip


@pytest.mark.parametrize("step", CASES)
def test_what_means_nothing_is_refused_with_its_place(step: str, world: World) -> None:
    problem, advice = CASES[step]
    with pytest.raises(InputError) as refused:
        world.plan("inputs = None", step)
    assert refused.value.problem.startswith(f"runbooks/oops.py:{FIRST + 1}: step 1 (")
    assert problem in refused.value.problem
    assert advice in refused.value.advice


def test_what_every_target_has_is_planned(world: World) -> None:
    texts = "{target.name} {target.address} {target.port} {target.user} {target.vars.connected}"
    world.plan(run(f'Command(["echo", "{texts}", "{{other}}", "${{target}}", "{{print $1}}"])'))


def test_only_the_targets_of_the_step_count(world: World) -> None:
    world.plan('yield Verify([Tcp("{target.vars.pool}", 80)], on="web1")')


def test_a_target_without_a_user_has_none_to_fill_in(world: World) -> None:
    world.targets = (WEB1.model_copy(update={"user": None}),)
    with pytest.raises(InputError, match=r"no value for \{target.user\} on web1"):
        world.plan(run('Command(["id", "{target.user}"])'))


def test_many_targets_are_counted(world: World) -> None:
    world.targets = tuple(WEB1.model_copy(update={"name": f"web{n}"}) for n in range(9))
    with pytest.raises(InputError, match=r"on web0, web1, web2, web3, web4 and 4 more"):
        world.plan(run('Command(["echo", "{target.vars.x}"])'))


def test_acceptance_is_proved_too(world: World) -> None:
    with pytest.raises(InputError) as refused:
        world.plan(run(""), extra='acceptance = (Tcp("{target.vars.pool}", 80),)')
    assert refused.value.problem == (
        "runbooks/oops.py: acceptance: Tcp.host: no variable for {target.vars.pool} on web2"
    )


def test_elsewhere_braces_are_braces(world: World) -> None:
    world.targets = tuple(
        t.model_copy(update={"vars": {"ansible_connection": "local"}}) for t in world.targets
    )
    world.plan('yield File(path="/tmp/x", content="{target.adress}")')


def test_a_check_of_anybody_needs_a_title(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from remediate.authoring import Tcp

    def title(_check: Check, target: object) -> str:
        raise LookupError("no such thing")

    monkeypatch.setattr(Tcp, "title", title)
    with pytest.raises(InputError, match=r"Tcp: no title for web1: no such thing"):
        world.plan(run('Tcp("a", 80)'))


def test_the_line_is_that_of_the_yield_that_waits(world: World) -> None:
    bad = 'Tcp("{target.x}", 80)'
    with pytest.raises(RemediateError, match=rf"runbooks/oops\.py:{FIRST + 1}: step 2 "):
        world.plan('yield Verify([Tcp("a", 80)])', "yield Verify(", f"    [{bad}]", ")")
    with pytest.raises(RemediateError, match=r"runbooks/oops\.py: step 1 "):
        world.plan(f"return [Verify([{bad}])]")
    with pytest.raises(RemediateError, match=rf"runbooks/oops\.py:{FIRST + 1}: step 1 "):
        world.plan("def more():", f"    yield Verify([{bad}])", "yield from more()")
