"""A target as a whole, to compare with itself later: one reader for each technology.

A reader uses nothing of what steps observe, because what a step forgets to observe is just what a proof of
its rollback looks for. Defining a reader registers it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any, ClassVar

from remediate import adapters
from remediate.model.base import State
from remediate.model.step import Context, Step


@dataclass(frozen=True, slots=True)
class Looking:
    """How much is read.

    Args:
        watch: folders on hosts, besides those that are always read.
        ignore: patterns of keys that are left out, such as ``file:/etc/motd``.
    """

    watch: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


class WholeReader(ABC):
    """Reads all of a target that its technology knows. Read-only, without volatile fields."""

    kind: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        READERS[cls.kind] = cls

    @abstractmethod
    def applies(self, context: Context, steps: Sequence[Step]) -> bool:
        """Whether this target has such a part. ``steps``: those of the plan that act on it."""

    @abstractmethod
    def read(self, context: Context, steps: Sequence[Step], looking: Looking) -> State:
        """Everything, by names that say what it is: ``package:nginx``."""


READERS: dict[str, type[WholeReader]] = {}


@cache
def load_readers() -> None:
    """Import the built-in ones: each lies in the folder of its technology, and is found there."""
    for found in iter_modules(adapters.__path__):
        name = f"{adapters.__name__}.{found.name}.whole"
        if found.ispkg and find_spec(name):
            import_module(name)


def read_whole(context: Context, steps: Sequence[Step], looking: Looking) -> State:
    """All that the readers of this target know of it.

    Raises:
        StepFailed: a part can't be read; nothing is then known to be as it was.
    """
    load_readers()
    found: State = {}
    for reader in (make() for _, make in sorted(READERS.items())):
        if reader.applies(context, steps):
            found |= reader.read(context, steps, looking)
    return {k: v for k, v in found.items() if not any(fnmatchcase(k, p) for p in looking.ignore)}
