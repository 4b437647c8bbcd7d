"""From a step's context to its vCenter; pyvmomi is imported here, when a session is opened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from remediate.adapters.clients import load_sdk
from remediate.adapters.vmware.access import Access, access
from remediate.adapters.vmware.errors import Unreachable
from remediate.errors import InputError
from remediate.model.step import Clients, Context, Secrets

if TYPE_CHECKING:
    from remediate.adapters.vmware.session import VCenter

SDKS = ("pyVmomi",)


def connect(context: Context) -> VCenter:
    """The session of this target's vCenter; all targets of a run share it.

    Raises:
        StepFailed: it can't be reached, did not prove who it is, refused the login, or the target's variables
            don't say which one it is; nothing was done.
    """
    return session(access(context.target), context.clients, context.secrets)


def session(way: Access, clients: Clients, secrets: Secrets) -> VCenter:
    """The session of this vCenter, opened now if there is none; errors as those of `connect`."""
    load_sdk(*SDKS)
    from remediate.adapters.vmware.session import VCenter

    def open_() -> VCenter:
        try:
            return VCenter(way, secrets.resolve(way.password), clients.fence)
        except InputError as error:
            # In the middle of a run that is no question for a user any more: nothing was done.
            raise Unreachable(error.problem, error.advice) from None

    return clients.get(way.key, open_, VCenter.close)


def by_vcenter(contexts: Sequence[Context]) -> list[list[Context]]:
    """The contexts of each vCenter together."""
    groups: dict[tuple[str, ...], list[Context]] = defaultdict(list)
    for context in contexts:
        groups[access(context.target).key].append(context)
    return list(groups.values())


def guest_changed(context: Context) -> None:
    """The guest is another one now (reverted, rebooted): connections to the old one lead nowhere."""
    # The key of `remediate.adapters.hosts.client.connect`; a test holds the two together.
    context.clients.drop(("host", context.target.name))
