"""Look through the inventory's own files for what Ansible lets pass.

Ansible warns about a key that stands twice and takes the last one; it decrypts a wholly encrypted file into
plain values. Both would put something into a plan that its reader can't see in the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from remediate.errors import InputError

if TYPE_CHECKING:
    import yaml

_YAML = {".yml", ".yaml", ".json"}
_VARIABLES = {"group_vars", "host_vars"}
_VAULT = b"$ANSIBLE_VAULT;"
_NESTING = 200


def check(path: Path) -> None:
    """Refuse malformed YAML, a key that stands twice, and wholly encrypted variable files.

    Raises:
        InputError: with file, line and column.
    """
    for file in _files(path):
        data = file.read_bytes()
        if data.startswith(_VAULT):
            raise InputError(
                f"{file}: the whole file is encrypted, so its values would stand in the plan in the clear",
                "encrypt the single values instead: ansible-vault encrypt_string",
            )
        if file.suffix in _YAML or _in_variables(file):
            _check_yaml(file, data)


def _files(path: Path) -> Iterator[Path]:
    roots = [path] if path.is_dir() else [path, *(path.parent / name for name in sorted(_VARIABLES))]
    for root in roots:
        if root.is_file():
            yield root
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in sorted(names):
                # Ansible skips the same: hidden files and editors' left-overs.
                if not name.startswith(".") and not name.endswith(("~", ".bak", ".swp", ".orig", ".retry")):
                    yield Path(folder, name)


def _in_variables(file: Path) -> bool:
    return not file.suffix and any(part in _VARIABLES for part in file.parts)


def _check_yaml(file: Path, data: bytes) -> None:
    import yaml

    loader: yaml.SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                _check_node(file, node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise InputError(f"{where}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{file}: not valid YAML: {error}") from None
    finally:
        loader.dispose()


def _check_node(file: Path, root: yaml.Node) -> None:
    import yaml

    # Aliases make one node reachable on many paths ("billion laughs"): each is looked at once.
    seen: set[int] = set()
    stack: list[tuple[yaml.Node, int]] = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if depth > _NESTING:
            raise InputError(f"{_where(file, node)}: nested deeper than {_NESTING} levels")
        if isinstance(node, yaml.MappingNode):
            _check_keys(file, node)
            stack += [(child, depth + 1) for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            stack += [(child, depth + 1) for child in node.value]


def _check_keys(file: Path, node: yaml.MappingNode) -> None:
    import yaml

    first: dict[str, yaml.Node] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            continue
        if key.value in first:
            raise InputError(
                f"{_where(file, key)}: key {key.value!r} stands here a second time"
                f" (first at line {first[key.value].start_mark.line + 1})",
                "keep one of them; Ansible would silently take the last",
            )
        first[key.value] = key


def _where(file: Path, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
