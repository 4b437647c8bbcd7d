"""One logged-in session of a vCenter, shared by all threads of a run; all calls of pyvmomi go through it.

pyvmomi's plain stub is safe to share: connections are taken from a locked pool, one call each. Its
session-oriented stub is not used: it repeats calls whose reply was lost, and so makes two snapshots of one.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import Any, TypeVar, cast
from xml.parsers.expat import ExpatError

from pyVmomi import vim, vmodl
from pyVmomi.SoapAdapter import SoapStubAdapter

from remediate.adapters.vmware.access import Access
from remediate.adapters.vmware.errors import Rejected, Unreachable
from remediate.adapters.vmware.tls import context
from remediate.errors import InDoubt

T = TypeVar("T")

#: vSphere 6.5: the oldest API that has all that is used here. Newer vCenters answer it.
_VERSION = "vim.version.version11"
#: Of one request. What takes longer in vCenter is a task, and is waited for.
_SECONDS = 30.0
_POOL = 16
#: No answer, or one that pyvmomi can't take apart.
_LOST = (OSError, HTTPException, ExpatError, LookupError, ValueError)
#: Answers after which vCenter may have done it nevertheless.
_UNSURE = ("SystemError", "HostCommunication", "HostNotReachable", "RequestCanceled", "Timedout")
_ADVICE = {
    "NoPermission": "give the user this privilege on the virtual machine",
    "NoDiskSpace": "free space on the datastore",
    "TaskInProgress": "wait until the other task of this virtual machine has ended",
    "TooManySnapshotLevels": "delete or consolidate old snapshots of this virtual machine",
    "ApplicationQuiesceFault": 'look at VMware Tools in the guest, or say quiesced="prefer"',
    "FilesystemQuiesceFault": 'look at VMware Tools in the guest, or say quiesced="prefer"',
    "FileLocked": "find out what holds the file: a backup, a clone, or a host that was lost",
    "ToolsUnavailable": "start VMware Tools in the guest, or say guest_shutdown=False",
}


class _Stub(SoapStubAdapter):
    """The plain stub, telling "not connected, nothing sent" from all that comes later."""

    def GetConnection(self) -> Any:  # noqa: N802 - pyvmomi's name
        try:
            return super().GetConnection()  # type: ignore[no-untyped-call]
        except ssl.SSLCertVerificationError as error:
            why = getattr(error, "verify_message", "") or error.strerror
            raise Unreachable(
                f"vCenter {self.host} did not prove who it is: {why}; nothing was sent",
                "check vcenter_hostname, and vcenter_ca_file or vcenter_certificate_sha256",
            ) from None
        except OSError as error:
            raise Unreachable(f"vCenter {self.host} can't be reached: {error}; nothing was sent") from None


class VCenter:
    """A session. Close it, and vCenter forgets it.

    Args:
        access: which vCenter.
        fence: asked before each call that changes something; see `Clients.fence`.
        password: the resolved one; it is sent after the server has proved who it is, and kept for a re-login.

    Raises:
        Unreachable: no connection, or it is not the vCenter that it should be; no credential was sent.
        Rejected: the login was refused.
    """

    def __init__(self, access: Access, password: str, fence: Callable[[], object] = lambda: None) -> None:
        self.name = access.name
        self._fence = fence
        self._user, self._password = access.username, password
        # Any: pyvmomi has types for what vCenter answers, but not for its own machinery.
        self._stub: Any = cast(Any, _Stub)(
            host=access.hostname,
            port=access.port,
            version=_VERSION,
            poolSize=_POOL,
            sslContext=context(access),
            httpConnectionTimeout=_SECONDS,
        )
        self._lock = threading.Lock()
        self._logins = 0
        self.uuids: dict[str, vim.VirtualMachine] = {}
        """Virtual machines by instance UUID, as they were found."""
        root = self.reference(vim.ServiceInstance, "ServiceInstance")
        try:
            self.content: Any = self._read(root.RetrieveContent)
            self._login(0)
        except BaseException:
            self._stub.DropConnections()
            raise

    def read(self, call: Callable[[], T]) -> T:
        """The answer of a call that changes nothing; asked twice if the session or connection was gone.

        Raises:
            Unreachable: no answer.
            Rejected: vCenter answered with a fault.
        """
        return self._with_session(lambda: self._read(call))

    def fire(self, call: Callable[[], T]) -> T:
        """The answer of a call that changes something; never sent twice, but after a refusal to hear it.

        Raises:
            Unreachable: nothing was sent.
            Rejected: vCenter said no.
            InDoubt: it was sent, and no answer came, or one that does not say whether it was done.
        """
        return self._with_session(lambda: self._change(call))

    def close(self) -> None:
        """Log out. A vCenter that is gone needs no goodbye."""
        with suppress(Exception):
            self.content.sessionManager.Logout()
        self._stub.DropConnections()

    def reference(self, kind: type[T], moref: str) -> T:
        """The managed object with this id."""
        return kind(moref, self._stub)  # type: ignore[call-arg]

    @property
    def session_key(self) -> str:
        """The session's id in vCenter (no secret, but not told either)."""
        return str(self.read(lambda: self.content.sessionManager.currentSession.key))

    def _with_session(self, work: Callable[[], T]) -> T:
        seen = self._logins
        try:
            return work()
        except vim.fault.NotAuthenticated:
            # Refused before anything was looked at: so a change can be sent again, too.
            self._login(seen)
        try:
            return work()
        except vim.fault.NotAuthenticated:
            raise Unreachable(f"vCenter {self.name} ends each session at once; nothing was done") from None

    def _login(self, seen: int) -> None:
        """Log in, unless another thread did so since ``seen``."""
        with self._lock:
            if self._logins != seen:
                return
            self._stub.SetSessionId("")
            manager = self.content.sessionManager
            try:
                self._read(lambda: manager.Login(self._user, self._password, None))
            except Rejected as error:
                if error.fault != "InvalidLogin":
                    raise
                raise Rejected(
                    f"vCenter {self.name} refuses the login of {self._user}",
                    "check vcenter_username, and what vcenter_password refers to",
                    error.fault,
                ) from None
            self._logins += 1

    def _read(self, call: Callable[[], T]) -> T:
        for last in (False, True):
            try:
                return call()
            except vim.fault.NotAuthenticated:
                raise
            except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
                raise self.rejected(fault) from None
            except _LOST as error:
                # A connection that idled may have been closed meanwhile; a new one tells.
                if last:
                    raise Unreachable(
                        f"vCenter {self.name}: no answer: {_words(error)}; the request only reads"
                    ) from None
        raise AssertionError("unreachable")

    def _change(self, call: Callable[[], T]) -> T:
        self._fence()
        try:
            return call()
        except vim.fault.NotAuthenticated:
            raise
        except (vmodl.MethodFault, vmodl.RuntimeFault) as fault:
            rejected = self.rejected(fault)
            if rejected.fault in _UNSURE:
                raise InDoubt(f"{rejected.problem}; nobody knows whether it was done") from None
            raise rejected from None
        except _LOST as error:
            raise InDoubt(
                f"vCenter {self.name}: {_words(error)} after the request was sent; "
                "nobody knows whether it was done"
            ) from None

    def rejected(self, fault: Exception) -> Rejected:
        """A fault as an error of ours."""
        kind = type(fault).__name__.rpartition(".")[2]
        return Rejected(f"vCenter {self.name}: {told(fault)}", _ADVICE.get(kind, ""), kind)


def told(fault: object) -> str:
    """A fault in words: its type, what it says, and the privilege or method that it names."""
    parts = [type(fault).__name__.rpartition(".")[2]]
    for name in ("msg", "privilegeId", "reason", "name", "file", "datastore"):
        value = getattr(fault, name, None)
        if isinstance(value, str) and value:
            parts.append(value)
    return ": ".join(dict.fromkeys(parts))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
