"""What a run acts on: one host, virtual machine, device or database, as the inventory describes it."""

from __future__ import annotations

import re

from pydantic import JsonValue

from remediate.model.base import Frozen

_REFERENCE = re.compile(r"\{target\.(name|address|port|user|vars\.[A-Za-z_][A-Za-z0-9_]*)\}")


class Target(Frozen):
    """One target with everything the inventory said about it when the plan was made.

    ``vars`` are Ansible's merged host variables; a vaulted value stays encrypted
    (``{"__ansible_vault": "..."}``).
    """

    name: str
    address: str
    port: int = 22
    user: str | None = None
    groups: tuple[str, ...] = ()
    vars: dict[str, JsonValue] = {}

    def render(self, text: str) -> str:
        """Fill in ``{target.name}``, ``{target.address}``, ``{target.vars.X}``; other braces stay.

        Raises:
            KeyError: for a variable that this target doesn't have.
        """

        def value(match: re.Match[str]) -> str:
            field = match[1]
            if field.startswith("vars."):
                name = field.removeprefix("vars.")
                if name not in self.vars:
                    raise KeyError(f"target {self.name} has no variable {name!r}, needed by {text!r}")
                return str(self.vars[name])
            return str(getattr(self, field))

        return _REFERENCE.sub(value, text)
