"""Loads the product once, and forgets what depends on a module, so that only that is loaded anew."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import remediate

#: Between them they import most of what guards stand in.
_TOP = """
remediate.adapters.clients remediate.calendar.ical remediate.calendar.watch remediate.checker
remediate.engine.runner remediate.journal.sqlite remediate.service.auditing remediate.service.control
remediate.service.proof remediate.service.running remediate.tickets.file remediate.tickets.outbox
""".split()


def load() -> None:
    """Import what most tests use."""
    for name in _TOP:
        import_module(name)
    _imports()


def forget(module: str) -> None:
    """Take this module, and all that imports it by whichever way, out of what is loaded."""
    gone = {module}
    while more := {name for name, uses in _imports().items() if uses & gone} - gone:
        gone |= more
    for name in gone & set(sys.modules):
        parent, _, leaf = name.rpartition(".")
        del sys.modules[name]
        if leaf in vars(sys.modules.get(parent, sys)):
            # Else `from parent import leaf` would find the old one there.
            delattr(sys.modules[parent], leaf)


@cache
def _imports() -> dict[str, set[str]]:
    """By module of the product, the modules that it may import, also late."""
    root = Path(next(iter(remediate.__path__)))
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = set(_named(ast.parse(path.read_text())))
    return found


def _named(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
