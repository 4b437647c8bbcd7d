"""Whether a port answers this machine."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from pydantic import Field

from remediate.adapters.checks.question import Finding, Question
from remediate.model.base import Duration
from remediate.model.step import Context
from remediate.model.target import Target


class Tcp(Question):
    """A TCP port accepts connections, or (``accepts=False``) refuses them."""

    kind: ClassVar[str] = "tcp"
    filled: ClassVar[tuple[str, ...]] = ("host",)

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    accepts: bool = True
    timeout: Duration = 5.0

    def __init__(self, host: str = "", port: int = 0, **fields: Any) -> None:
        super().__init__(**{"host": host, "port": port, **fields})

    def subject(self, target: Target) -> str:
        """The port."""
        return f"{target.render(self.host)} port {self.port}"

    def expected(self, target: Target) -> str:  # noqa: ARG002
        """Whether it is open."""
        return "accepts connections" if self.accepts else "refuses connections"

    def look(self, context: Context) -> Finding:
        """Connect once."""
        try:
            with socket.create_connection((context.target.render(self.host), self.port), self.timeout):
                return Finding(self.accepts, "accepts connections")
        except ConnectionRefusedError:
            return Finding(not self.accepts, "refuses connections")
        except TimeoutError:
            # Silence proves neither: a host that is down is silent as well.
            return Finding(False, f"no answer within {self.timeout:g} s")
