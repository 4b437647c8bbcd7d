"""What was approved is what runs: whatever changed since, the run is refused, says what, touches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediate.lab.hosts import Hosts
from tests.e2e.conftest import new_world, touching_nothing
from tests.e2e.world import FULL, LAYOUT, PEOPLE, World, until

pytestmark = pytest.mark.lab

Change = Callable[[World], object]


@pytest.fixture(scope="module")
def approved(e2e_lab: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A plan of `patch-package` that may run; never run itself, but copied by each test."""
    with new_world(e2e_lab, tmp_path_factory.mktemp("approved")) as world:
        world.approved("patch-package", "package=shop", "version=1.1-1")
        yield world


@pytest.fixture
def copied(approved: World, tmp_path: Path) -> Iterator[World]:
    """The same project at another place, for one test to change."""
    with approved.copy(tmp_path / "project") as world:
        yield world


def _host(name: str, **variables: object) -> Change:
    def change(world: World) -> None:
        def edit(text: str) -> str:
            data = json.loads(text)
            data["all"]["children"]["web"]["hosts"][name].update(variables)
            return json.dumps(data)

        world.edit("inventory/hosts.yml", edit)

    return change


def _groups(edit: Callable[[dict[str, dict[str, dict[str, object]]]], object]) -> Change:
    def change(world: World) -> None:
        def text(before: str) -> str:
            data = json.loads(before)
            edit(data["all"]["children"])
            return json.dumps(data)

        world.edit("inventory/hosts.yml", text)

    return change


def _group_variable(world: World) -> None:
    world.edit("inventory/group_vars/web.yml", lambda text: text.replace('"pool": "web"', '"pool": "other"'))


def _envelope(world: World) -> Path:
    return next(world.root.glob("fix.plan.json.approve-*"))


def _approval(pattern: str, replacement: str) -> Change:
    def change(world: World) -> None:
        world.edit(_envelope(world).name, lambda text: re.sub(pattern, replacement, text, count=1))

    return change


def _signature(world: World) -> None:
    """One character in the middle of the signature."""

    def edit(text: str) -> str:
        middle = text.index("SIGNATURE-----") + 200
        return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]

    world.edit(_envelope(world).name, edit)


def _deny(*more: str) -> Change:
    def change(world: World) -> None:
        key = world.key("carol")
        world.cli("deny", "fix.plan.json", "--key", key, "--comment", "not today", *more).expect(0)

    return change


def _deny_and_hide(world: World) -> None:
    _deny()(world)
    next(world.root.glob("fix.plan.json.deny-*")).unlink()


def _freeze(world: World) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    begin, end = (f"{start + timedelta(hours=h):%Y%m%dT%H%M%SZ}" for h in (0, 3))
    event = f"UID:1 DTSTAMP:{begin} DTSTART:{begin} DTEND:{end} SUMMARY:year-end".split()
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:e2e", "BEGIN:VEVENT", *event]
    lines += ["END:VEVENT", "END:VCALENDAR"]
    (world.root / "freeze.ics").write_text("\r\n".join(lines) + "\r\n")
    world.configure('[calendar]\nfreezes = ["freeze.ics"]')


def _no_signers(world: World) -> None:
    world.configure('[approval]\nallowed_signers = "none"')
    (world.root / "none").write_text("# nobody\n")


def _append(path: str, text: str = "# seen\n") -> Change:
    return lambda world: world.edit(path, lambda before: before + text)


CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "playbook": (_append("playbooks/patch_package.yml"), ("playbooks/patch_package.yml changed",)),
    "playbook gone": (
        lambda w: (w.root / "playbooks/patch_package.yml").unlink(),
        ("playbooks/patch_package.yml", "it was there when the plan was made"),
    ),
    "ansible.cfg": (_append("ansible.cfg"), ("ansible.cfg changed",)),
    "runbook": (_append("runbooks/patch_package.py"), ("runbook source runbooks/patch_package.py changed",)),
    "host variable": (_host("web2", color="red"), ("host web2 changed", "color")),
    "address": (_host("web2", ansible_host=f"{LAYOUT.network}.99"), ("host web2 changed", ".99")),
    "group": (_groups(lambda g: g.update(db={"hosts": {"web3": {}}})), ("host web3 changed", "db")),
    "group variable": (_group_variable, ("host web1 changed", "host web2", "host web3", "pool")),
    "host gone": (_groups(lambda g: g["web"]["hosts"].pop("web3")), ("host web3 is gone",)),
    "load balancer": (
        _groups(lambda g: g["lb"]["hosts"].update(lb1={"ansible_host": f"{LAYOUT.network}.98"})),
        ("host lb1 changed",),
    ),
    "another host": (
        _groups(lambda g: g["web"]["hosts"].update(web9={"ansible_host": f"{LAYOUT.network}.9"})),
        ("inventory inventory changed since the plan was made",),
    ),
    "inventory broken": (_append("inventory/hosts.yml", "}"), ("inventory inventory", "hosts.yml")),
    "comment of the approval": (_approval('"comment":""', '"comment":"sure"'), ("approve-carol",)),
    "end of the approval": (_approval('"expires":"20', '"expires":"21'), ("approve-carol",)),
    "signer of the approval": (_approval("carol@lab", "dan@lab"), ("approve-carol",)),
    "plan of the approval": (
        _approval('"plan":"[0-9a-f]{4}', '"plan":"0000'),
        ("changed after it was signed",),
    ),
    "signature": (_signature, ("approve-carol",)),
    "denied": (_deny(), ("carol denied it", "not today")),
    "denied, and the file removed": (_deny_and_hide, ("carol denied it", "not today")),
    "freeze": (_freeze, ("change freeze", "year-end")),
    "signers": (
        _no_signers,
        ("approve-carol",),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_change_after_approval(copied: World, what: str) -> None:
    change, words = CHANGES[what]
    with touching_nothing(copied):
        change(copied)
        done = copied.cli("run", "fix.plan.json").expect(3)
    for word in words:
        assert word in done.err, done.err
    assert copied.cli("runs").expect(0).out.count("r-") == 0
    as_json = copied.cli("run", "fix.plan.json", "--output", "json").expect(3)
    assert json.loads(as_json.err)["exit_code"] == 3


@pytest.mark.parametrize("what", ["role", "revoked"])
def test_approval_that_counts_no_more_is_waited_for(copied: World, what: str) -> None:
    with touching_nothing(copied):
        if what == "role":
            carol = 'logins = ["carol", "carol@lab.example"]\nroles = ["change-manager"]'
            copied.configure(people=PEOPLE.replace(carol, carol.replace("change-manager", "guest")))
        else:
            _deny("--revoke")(copied)
        done = copied.cli("run", "fix.plan.json").expect(6)
        assert "1 more approval needed" in done.err


def test_nothing_changed_but_the_place(copied: World) -> None:
    """The control: the copy itself may run, so that each refusal above is due to its change alone."""
    copied.edit("remediate.toml", lambda text: text + '\n[ticket]\nsystem = "nowhere"\n')
    with touching_nothing(copied):
        done = copied.cli("run", "fix.plan.json").expect(2)
        assert "ticket.system" in done.err


def _positions(size: int) -> list[int]:
    few = [0, 1, size // 5, size // 3, size // 2, size * 2 // 3, size - 3, size - 2, size - 1]
    return list(range(0, size, 61)) if FULL else few


@pytest.mark.slow
def test_any_flipped_byte_of_the_plan(copied: World) -> None:
    """A bit here, a letter there: in a name, a digest, a number, a bracket."""
    file = copied.root / "fix.plan.json"
    data = file.read_bytes()
    with touching_nothing(copied):
        for place in _positions(len(data)):
            file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            done = copied.cli("run", file)
            assert done.code in (2, 3), (place, done.said)
            assert "fix.plan.json" in done.err
        for changed in (data + b"\n", data[:-1], data + b" ", data[:-2], b""):
            file.write_bytes(changed)
            assert copied.cli("run", file).code in (2, 3)
            assert "fix.plan.json" in done.err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"version":"1.1-1"', '"version":"1.2-1"'),
        (f"{LAYOUT.network}.12", f"{LAYOUT.network}.13"),
        ("no target failed", "all is well"),
    ],
    ids=["input", "address", "text"],
)
def test_plan_edited_into_another_valid_plan(copied: World, before: str, after: str) -> None:
    with touching_nothing(copied):
        copied.edit("fix.plan.json", lambda text: text.replace(before, after))
        done = copied.cli("run", "fix.plan.json")
        done.expect(3)
        assert "changed after it was signed" in done.err or "not the bytes that were planned" in done.err


DRIFT: dict[str, tuple[Change, tuple[str, ...]]] = {
    "package": (lambda w: w.on("web2", "sudo", "apt-get", "install", "-qy", "shop=1.1-1"), ("web2", "1.1-1")),
    "configuration file": (
        lambda w: w.on("web3", "sudo", "sed", "-i", "s/^banner.*/banner = changed/", "/etc/shop/shop.conf"),
        ("web3", "/etc/shop/shop.conf"),
    ),
    "its mode": (lambda w: w.on("web3", "sudo", "chmod", "0600", "/etc/shop/shop.conf"), ("web3", "0600")),
    "service": (lambda w: w.on("web1", "sudo", "systemctl", "stop", "shop"), ("web1", "shop")),
    "pool": (
        lambda w: w.on(
            "lb1", "sudo", "python3", "-c",
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock');"
            "s.send(b'set server web/web2 state drain\\n'); s.recv(9)",
        ),
        ("web2", "drain"),
    ),
    "gone": (lambda w: w.lab.power_off("web3"), ("web3", "can't be read")),
}  # fmt: skip


@pytest.mark.parametrize("what", DRIFT)
def test_drift_of_a_host(copied: World, what: str) -> None:
    """Somebody changed a host after the plan was made: the run says which host and what."""
    change, words = DRIFT[what]
    try:
        change(copied)
        # The load balancer notices by itself that a service is gone, some time.
        before = [copied.fingerprint(name) for name in ("web1", "web2")]
        done = copied.cli("run", "fix.plan.json").expect(3)
        assert [copied.fingerprint(name) for name in ("web1", "web2")] == before
        assert copied.intents() == []
        assert copied.locks() == {}
        for word in words:
            assert word in done.err, done.err
    finally:
        copied.lab.reset(lambda _: None)


# -- times --


def _expired(world: World, instant: str) -> None:
    end = datetime.fromisoformat(instant)
    until(lambda: datetime.now(UTC) > end, 30)


def test_expired_plan(world: World) -> None:
    with touching_nothing(world):
        world.env["REMEDIATE_PLAN_EXPIRY"] = "8s"
        plan = world.approved("hold")
        _expired(world, json.loads(plan.read_text())["expires"])
        assert "the plan expired" in world.cli("run", plan).expect(3).err


def test_expired_approval(world: World) -> None:
    with touching_nothing(world):
        signers = world.key("allowed_signers")
        world.configure(f'[approval]\nexpiry = "4s"\nallowed_signers = "{signers}"')
        plan = world.approved("hold")
        _expired(world, json.loads(_envelope(world).read_text())["payload"]["expires"])
        done = world.cli("run", plan).expect(3)
        assert "expired" in done.err
        assert "approve-carol" in done.err


def test_before_the_window(world: World) -> None:
    with touching_nothing(world):
        begin = datetime.now(UTC) + timedelta(hours=1)
        plan = world.approved("hold", "--window", f"{begin:%Y-%m-%dT%H:%MZ}/4h")
        assert "the window opens at" in world.cli("run", plan).expect(3).err


def test_window_that_is_over(world: World) -> None:
    with touching_nothing(world):
        argv = ("plan", "hold", "--ticket", "T-1", "--window", "2026-01-01T10:00Z/4h", "-o", "fix.plan.json")
        assert "the window closed at 2026-01-01 14:00" in world.cli(*argv).expect(3).err
        assert not (world.root / "fix.plan.json").exists()


def test_freeze_in_the_window_is_refused_by_the_plan_already(world: World) -> None:
    with touching_nothing(world):
        _freeze(world)
        argv = ("plan", "hold", "--ticket", "T-1", "--window", "now/2h", "-o", "fix.plan.json")
        assert "year-end" in world.cli(*argv).expect(3).err
        assert not (world.root / "fix.plan.json").exists()


# -- who --


def test_author_approves_own_plan(world: World) -> None:
    with touching_nothing(world):
        plan = world.plan("hold")
        signed = world.cli("approve", plan, "--key", world.key("alice")).expect(0)
        assert "approved; next" not in signed.out
        done = world.cli("run", plan).expect(6)
        assert "alice made the plan, and so can't approve it" in done.err or "alice runs it" in done.err


def test_requester_approves_under_another_name(world: World) -> None:
    with touching_nothing(world):
        world.file_ticket("T-2", requester="Carol C. <Carol@Lab.example>")
        plan = world.plan("hold", ticket="T-2")
        world.cli("approve", plan, "--key", world.key("carol"))
        assert "carol asked for it on the ticket" in world.cli("run", plan).expect(6).err
        world.approve(plan, "dan")


def test_runner_is_the_approver_under_another_login(world: World) -> None:
    """alice makes the plan, dan approves it, and dan runs it, by sudo: the machine knows who he is."""
    with touching_nothing(world):
        world.configure(people=PEOPLE.replace('"dan@lab.example"]', '"dan@lab.example", "daemon"]'))
        plan = world.plan("hold")
        world.approve(plan, "dan")
        done = world.cli("run", plan, env={"SUDO_UID": "1"}).expect(6)
        assert "dan runs it" in done.err


def test_runner_whom_nobody_knows(world: World) -> None:
    with touching_nothing(world):
        plan = world.approved("hold")
        world.edit("remediate.toml", lambda text: text.replace('"root", ', ""))
        done = world.cli("run", plan).expect(3)
        assert "root, who runs it, is nobody in [people]" in done.err


def test_high_risk_needs_two(world: World) -> None:
    with touching_nothing(world):
        world.edit("runbooks/hold.py", lambda text: text.replace(
            'risk = Risk(outage="none", data_loss="none")\n\n    def',
            'risk = Risk(level="high", outage="none", data_loss="none")\n\n    def', 1))  # fmt: skip
        plan = world.approved("hold")
        assert "1 more approval needed" in world.cli("run", plan).expect(6).err
