"""Keep secrets out of plans: what is named like a secret holds a vaulted value or a reference to one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

# Names that end like a secret. `ansible_ssh_private_key_file` and `token_lifetime` hold none.
_NAME = re.compile(
    r"(^|[_.-])(pass|password|passwd|passphrase|pwd|secret|secrets|token|api_?key|access_?key|secret_?key"
    r"|private_?key|credential|credentials)$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"^[a-z][a-z0-9+_-]{1,31}:\S+$")
_TEMPLATE = re.compile(r"^\s*\{\{.*\}\}\s*$", re.DOTALL)
_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def named_like_secret(name: str) -> bool:
    """Whether a variable of this name is expected to hold a secret."""
    return _NAME.search(name) is not None


def is_reference(value: object) -> bool:
    """Whether a value is a secret reference such as ``env:NAME`` or ``file:/path``."""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def plain_secrets(variables: Mapping[str, JsonValue]) -> Iterator[str]:
    """Dotted names of the variables that hold a secret in the clear."""
    for name, value in variables.items():
        yield from _look(name, named_like_secret(name), value)


def _look(name: str, secret: bool, value: JsonValue) -> Iterator[str]:
    if isinstance(value, dict):
        if "__ansible_vault" in value:
            return
        for key, child in value.items():
            yield from _look(f"{name}.{key}", secret or named_like_secret(str(key)), child)
    elif isinstance(value, list):
        for child in value:
            yield from _look(name, secret, child)
    elif isinstance(value, str) and (_KEY_BLOCK.search(value) or (secret and _in_the_clear(value))):
        yield name


def _in_the_clear(value: str) -> bool:
    # "{{ vault_password }}" names another variable, which is looked at itself.
    return bool(value) and not is_reference(value) and not _TEMPLATE.match(value)
