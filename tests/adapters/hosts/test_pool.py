"""Pool members against a socket that speaks like HAProxy's; the lab's tests speak with the real one."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from remediate.adapters.hosts.keys import pool_key
from remediate.adapters.hosts.pool import PoolMember, PoolState
from remediate.errors import StepFailed
from remediate.model.step import Verdict
from tests.adapters.hosts.world import World, here

HEADER = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight"
BITS = {"ready": 0, "drain": 8, "maint": 1}


@dataclass
class Haproxy:
    """Servers by name: state, health, sessions."""

    path: Path
    admin: dict[str, str] = field(default_factory=lambda: {f"web{n}": "ready" for n in (1, 2, 3)})
    down: set[str] = field(default_factory=set)
    sessions: dict[str, int] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, line: str) -> str:
        with self.lock:
            self.commands.append(line)
            return "\n".join(self._one(part.strip().split(" ")) for part in line.split(";")) + "\n"

    def _one(self, words: list[str]) -> str:
        match words:
            case ["show", "servers", "state", "web"]:
                rows = [
                    f"4 web {n} {name} 10.0.0.{n} {0 if name in self.down else 2} {BITS[state]} 1"
                    for n, (name, state) in enumerate(self.admin.items(), 1)
                ]
                return "\n".join(["1", HEADER, *rows, ""])
            case ["show", "stat", "web", "4", "-1"]:
                rows = [f"web,{name},{self.sessions.get(name, 0)}," for name in self.admin]
                return "\n".join(["# pxname,svname,scur,", *rows, ""])
            case ["set", "server", place, "state", state]:
                name = place.partition("/")[2]
                if name not in self.admin:
                    return "No such server."
                self.admin[name] = state
                return ""
        return "Can't find backend."


@pytest.fixture
def haproxy(tmp_path: Path) -> Iterator[Haproxy]:
    made = Haproxy(tmp_path / "admin.sock")

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode().strip()
            self.wfile.write(made.answer(line).encode())

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(made.path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def member(world: World, haproxy: Haproxy) -> World:
    """A target web1 whose load balancer is this machine."""
    world.peers = {"here": here()}
    world.target = here(lb_host="here", pool="web").model_copy(update={"name": "web1"})
    return world


def step(haproxy: Haproxy, state: str, **fields: object) -> PoolMember:
    given = {"state": state, "socket": str(haproxy.path), "settle": "0.3s", **fields}
    return PoolMember.model_validate(given)


KEY = pool_key("here", "web", "web1")


def test_drain_and_back(member: World, haproxy: Haproxy) -> None:
    drain, ready = step(haproxy, "drain"), step(haproxy, "ready")
    before = drain.observe(member.context())
    assert before == {KEY: {"admin": "ready"}}
    assert drain.probe(member.context(before=before)).verdict is Verdict.NOT_APPLIED
    assert drain.apply(member.context()).summary == "web1 is out of the pool"
    assert haproxy.admin["web1"] == "drain"
    assert [check.ok for check in drain.confirm(member.context())] == [True]
    assert drain.probe(member.context(before=before)).verdict is Verdict.APPLIED
    assert not drain.apply(member.context()).changed
    assert ready.apply(member.context()).changed
    assert [check.ok for check in ready.confirm(member.context())] == [True]
    assert drain.observe(member.context()) == before


def test_undo_goes_back_to_the_state_of_before(member: World, haproxy: Haproxy) -> None:
    haproxy.admin["web1"] = "maint"
    ready = step(haproxy, "ready")
    context = member.context(before=ready.observe(member.context()))
    ready.apply(member.context())
    assert ready.undo(context).changed
    assert haproxy.admin["web1"] == "maint"
    assert not ready.undo(context).changed


def test_the_last_server_stays(member: World, haproxy: Haproxy) -> None:
    haproxy.admin["web2"] = "drain"
    haproxy.down.add("web3")
    with pytest.raises(StepFailed, match="only 0 of 3 servers") as caught:
        step(haproxy, "drain").apply(member.context())
    assert caught.value.advice
    assert haproxy.admin["web1"] == "ready"
    assert not [line for line in haproxy.commands if line.startswith("set")], "refused before any effect"


def test_the_way_back_never_takes_the_last_server_and_never_ends_there(
    member: World, haproxy: Haproxy
) -> None:
    haproxy.admin["web1"] = "drain"
    ready = step(haproxy, "ready")
    context = member.context(before=ready.observe(member.context()))
    ready.apply(member.context())
    haproxy.down.update(("web2", "web3"))
    result = ready.undo(context)
    assert not result.changed
    assert "left in the pool" in result.summary
    assert haproxy.admin["web1"] == "ready"
    haproxy.down.clear()
    assert ready.undo(context).changed
    assert haproxy.admin["web1"] == "drain"


def test_more_than_one_may_have_to_stay(member: World, haproxy: Haproxy) -> None:
    with pytest.raises(StepFailed, match="and 3 must stay"):
        step(haproxy, "drain", keep=3).apply(member.context())
    step(haproxy, "drain", keep=2).apply(member.context())


def test_two_servers_at_once_do_not_count_on_each_other(member: World, haproxy: Haproxy) -> None:
    haproxy.down.add("web3")
    results: list[object] = []

    def drain(name: str) -> None:
        target = member.target.model_copy(update={"name": name})
        try:
            results.append(step(haproxy, "drain").apply(member.context(target=target)))
        except StepFailed as error:
            results.append(error)

    threads = [threading.Thread(target=drain, args=(name,)) for name in ("web1", "web2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(isinstance(result, StepFailed) for result in results) == [False, True]
    assert sorted(haproxy.admin.values()) == ["drain", "ready", "ready"]


def test_another_runner_at_the_same_time_is_noticed(member: World, haproxy: Haproxy) -> None:
    real = haproxy._one

    def meanwhile(words: list[str]) -> str:
        answer = real(words)
        if words[:2] == ["set", "server"] and words[-1] == "drain":
            haproxy.admin.update(web2="drain", web3="drain")
        return answer

    haproxy._one = meanwhile  # type: ignore[method-assign]
    with pytest.raises(StepFailed, match="only 0 of 3"):
        step(haproxy, "drain").apply(member.context())
    assert haproxy.admin["web1"] == "ready", "put back, because nobody else is left"


def test_open_sessions_are_waited_for_and_reported(member: World, haproxy: Haproxy) -> None:
    haproxy.sessions["web1"] = 7
    result = step(haproxy, "drain").apply(member.context())
    assert result.summary == "web1 is out of the pool; 7 sessions still open"
    threading.Timer(0.3, haproxy.sessions.clear).start()
    assert step(haproxy, "drain", settle="5s").apply(member.context()).summary == "web1 is out of the pool"


def test_ready_is_not_confirmed_while_the_balancer_holds_it_for_sick(member: World, haproxy: Haproxy) -> None:
    haproxy.down.add("web1")
    ready = step(haproxy, "ready")
    ready.apply(member.context())
    (check,) = ready.confirm(member.context())
    assert (check.ok, check.actual) == (False, "ready and not healthy, 0 sessions")


def test_unknown_servers_backends_and_balancers(member: World, haproxy: Haproxy) -> None:
    with pytest.raises(StepFailed, match="has no server 'web9'") as caught:
        step(haproxy, "drain", server="web9").observe(member.context())
    assert "web1, web2, web3" in caught.value.advice
    with pytest.raises(StepFailed, match="Can't find backend"):
        step(haproxy, "drain", backend="api").observe(member.context())
    with pytest.raises(StepFailed, match="no host that the plan knows") as caught:
        step(haproxy, "drain", balancer="lb9").observe(member.context())
    assert "peers" in caught.value.advice
    with pytest.raises(StepFailed, match="No such file"):
        PoolMember(state=PoolState.DRAIN, socket="/no/socket").observe(member.context())


def test_a_target_without_the_variable_says_so(world: World) -> None:
    with pytest.raises(StepFailed, match="no variable 'lb_host'"):
        PoolMember(state=PoolState.DRAIN).observe(world.context())


def test_titles() -> None:
    step = PoolMember(state=PoolState.DRAIN, balancer="lb1", backend="web", server="web1")
    assert step.title() == "take web1 out of pool web on lb1"
    assert PoolMember(state=PoolState.DRAIN).title() == "leave its pool"
    assert PoolMember(state=PoolState.READY, backend="web").title() == "return to pool web"
    assert step.undoable
