"""Who is at the keyboard, as the machine knows it: never as they say of themselves."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress

from remediate.config import Config


def logins(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Login names of this process: the real user, and behind sudo the one who called it."""
    names = [pwd.getpwuid(os.getuid()).pw_name]
    caller = environ.get("SUDO_UID", "")
    if os.getuid() == 0 and caller.isdigit():
        with suppress(KeyError):
            names.insert(0, pwd.getpwuid(int(caller)).pw_name)
    return tuple(dict.fromkeys(names))


def whoami(config: Config) -> str:
    """The person at the keyboard: the first login that the project knows, else the first login itself."""
    for login in logins():
        if (person := config.find_person(login)) is not None:
            return person
    return logins()[0]
