"""A configuration as a tree of lines: read, compared, and turned into the lines that lead to another one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from remediate.adapters.network.platforms import Platform
from remediate.errors import StepFailed
from remediate.model.base import sha256

HIDDEN = "<hidden>"
#: What certainly is a secret. Platforms hide more than that, because to hide a word too many does no harm.
SECRET = re.compile(
    r"\b(?:password|secret|key-string|authentication-key|encrypted-password|server key|snmp-server community"
    r"|snmp community|pre-shared-key(?: ascii-text| hexadecimal)?|message-digest-key \d+ md5)\s+\S"
)
_NESTING = 100
#: Under this name the facts have all lines that stand alone.
ALONE = "(single lines)"


@dataclass(frozen=True, slots=True)
class Edit:
    """One line to enter, below its parents: ``("interface eth1",)`` and ``ip ospf cost 100``."""

    parents: tuple[str, ...]
    line: str

    def __str__(self) -> str:
        return " / ".join((*self.parents, self.line))


class Tree(dict[str, "Tree"]):
    """Lines with the lines below them, in order. A line is there once below one parent."""

    def at(self, path: Sequence[str]) -> Tree:
        """What stands below this path; empty if nothing does."""
        node = self
        for line in path:
            node = node.get(line, Tree())
        return node


def stable(text: str, platform: Platform) -> str:
    """What a backup keeps: the text without lines that change by themselves, and no space at line ends."""
    drop = re.compile("|".join(f"(?:{p})" for p in platform.volatile)) if platform.volatile else None
    lines = [line.rstrip() for line in text.splitlines()]
    kept = [line for line in lines if drop is None or not drop.fullmatch(line)]
    return "\n".join(kept).strip("\n") + "\n"


def parse(text: str, platform: Platform) -> Tree:
    """The tree of a configuration, or of lines that somebody wrote; indentation says what is below what.

    Raises:
        StepFailed: it is nested deeper than any device does.
    """
    noise = re.compile("|".join(f"(?:{p})" for p in (*platform.noise, *platform.volatile)))
    root = Tree()
    open_: list[tuple[int, Tree]] = [(-1, root)]
    for raw in text.splitlines():
        line = raw.strip()
        if not line or noise.fullmatch(line):
            continue
        depth = 0 if platform.flat else len(raw) - len(raw.lstrip())
        while open_[-1][0] >= depth:
            open_.pop()
        open_.append((depth, open_[-1][1].setdefault(line, Tree())))
        if len(open_) > _NESTING:
            raise StepFailed(f"a configuration is nested deeper than {_NESTING} levels, at {line[:80]!r}")
    return root


def edits(tree: Tree, parents: tuple[str, ...] = ()) -> Iterator[Edit]:
    """Every line that has none below it, with its parents: what somebody who wrote the tree wants entered."""
    for line, below in tree.items():
        if below:
            yield from edits(below, (*parents, line))
        else:
            yield Edit(parents, line)


def path_to(now: Tree, then: Tree, platform: Platform, parents: tuple[str, ...] = ()) -> Iterator[Edit]:
    """The lines that turn ``now`` into ``then``. What is too much goes first: it may be in the way."""
    for line in now:
        if line not in then:
            yield Edit(parents, negated(line, platform))
    for line, below in then.items():
        known = now.get(line)
        if known is None:
            yield Edit(parents, line)
        yield from path_to(known or Tree(), below, platform, (*parents, line))


def negated(line: str, platform: Platform) -> str:
    """The line that takes this one back."""
    start = f"{platform.negate} "
    if platform.flat:
        return (
            f"set {line.removeprefix(start)}" if line.startswith(start) else start + line.removeprefix("set ")
        )
    return line.removeprefix(start) if line.startswith(start) else start + line


def missing(tree: Tree, wanted: Iterable[Edit], platform: Platform) -> list[Edit]:
    """Those of the wanted lines that a configuration doesn't show. A negated line is shown by an absence."""
    return [edit for edit in wanted if not _shown(tree.at(edit.parents), edit.line, platform)]


def _shown(below: Tree, line: str, platform: Platform) -> bool:
    if line in below:
        return True
    if not line.startswith(f"{platform.negate} "):
        return False
    positive = negated(line, platform)
    return not any(other == positive or other.startswith(f"{positive} ") for other in below)


def masked(text: str, platform: Platform) -> str:
    """The text with its secrets hidden."""
    for pattern in platform.secrets:
        text = re.sub(pattern, _hide, text)
    return text


def _hide(match: re.Match[str]) -> str:
    start, end = match.start(1) - match.start(), match.end(1) - match.start()
    return match[0][:start] + HIDDEN + match[0][end:]


def sections(tree: Tree, platform: Platform) -> dict[str, str]:
    """Facts: the text of every block by its first line, secrets hidden."""
    alone = [line for line, below in tree.items() if not below]
    found = {line: "\n".join(_lines(below)) + "\n" for line, below in tree.items() if below}
    found[ALONE] = "\n".join(alone) + "\n"
    return {masked(key, platform): masked(text, platform) for key, text in found.items()}


def _lines(tree: Mapping[str, Tree], depth: int = 0) -> Iterator[str]:
    for line, below in tree.items():
        yield " " * depth + line
        yield from _lines(below, depth + 1)


def digest(text: str) -> str:
    """SHA-256 of a whole configuration. Of one secret in it, a hash would be a way to guess it."""
    return sha256(text.encode())


def difference(now: Tree, then: Tree, platform: Platform) -> str:
    """A unified diff for a person, secrets hidden; each line stands below its parents."""
    old, new = (
        [f"{line}\n" for line in masked("\n".join(_lines(t)), platform).split("\n")] for t in (now, then)
    )
    return "".join(difflib.unified_diff(old, new, "running (now)", "running (then)", n=2))


def merged(now: Tree, wanted: Iterable[Edit], platform: Platform) -> Tree:
    """A configuration with these lines. Which others they replace, the device alone knows."""
    result = _copy(now)
    for edit in wanted:
        below = result
        for parent in edit.parents:
            below = below.setdefault(parent, Tree())
        if edit.line.startswith(f"{platform.negate} "):
            positive = negated(edit.line, platform)
            for line in [x for x in below if x == positive or x.startswith(f"{positive} ")]:
                del below[line]
        else:
            below.setdefault(edit.line, Tree())
    return result


def _copy(tree: Tree) -> Tree:
    return Tree({line: _copy(below) for line, below in tree.items()})
