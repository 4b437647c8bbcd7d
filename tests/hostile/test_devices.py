"""What a device may print to mislead or to hold up whoever listens to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remediate.adapters.hosts.errors import Unreachable
from remediate.adapters.network import config, session, state
from remediate.adapters.network.access import DeviceAccess
from remediate.adapters.network.device import Device
from remediate.adapters.network.login import Lost
from remediate.adapters.network.platforms import FRR, IOS, JUNOS, Platform
from remediate.adapters.network.text import clean
from remediate.errors import InDoubt, StepFailed
from remediate.model.step import Clients, Secrets
from tests.hostile import clear_refusal, hostile
from tests.hostile.mutations import json_values, nested, spoiled, text_of

COMMAND = "show running-config"
PIECES = (
    *(
        "router1#",
        "\nrouter1#",
        "router1(config)#",
        "\nrouter1# ",
        COMMAND,
        f"{COMMAND}\r\n",
        "\r\n",
        "\r",
        "\x08",
    ),
    *("--More--", "\n --More-- ", "\x1b[2J", "\x1b[", "\x1b]0;t\x07", "\x1b]0;", "\x00", "\ufffd", "\u202e"),
    *("hostname x\n", "% Invalid input", "\nend\n", "a" * 5000, " " * 5000, "\x08" * 3000, "\n" * 3000),
)
outputs = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=10)), max_size=12)


class Line:
    """A login on a device that prints these pieces, and then nothing more."""

    base_prompt = "router1"

    def __init__(self, pieces: list[str]) -> None:
        self.pieces = iter(pieces)
        self.written: list[str] = []
        self.deadline = 0.0
        self.received = 0
        self.remote_conn = SimpleNamespace(closed=False)
        self.remote_conn_pre = SimpleNamespace(close=lambda: None)

    def read_channel(self) -> str:
        return ""

    def write_channel(self, text: str) -> None:
        self.written.append(text)

    def await_channel(self, seconds: float) -> str:
        piece = next(self.pieces, None)
        if piece is None:
            raise Lost("no answer in time")
        return piece


def ask(pieces: list[str], *, effect: bool = False) -> str:
    line = Line(pieces)
    access = cast(DeviceAccess, SimpleNamespace(platform=IOS, way=SimpleNamespace(name="router1")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "login", lambda *_: line)
        clients = cast(Clients, SimpleNamespace(fence=lambda: None))
        found = session.DeviceSession(access, cast(Secrets, None), clients)
        try:
            return found.ask(COMMAND, 1.0, effect=effect)
        finally:
            # Whatever the device prints: nothing is sent but the command, and a blank for a pager.
            assert {*line.written} <= {COMMAND + "\n", " "}


def test_a_good_answer_is_read() -> None:
    assert ask([f"{COMMAND}\r\nhostname x\r\n", "router1#", ""]) == "hostname x"


@hostile("device output: prompts, pagers and escapes in any order", 300, "an answer, or in doubt; bounded")
@given(outputs, st.booleans())
@example([COMMAND, "\n" + "a" * 200_000 + "\x08" * 200_000 + "\nrouter1#", ""], False)
@example([COMMAND + "\n", "\x1b]" * 500_000, "\nrouter1#", ""], False)
@example([COMMAND + "\n", "\x1b[" + "0" * 1_000_000, "\nrouter1#", ""], False)
@example([COMMAND + "\n", "\r" * 300_000, "\nrouter1#", ""], False)
@example([COMMAND + "\n", "\nrouter1" + "(" * 100_000, "\nrouter1#", ""], False)
@example([COMMAND + "\n", " " * 300_000 + "\n", "\nrouter1#", ""], True)
def test_answers(pieces: list[str], effect: bool) -> None:
    with clear_refusal(InDoubt if effect else Unreachable):
        answer = ask(pieces, effect=effect)
        assert "\x1b" not in answer
        assert "\x08" not in answer


@hostile("text of terminals", 200, "plain text, in time that grows with its length only")
@given(st.lists(st.sampled_from([*PIECES, "x", "ab"]), max_size=30).map("".join))
@example("a" * 1_000_000 + "\x08" * 1_000_000)
@example("ab\x08\x08" * 200_000)
@example("\x1b]x" * 300_000)
@example("\x1b[0" * 300_000)
@example("x\r" * 300_000)
def test_clean(text: str) -> None:
    with clear_refusal():
        found = clean(text)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in found)


CONFIG = """hostname x
interface eth1
 ip address 10.0.0.1/24
 no shutdown
router ospf
 network 10.0.0.0/8
end
"""


@hostile("device configurations: changed bytes, any depth", 200, "read and compared, or refused; bounded")
@given(st.one_of(spoiled(CONFIG.encode()).map(lambda b: b.decode(errors="replace")), st.text(max_size=200)),
       st.sampled_from([FRR, IOS, JUNOS]))  # fmt: skip
@example("\n".join(" " * n + f"a{n}" for n in range(2000)), FRR)
@example("\n".join(f"line {n}" for n in range(50_000)), FRR)
@example("password " * 50_000, IOS)
@example("secret" + " " * 300_000, IOS)
@example("key 1 " * 50_000, IOS)
def test_configurations(text: str, platform: Platform) -> None:
    with clear_refusal(StepFailed):
        tree = config.parse(config.stable(text, platform), platform)
        good = config.parse(CONFIG, platform)
        config.sections(tree, platform)
        wanted = list(config.path_to(tree, good, platform))
        config.missing(good, wanted, platform)
        config.merged(good, config.edits(tree), platform)
        config.difference(good, tree, platform)


OSPF = {
    "neighbors": {
        "10.0.0.2": [{"ifaceName": "eth1:10.0.0.1", "ifaceAddress": "10.0.0.2", "converged": "Full"}]
    }
}
BGP = {"ipv4Unicast": {"peers": {"10.0.0.2": {"state": "Established", "pfxRcd": 3}}}}
ROUTE = {
    "10.1.0.0/16": [
        {"prefix": "10.1.0.0/16", "selected": True, "nexthops": [{"ip": "10.0.0.2", "active": True}]},
    ]
}
INTERFACE = {
    "eth1": {"operationalStatus": "up", "administrativeStatus": "up", "ipAddresses": [{"address": "1/8"}]}
}
READERS: dict[str, tuple[Any, Callable[[Device], Any]]] = {
    "ospf": (OSPF, lambda device: state.neighbors(device, "ospf")),
    "bgp": (BGP, lambda device: state.neighbors(device, "bgp")),
    "route": (ROUTE, lambda device: state.routes(device, "10.1.0.0/16")),
    "interface": (INTERFACE, state.interfaces),
    "data": (OSPF, lambda device: state.as_data(device, "show x")),
}


def device(text: str, platform: Platform = FRR) -> Device:
    """One that says this."""
    return cast(Device, SimpleNamespace(name="router1", platform=platform, read=lambda *_: text))


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """What is read, and a good answer."""
    return READERS[request.param]


def test_good_answers_are_read(reader: tuple[Any, Any]) -> None:
    good, read = reader
    assert read(device(json.dumps(good)))


@hostile(
    "device state as JSON: changed values, text instead of JSON", 100, "refused, device and command named"
)
@given(st.data())
def test_state(reader: tuple[Any, Any], data: st.DataObject) -> None:
    good, read = reader
    texts = st.one_of(json_values(good).map(text_of), spoiled(text_of(good)))
    shown(read, data.draw(texts).decode(errors="replace"))


@pytest.mark.parametrize("text", ["null", "[]", "5", '"x"', "<html>", "% Unknown command"])
def test_another_kind_of_answer(reader: tuple[Any, Any], text: str) -> None:
    shown(reader[1], text)


@pytest.mark.parametrize("depth", [300, 600, 900, 100_000])
def test_deep_answers(reader: tuple[Any, Any], depth: int) -> None:
    with pytest.raises(StepFailed, match="router1"):
        reader[1](device(nested(b'{"a":[', b"]}", b"1", depth).decode()))


def shown(read: Any, text: str) -> None:
    with clear_refusal(StepFailed):
        try:
            read(device(text))
        except StepFailed as error:
            assert error.problem.startswith("router1: ")  # noqa: PT017
            raise
