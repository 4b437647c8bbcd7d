"""TLS that always verifies: pyvmomi on its own skips it for localhost, and does not hold its pins."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from typing import Any

from remediate.adapters.vmware.access import Access
from remediate.adapters.vmware.errors import Unreachable


class _Pinned(ssl.SSLContext):
    """Believes one certificate only, checked before a byte of the application is sent."""

    pin = ""

    def wrap_socket(self, sock: socket.socket, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Shake hands, then compare."""
        wrapped = super().wrap_socket(sock, *args, **kwargs)
        found = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(found, self.pin):
            wrapped.close()
            raise ssl.SSLCertVerificationError(1, f"its certificate is not the pinned one but {found}")
        return wrapped


def context(access: Access) -> ssl.SSLContext:
    """The context of all connections to this vCenter.

    Raises:
        Unreachable: the CA file can't be read.
    """
    made: ssl.SSLContext
    if access.pin:
        pinned = _Pinned(ssl.PROTOCOL_TLS_CLIENT)
        pinned.pin = access.pin
        made = pinned
    else:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if access.pin and access.ca_file is None:
        # The pin alone says who it is, whatever name and issuer the certificate has.
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    try:
        if access.ca_file is None:
            made.load_default_certs()
        else:
            made.load_verify_locations(access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(
            f"vCenter {access.name}: the CA file {access.ca_file} can't be used: {error}; nothing was sent",
            "vcenter_ca_file names a PEM file with the authority of vCenter's certificate",
        ) from None
    return made
