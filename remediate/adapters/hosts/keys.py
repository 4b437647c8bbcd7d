"""Keys of facts: one spelling for one thing, so that two steps that touch it share the fact."""

from __future__ import annotations

import posixpath


def file_key(path: str) -> str:
    """``file:/etc/hosts``; doubled and trailing slashes mean nothing."""
    return "file:/" + posixpath.normpath(path).lstrip("/")


def package_key(name: str) -> str:
    """``package:nginx``."""
    return f"package:{name}"


def service_key(unit: str) -> str:
    """``service:nginx``, also for ``nginx.service``."""
    return f"service:{unit.removesuffix('.service')}"


def pool_key(balancer: str, backend: str, server: str) -> str:
    """``pool:lb1/web/web1``."""
    return f"pool:{balancer}/{backend}/{server}"


def named(keys: list[str], kind: str) -> list[str]:
    """The names of all keys of one kind."""
    start = f"{kind}:"
    return [key.removeprefix(start) for key in keys if key.startswith(start)]
