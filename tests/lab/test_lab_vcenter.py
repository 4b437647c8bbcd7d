"""The lab's vCenter as pyvmomi meets it: logins, snapshots that are real, power, faults, crashes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from remediate.lab import ca, cgroups, vcenter
from remediate.lab.command import LabError
from remediate.lab.hosts import Hosts
from remediate.lab.layout import Layout
from remediate.lab.locks import locked
from remediate.lab.vcenter import ADDRESS, AUDITOR, USER, VCenter, instance_uuid
from remediate.lab.vcenter_faults import Faults

pytestmark = [pytest.mark.lab, pytest.mark.slow]

LAB = Layout(Path("/var/lib/remediate-lab-vcenter"), "rmvc", "10.213.96")
FAULTS = Faults(LAB)
CREATE, REVERT, REMOVE = "CreateSnapshot_Task", "RevertToSnapshot_Task", "RemoveSnapshot_Task"
MARK = "/etc/mark"

T = TypeVar("T")


def quiet(_line: str) -> None:
    pass


def until(seen: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Poll until ``seen`` is true, and give what it was."""
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    """lb1 and web1, in a lab of this file's own."""
    found = Hosts(LAB, 2)
    with locked(Path("/run") / f"{LAB.home.name}.lock", quiet):
        VCenter(LAB).down()
        found.down()
        try:
            found.up(quiet)
            yield found
        finally:
            VCenter(LAB).down()
            found.down()
            shutil.rmtree(LAB.home)


@pytest.fixture(scope="module")
def _server(hosts: Hosts) -> VCenter:
    found = VCenter(LAB)
    found.up(quiet)
    return found


@pytest.fixture
def center(_server: VCenter, hosts: Hosts) -> Iterator[VCenter]:
    """Running, with nothing left of the test before: no fault, no snapshot, and web1 on."""
    _server.up(quiet)
    yield _server
    _server.up(quiet)
    FAULTS.clear()
    with session() as si:
        vm = machine(si)
        until(lambda: free(vm), "the task before ends")
        if vm.snapshot:
            done(vm.RemoveAllSnapshots_Task())
        if vm.runtime.powerState == "poweredOff":
            done(vm.PowerOnVM_Task())
    hosts.machine("web1").wait(60)


@contextmanager
def session(user: str = USER, password: str = "", authority: Path | None = None) -> Iterator[Any]:
    """Logged in over pyvmomi's plain stub, which repeats nothing."""
    file = "password" if user == USER else "auditor.password"
    secret = password or (LAB.home / "vcenter" / file).read_text().strip()
    context = ssl.create_default_context(cafile=authority or LAB.ca / "ca.pem")
    stub: Any = cast(Any, SoapStubAdapter)(
        host=ADDRESS,
        port=vcenter.port(LAB),
        version="vim.version.version11",
        sslContext=context,
        httpConnectionTimeout=30,
    )
    si: Any = cast(Any, vim.ServiceInstance)("ServiceInstance", stub)
    try:
        manager = si.RetrieveContent().sessionManager
        manager.Login(user, secret, None)
        yield si
        # The test may have ended the session, or vCenter.
        with suppress(vmodl.MethodFault, OSError, HTTPException):
            manager.Logout()
    finally:
        stub.DropConnections()


@pytest.fixture
def si(center: VCenter) -> Iterator[Any]:
    with session() as found:
        yield found


@pytest.fixture
def vm(si: Any) -> Any:
    return machine(si)


def machine(si: Any, name: str = "web1") -> Any:
    return si.content.searchIndex.FindByUuid(None, instance_uuid(LAB, name), True, True)


def ended(task: Any) -> bool:
    return task.info.state in ("success", "error")


def free(vm: Any) -> bool:
    """Whether no task is under way on it."""
    for task in vm.recentTask:
        try:
            if not ended(task):
                return False
        except vmodl.fault.ManagedObjectNotFound:
            continue
    return True


def done(task: Any) -> Any:
    """What a task yields; its fault is raised."""
    until(lambda: ended(task), "the task ends")
    if task.info.state == "error":
        raise task.info.error
    return task.info.result


def snap(vm: Any, name: str = "before", memory: bool = False, quiesce: bool = False) -> Any:
    return done(vm.CreateSnapshot_Task(name, "of a test", memory, quiesce))


def shown(hosts: Hosts, *argv: str) -> str:
    answer = hosts.exec("web1", ["sudo", *argv])
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def marks(hosts: Hosts) -> str:
    return shown(hosts, "sh", "-c", f"cat {MARK}* 2>/dev/null || true")


def mark(hosts: Hosts, text: str) -> None:
    shown(hosts, "sh", "-c", f"echo {text} > {MARK}-{text}")


def serves(url: str) -> bool:
    """Whether a web server of the lab answers there."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def back(hosts: Hosts) -> None:
    hosts.machine("web1").wait(60)


class TestLogin:
    def test_each_host_is_a_machine_and_nothing_else_is(self, si: Any, hosts: Hosts) -> None:
        view = si.content.viewManager.CreateContainerView(si.content.rootFolder, [vim.VirtualMachine], True)
        found = {vm.name: vm for vm in view.view}
        assert {name: vm.config.instanceUuid for name, vm in found.items()} == {
            name: instance_uuid(LAB, name) for name in ("lb1", "web1")
        }
        web1 = found["web1"]
        assert web1.runtime.powerState == "poweredOn"
        until(lambda: web1.guest.toolsRunningStatus == "guestToolsRunning", "Tools run")
        assert (web1.guest.hostName, web1.guest.ipAddress) == ("web1", hosts.machine("web1").address)
        assert (web1.config.hardware.numCPU, web1.config.hardware.memoryMB) == (1, 512)
        assert web1.config.annotation == "lab host, role web"
        assert web1.datastore[0].summary.capacity == vcenter.CAPACITY
        assert web1.snapshot is None

    @pytest.mark.parametrize(("user", "password"), [(USER, "wrong"), ("nobody", "x"), (AUDITOR, "wrong")])
    def test_wrong_credentials_are_refused(self, center: VCenter, user: str, password: str) -> None:
        with pytest.raises(vim.fault.InvalidLogin), session(user, password):
            pass

    def test_another_authority_is_refused(self, center: VCenter, tmp_path: Path) -> None:
        ca.ensure(tmp_path)
        with pytest.raises(ssl.SSLCertVerificationError), session(authority=tmp_path / "ca.pem"):
            pass

    def test_nothing_is_read_or_done_without_a_login(self, si: Any) -> None:
        vm = machine(si)
        FAULTS.end_sessions()
        with pytest.raises(vim.fault.NotAuthenticated):
            print(vm.name)
        with pytest.raises(vim.fault.NotAuthenticated):
            vm.PowerOffVM_Task()

    def test_listens_on_its_own_loopback_address_only(self, center: VCenter) -> None:
        port = vcenter.port(LAB)
        listening = subprocess.run(
            ["ss", "-Hltn", f"sport = {port}"], capture_output=True, text=True, check=True
        )
        assert [line.split()[3] for line in listening.stdout.splitlines()] == [f"{ADDRESS}:{port}"]

    def test_secrets_and_socket_are_for_root_alone(self, center: VCenter) -> None:
        for name in ("password", "auditor.password", "server.key", "control", "config.json"):
            assert (center.root / name).stat().st_mode & 0o777 == 0o600, name
        secret = (center.root / "password").read_bytes().strip()
        for pid in cgroups.processes(center.group):
            for file in ("cmdline", "environ"):
                assert secret not in Path(f"/proc/{pid}/{file}").read_bytes()

    def test_who_may_only_read_is_refused_the_rest(self, center: VCenter) -> None:
        with session(AUDITOR) as si:
            vm = machine(si)
            assert vm.name == "web1"
            with pytest.raises(vim.fault.NoPermission) as refused:
                vm.CreateSnapshot_Task("x", "", False, False)
            assert refused.value.privilegeId == "VirtualMachine.State.CreateSnapshot"
            key = si.content.sessionManager.currentSession.key
            wanted = ["VirtualMachine.State.CreateSnapshot", "System.Read"]
            (answer,) = si.content.authorizationManager.HasPrivilegeOnEntities([vm], key, wanted)
            assert {p.privId: p.isGranted for p in answer.privAvailability} == dict(
                zip(wanted, (False, True), strict=True)
            )

    def test_nobody_makes_other_machines(self, si: Any, vm: Any) -> None:
        with pytest.raises(vim.fault.NoPermission):
            vm.Destroy_Task()


class TestSnapshots:
    def test_a_revert_takes_back_what_was_written_since(self, vm: Any, hosts: Hosts) -> None:
        mark(hosts, "first")
        taken = snap(vm)
        mark(hosts, "second")
        done(taken.RevertToSnapshot_Task())
        assert vm.runtime.powerState == "poweredOff"  # for its memory was not kept
        done(vm.PowerOnVM_Task())
        assert vm.runtime.powerState == "poweredOn"
        back(hosts)
        assert marks(hosts) == "first"
        url = f"http://{hosts.machine('web1').address}/"
        # sshd answers before nginx does.
        until(lambda: serves(url), "nginx answers")

    def test_with_memory_it_comes_back_on(self, vm: Any, hosts: Hosts) -> None:
        taken = snap(vm, memory=True)
        (tree,) = vm.snapshot.rootSnapshotList
        assert (tree.state, tree.quiesced) == ("poweredOn", False)
        mark(hosts, "memory")
        done(taken.RevertToSnapshot_Task())
        assert vm.runtime.powerState == "poweredOn"
        back(hosts)
        assert "memory" not in marks(hosts)

    def test_a_machine_that_is_off(self, vm: Any, hosts: Hosts) -> None:
        done(vm.PowerOffVM_Task())
        taken = snap(vm, memory=True, quiesce=True)
        (tree,) = vm.snapshot.rootSnapshotList
        assert (tree.state, tree.quiesced) == ("poweredOff", False)
        done(vm.PowerOnVM_Task())
        back(hosts)
        mark(hosts, "off")
        done(taken.RevertToSnapshot_Task())
        done(vm.PowerOnVM_Task())
        back(hosts)
        assert "off" not in marks(hosts)

    def test_a_chain_loses_its_middle(self, vm: Any, hosts: Hosts) -> None:
        first, second, third = (snap(vm, name) for name in ("1", "2", "3"))
        done(second.RemoveSnapshot_Task(removeChildren=False))
        (root,) = vm.snapshot.rootSnapshotList
        assert (root.snapshot, [child.snapshot for child in root.childSnapshotList]) == (first, [third])
        assert vm.snapshot.currentSnapshot == third
        done(first.RemoveSnapshot_Task(removeChildren=True))
        assert vm.snapshot is None
        assert vm.rootSnapshot == []
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            third.RevertToSnapshot_Task()

    def test_space_is_taken_and_given_back(self, vm: Any, hosts: Hosts) -> None:
        store = vm.datastore[0]
        before = store.summary.freeSpace
        taken = snap(vm)
        store.RefreshDatastore()
        assert 0 < before - store.summary.freeSpace < 2**28
        (copy,) = (LAB.hosts / "web1" / "snapshots").glob("snapshot-*")
        assert copy.name == taken._moId
        done(taken.RemoveSnapshot_Task(removeChildren=False))
        until(lambda: store.summary.freeSpace == before, "the space is free again")
        assert not copy.exists()

    def test_quiesced_is_said_only_if_it_was(self, vm: Any) -> None:
        until(lambda: vm.guest.toolsRunningStatus == "guestToolsRunning", "Tools run")
        snap(vm, "asked", quiesce=True)
        snap(vm, "not asked")
        FAULTS.tools_off("web1")
        assert vm.guest.toolsRunningStatus == "guestToolsNotRunning"
        snap(vm, "no Tools", quiesce=True)
        said = {}
        trees = list(vm.snapshot.rootSnapshotList)
        while trees:
            tree = trees.pop()
            said[tree.name] = tree.quiesced
            trees += tree.childSnapshotList
        assert said == {"asked": True, "not asked": False, "no Tools": False}

    def test_too_long_a_chain(self, vm: Any) -> None:
        FAULTS.depth_limit(2)
        snap(vm, "1")
        snap(vm, "2")
        with pytest.raises(vim.fault.TooManySnapshotLevels):
            snap(vm, "3")

    def test_no_room(self, vm: Any) -> None:
        FAULTS.free_space(1000)
        assert vm.datastore[0].summary.freeSpace == 1000
        with pytest.raises(vim.fault.NoDiskSpace):
            snap(vm)
        assert vm.snapshot is None
        assert not list((LAB.hosts / "web1" / "snapshots").glob("snapshot-*"))

    def test_a_reset_of_the_host_takes_its_snapshots_along(self, vm: Any, hosts: Hosts) -> None:
        taken = snap(vm)
        hosts.reset(quiet, ["web1"])
        until(lambda: vm.snapshot is None, "the snapshot is gone")
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            taken.RevertToSnapshot_Task()

    def test_without_effects_success_is_told_and_nothing_restored(self, vm: Any, hosts: Hosts) -> None:
        FAULTS.effects(real=False)
        taken = snap(vm, memory=True)
        mark(hosts, "stays")
        done(taken.RevertToSnapshot_Task())
        assert vm.runtime.powerState == "poweredOn"
        assert "stays" in marks(hosts)
        FAULTS.effects(real=True)
        with pytest.raises(vim.fault.FileNotFound):
            done(taken.RevertToSnapshot_Task())


class TestPower:
    def test_off_and_on(self, vm: Any, hosts: Hosts) -> None:
        done(vm.PowerOffVM_Task())
        assert vm.runtime.powerState == "poweredOff"
        assert not hosts.machine("web1").on()
        assert vm.guest.toolsRunningStatus == "guestToolsNotRunning"
        with pytest.raises(vim.fault.InvalidPowerState):
            done(vm.PowerOffVM_Task())
        with pytest.raises(vim.fault.InvalidPowerState):
            vm.ShutdownGuest()
        done(vm.PowerOnVM_Task())
        assert hosts.machine("web1").on()
        until(lambda: vm.guest.ipAddress == hosts.machine("web1").address, "the guest is up")

    def test_the_guest_shuts_down_in_order(self, vm: Any, hosts: Hosts) -> None:
        shown(hosts, "sh", "-c", "echo '[Service]\nExecStop=/bin/touch /etc/mark-orderly' "
              "| install -D /dev/stdin /etc/systemd/system/nginx.service.d/mark.conf; "
              "systemctl daemon-reload; systemctl restart nginx")  # fmt: skip
        until(lambda: vm.guest.toolsRunningStatus == "guestToolsRunning", "Tools run")
        vm.ShutdownGuest()
        until(lambda: vm.runtime.powerState == "poweredOff", "the guest is down")
        assert (LAB.hosts / "web1/upper/etc/mark-orderly").exists()

    def test_without_tools_the_guest_hears_nothing(self, vm: Any) -> None:
        FAULTS.tools_off("web1")
        with pytest.raises(vim.fault.ToolsUnavailable):
            vm.ShutdownGuest()

    @pytest.mark.parametrize("how", ["ResetVM_Task", "RebootGuest"])
    def test_reset_and_reboot(self, vm: Any, hosts: Hosts, how: str) -> None:
        began = shown(hosts, "stat", "--format=%Y.%y", "/proc/1")
        until(lambda: vm.guest.toolsRunningStatus == "guestToolsRunning", "Tools run")
        task = getattr(vm, how)()
        if task:
            done(task)

        def booted() -> bool:
            answer = hosts.exec("web1", ["stat", "--format=%Y.%y", "/proc/1"])
            return answer.returncode == 0 and answer.stdout.strip() != began

        until(booted, "another boot")
        assert vm.runtime.powerState == "poweredOn"

    def test_what_happens_behind_its_back_is_noticed(self, vm: Any, hosts: Hosts) -> None:
        hosts.power_off("web1")
        until(lambda: vm.runtime.powerState == "poweredOff", "the power cut is seen")
        hosts.power_on("web1")
        until(lambda: vm.runtime.powerState == "poweredOn", "the power is seen")


class TestShape:
    def test_a_change_waits_for_the_power_and_a_revert_takes_it_back(
        self, vm: Any, center: VCenter, hosts: Hosts
    ) -> None:
        def change(**wanted: object) -> None:
            done(vm.ReconfigVM_Task(cast(Any, vim.vm.ConfigSpec)(**wanted)))

        def seen(of: Any) -> list[object]:
            config = of.config
            return [config.hardware.numCPU, config.hardware.memoryMB, config.annotation]

        with pytest.raises(vim.fault.InvalidPowerState):
            change(numCPUs=2)
        change(annotation="as before")
        taken = snap(vm)
        done(vm.PowerOffVM_Task())
        change(numCPUs=2, memoryMB=1024, annotation="bigger")
        assert seen(vm) == [2, 1024, "bigger"]
        assert seen(taken) == [1, 512, "as before"]
        cgroups.kill(center.group)
        center.up(quiet)
        with session() as si:
            again = machine(si)
            assert seen(again) == [2, 1024, "bigger"]
            done(again.snapshot.currentSnapshot.RevertToSnapshot_Task())
            assert seen(again) == [1, 512, "as before"]

    def test_it_has_a_disk(self, vm: Any) -> None:
        disks = [d for d in vm.config.hardware.device if isinstance(d, vim.vm.device.VirtualDisk)]
        assert [disk.capacityInKB for disk in disks] == [8 << 20]


class TestFaults:
    def test_a_task_fails_as_it_would(self, vm: Any) -> None:
        for name in (
            "NoDiskSpace",
            "ApplicationQuiesceFault",
            "TaskInProgress",
            "TooManySnapshotLevels",
            "FileLocked",
            "InvalidPowerState",
        ):
            FAULTS.task_fails(CREATE, name, vm="web1")
            with pytest.raises(getattr(vim.fault, name)):
                snap(vm)
            assert vm.snapshot is None
        assert snap(vm)

    def test_a_task_fails_after_its_effect(self, vm: Any) -> None:
        FAULTS.task_fails(CREATE, "ApplicationQuiesceFault", late=True)
        with pytest.raises(vim.fault.ApplicationQuiesceFault):
            snap(vm)
        assert vm.snapshot.rootSnapshotList[0].name == "before"

    def test_a_call_fails(self, vm: Any) -> None:
        FAULTS.call_fails(CREATE, "FileLocked")
        with pytest.raises(vim.fault.FileLocked):
            vm.CreateSnapshot_Task("x", "", False, False)

    def test_a_lost_reply_leaves_one_snapshot_and_a_lost_request_none(self, vm: Any) -> None:
        FAULTS.clear()
        FAULTS.request_lost(CREATE)
        with pytest.raises((OSError, HTTPException)):
            vm.CreateSnapshot_Task("lost", "", False, False)
        assert vm.snapshot is None
        FAULTS.reply_lost(CREATE)
        with pytest.raises((OSError, HTTPException)):
            vm.CreateSnapshot_Task("x", "", False, False)
        kept = until(lambda: vm.snapshot, "the snapshot that nobody was told of")
        assert [tree.name for tree in kept.rootSnapshotList] == ["x"]
        assert FAULTS.calls()[f"{CREATE} web1"] == 2

    def test_delays(self, vm: Any) -> None:
        FAULTS.task_takes(CREATE, 0.5)
        began = time.monotonic()
        task = vm.CreateSnapshot_Task("x", "", False, False)
        assert time.monotonic() - began < 0.4
        with pytest.raises(vim.fault.TaskInProgress):
            vm.PowerOffVM_Task()
        done(task)
        assert time.monotonic() - began > 0.5
        FAULTS.reply_takes(REVERT, 0.3)
        began = time.monotonic()
        vm.snapshot.currentSnapshot.RevertToSnapshot_Task()
        assert time.monotonic() - began > 0.3

    def test_a_task_vanishes_and_its_effect_comes(self, vm: Any) -> None:
        FAULTS.task_vanishes(CREATE)
        task = vm.CreateSnapshot_Task("x", "", False, False)
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            print(task.info)
        until(lambda: vm.snapshot, "the snapshot")

    def test_a_machine_vanishes_and_comes_back(self, si: Any, vm: Any) -> None:
        taken = snap(vm)
        FAULTS.unregister("web1")
        assert machine(si) is None
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            taken.RevertToSnapshot_Task()
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            vm.CreateSnapshot_Task("x", "", False, False)
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            print(vm.name)
        FAULTS.unregister("web1", gone=False)
        assert machine(si) == vm
        assert vm.name == "web1"

    def test_a_session_expires_before_the_call(self, vm: Any) -> None:
        FAULTS.session_expires(CREATE)
        with pytest.raises(vim.fault.NotAuthenticated):
            vm.CreateSnapshot_Task("x", "", False, False)
        with session() as again:
            assert machine(again).snapshot is None

    def test_a_session_is_terminated(self, si: Any, center: VCenter) -> None:
        with session() as other:
            key = other.content.sessionManager.currentSession.key
            si.content.sessionManager.TerminateSession([key])
            with pytest.raises(vim.fault.NotAuthenticated):
                print(machine(other))

    def test_a_session_idles_out(self, center: VCenter) -> None:
        FAULTS.sessions_last(0.2)
        with session() as si:
            time.sleep(0.5)
            with pytest.raises(vim.fault.NotAuthenticated):
                print(machine(si))

    def test_what_a_machine_says_of_itself(self, vm: Any) -> None:
        FAULTS.consolidation_needed("web1")
        FAULTS.disable("web1", [CREATE])
        assert vm.runtime.consolidationNeeded
        assert vm.disabledMethod == [CREATE]
        with pytest.raises(vim.fault.MethodDisabled):
            vm.CreateSnapshot_Task("x", "", False, False)
        FAULTS.clear()
        assert not vm.runtime.consolidationNeeded
        assert vm.disabledMethod == []

    def test_nonsense_is_refused(self, center: VCenter) -> None:
        with pytest.raises(LabError, match="no vim fault is called"):
            FAULTS.task_fails(CREATE, "NoSuchFault")
        with pytest.raises(LabError, match="no machine is called"):
            FAULTS.tools_off("web9")


def pids_of(center: VCenter, word: str) -> list[int]:
    """Its processes whose command line has ``word``."""
    found = []
    for pid in cgroups.processes(center.group):
        file = Path(f"/proc/{pid}/cmdline")
        if file.exists() and word.encode() in file.read_bytes():
            found.append(pid)
    return found


def frozen() -> bool:
    """Whether somebody has stopped web1."""
    return any(
        "frozen 1" in (mount / LAB.prefix / "web1" / "cgroup.events").read_text()
        for mount in cgroups.hierarchies()
        if (mount / LAB.prefix / "web1" / "cgroup.freeze").exists()
    )


class TestCrash:
    def test_a_new_process_knows_the_same_machines_and_snapshots(self, center: VCenter, hosts: Hosts) -> None:
        with session() as si:
            vm = machine(si)
            first, second = snap(vm, "1"), snap(vm, "2")
            known = [vm._moId, first._moId, second._moId]
        mark(hosts, "later")
        cgroups.kill(center.group)
        assert center.status()[0].state == "down"
        center.up(quiet)
        with session() as si:
            vm = machine(si)
            (root,) = vm.snapshot.rootSnapshotList
            (child,) = root.childSnapshotList
            assert [vm._moId, root.snapshot._moId, child.snapshot._moId] == known
            assert (root.name, child.name, child.id - root.id) == ("1", "2", 1)
            assert vm.snapshot.currentSnapshot == child.snapshot
            done(child.snapshot.RevertToSnapshot_Task())
            done(vm.PowerOnVM_Task())
        back(hosts)
        assert "later" not in marks(hosts)

    @pytest.mark.parametrize("whole", [False, True], ids=["the hook", "all of vCenter"])
    def test_killed_in_the_middle_of_a_copy(self, center: VCenter, hosts: Hosts, whole: bool) -> None:
        shown(hosts, "dd", "if=/dev/zero", "of=/var/big", "bs=1M", "count=400", "status=none")
        with session() as si:
            task = machine(si).CreateSnapshot_Task("half", "", False, False)
            copy = LAB.hosts / "web1" / "snapshots"
            until(lambda: frozen() and list(copy.glob("*.part/var/big")), "the copy has begun")
            if whole:
                cgroups.kill(center.group)
                center.up(quiet)
            else:
                for pid in pids_of(center, "vcenter_hook"):
                    os.kill(pid, signal.SIGKILL)
                with pytest.raises(vmodl.fault.SystemError):
                    done(task)
        with session() as si:
            assert machine(si).snapshot is None
        assert not frozen()
        assert not [path for path in copy.iterdir() if path.is_dir()]
        assert shown(hosts, "rm", "-v", "/var/big") == "removed '/var/big'"

    def test_a_revert_that_was_killed_is_completed_or_never_was(self, center: VCenter, hosts: Hosts) -> None:
        with session() as si:
            vm = machine(si)
            taken = snap(vm)
            mark(hosts, "since")
            task = taken.RevertToSnapshot_Task()
            until(lambda: not hosts.machine("web1").on(), "the power is cut")
            for pid in pids_of(center, "vcenter_hook"):
                os.kill(pid, signal.SIGKILL)
            until(lambda: ended(task), "the task ends")
            if vm.runtime.powerState == "poweredOff":
                done(vm.PowerOnVM_Task())
        back(hosts)
        assert "since" not in marks(hosts)
        assert not list((LAB.hosts / "web1").glob("upper.*"))

    def test_down_leaves_nothing_running(self, center: VCenter, hosts: Hosts) -> None:
        (server,) = cgroups.processes(center.group)
        center.up(pytest.fail)
        assert cgroups.processes(center.group) == {server}
        center.down()
        assert not cgroups.processes(center.group)
        assert center.status()[0].state == "down"
        assert not (center.root / "tmp").exists()
        with pytest.raises(LabError, match="control"):
            FAULTS.clear()
        assert hosts.machine("web1").answers()
        center.down()

    def test_a_taken_port_is_told(self, center: VCenter) -> None:
        center.down()
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind((ADDRESS, vcenter.port(LAB)))
            squatter.listen()
            with pytest.raises(LabError, match="address already in use"):
                center.up(quiet)
