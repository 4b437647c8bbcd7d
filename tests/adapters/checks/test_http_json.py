"""Values out of JSON answers, and tokens that go to nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from remediate.adapters.checks.http_json import HttpJson
from remediate.model.step import Context
from tests.adapters.checks.conftest import Tls


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("status", {"equals": "ok"}),
        ("items[?state!='up'] | length(@)", {"equals": 0}),
        ("items[0].n", {"at_least": 1, "at_most": 1}),
        ("{a: status}", {"equals": {"a": "ok"}}),
        ("items[].state", {"equals": ["up"]}),
    ],
)
def test_right(web: int, context: Context, path: str, fields: dict[str, Any]) -> None:
    result = HttpJson(f"http://{{target.address}}:{web}/healthz", path, **fields).run(context)
    assert result.ok, result
    assert path in result.title


@pytest.mark.parametrize(
    ("url", "path", "fields", "actual"),
    [
        ("/healthz", "nothing", {"at_most": 5}, "null"),
        ("/healthz", "status", {"equals": "bad"}, '"ok"'),
        ("/healthz", "items[0].n", {"equals": True}, "1"),
        ("/healthz", "items[0].n", {"at_least": 2}, "1"),
        ("/healthz", "status", {"at_most": 5}, '"ok"'),
        ("/healthz", "abs(status)", {"at_most": 5}, "invalid type"),
        ("/broken", "status", {"equals": "ok"}, "status 500"),
        ("/hostile", "status", {"equals": "ok"}, "no JSON"),
    ],
)
def test_wrong(web: int, context: Context, url: str, path: str, fields: dict[str, Any], actual: str) -> None:
    result = HttpJson(f"http://127.0.0.1:{web}{url}", path, **fields).run(context)
    assert not result.ok
    assert actual in result.actual


@pytest.mark.parametrize(
    "fields", [{"path": "a["}, {"equals": None}, {"at_most": 1}, {"at_most": float("nan"), "equals": None}]
)
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HttpJson(**{"url": "http://x", "path": "a", "equals": 1, **fields})


class OneSecret:
    """Knows one."""

    def resolve(self, reference: str) -> str:
        """It."""
        assert reference == "env:TOKEN"
        return "s3cret-token"


def test_a_token_goes_over_tls_or_to_this_machine_only(web: int, tls: Tls, context: Context) -> None:
    context = replace(context, secrets=OneSecret())
    asked: dict[str, Any] = {"equals": "ok", "token": "env:TOKEN", "timeout": "2s"}
    assert HttpJson(f"https://127.0.0.1:{tls.port}/healthz", "status", ca="ca.pem", **asked).run(context).ok
    assert HttpJson(f"http://127.0.0.1:{web}/healthz", "status", **asked).run(context).ok
    refused = HttpJson("http://192.0.2.1/", "status", **asked).run(context)
    assert "a token is not sent without TLS" in refused.actual
    untrusted = HttpJson(f"https://127.0.0.1:{tls.port}/healthz", "status", **asked).run(context)
    assert "certificate verify failed" in untrusted.actual
    assert "s3cret" not in str((refused, untrusted))
