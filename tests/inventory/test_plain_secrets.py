"""A variable that is named like a secret holds no value in the clear, however deep it stands."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from remediate.inventory.secrets import plain_secrets

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"db_password": "hunter2"}, ["db_password"]),
        ({"db": {"options": [{"api_key": "abc"}]}}, ["db.options.api_key"]),
        ({"secrets": {"any": "abc"}}, ["secrets.any"]),
        ({"tokens": ["a"], "token": ["a"]}, ["token"]),
        ({"pem": f"{KEY}\nabc"}, ["pem"]),
        ({"db_password": "env:DB", "token": "{{ vault_token }}", "secret": ""}, []),
        ({"password": {"__ansible_vault": "$ANSIBLE_VAULT;1.1"}}, []),
        ({"ansible_ssh_private_key_file": "/k", "token_lifetime": "1h"}, []),
    ],
)
def test_what_stands_in_the_clear(variables: dict[str, JsonValue], found: list[str]) -> None:
    assert list(plain_secrets(variables)) == found
